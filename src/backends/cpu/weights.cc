#include "backends/cpu/weights.h"

#include <cstring>

namespace cpu {

Linear linear(const nn::Network& network, const std::string& prefix) {
  return linear(network, prefix + "_w", prefix + "_b");
}

Linear linear(const nn::Network& network, const std::string& weights, const std::string& biases) {
  const int out = static_cast<int>(network.size(biases));
  Linear layer = unbiased(network, weights, static_cast<int>(network.size(weights)) / out);
  layer.biases = [&network, biases] { return network.get(biases); };
  return layer;
}

Linear unbiased(const nn::Network& network, const std::string& weights, int in) {
  const int out = static_cast<int>(network.size(weights)) / in;
  return {weights, out, in, [&network, weights] { return network.get(weights); }, nullptr};
}

Linear scaled(Linear layer, float factor) {
  const auto times = [factor](const std::function<Floats()>& make) {
    return [factor, make] {
      Floats values = make();
      for (float& value : values) value *= factor;
      return values;
    };
  };
  layer.weights = times(layer.weights);
  if (layer.biases) layer.biases = times(layer.biases);
  layer.key += "*" + std::to_string(factor);
  return layer;
}

Linear stacked(const std::vector<Linear>& layers) {
  Linear all{"", 0, layers.front().in, nullptr, nullptr};
  for (const Linear& layer : layers) {
    all.key += layer.key + "|";
    all.out += layer.out;
  }
  const auto join = [layers](std::function<Floats()> Linear::* part) {
    return [layers, part] {
      Floats values;
      for (const Linear& layer : layers) {
        const Floats more = (layer.*part)();
        values.insert(values.end(), more.begin(), more.end());
      }
      return values;
    };
  };
  all.weights = join(&Linear::weights);
  all.biases = join(&Linear::biases);
  return all;
}

Linear columns(Linear layer, int first, int count) {
  layer.weights = [make = layer.weights, rows = layer.out, width = layer.in, first, count] {
    const Floats values = make();
    Floats part;
    for (int row = 0; row < rows; ++row) {
      const auto start = values.begin() + std::ptrdiff_t{row} * width + first;
      part.insert(part.end(), start, start + count);
    }
    return part;
  };
  layer.in = count;
  layer.key += "[" + std::to_string(first) + "]";
  return layer;
}

Linear from_squares(Linear layer) {
  layer.weights = [make = layer.weights, channels = layer.in / 64] {
    const Floats values = make();
    Floats turned(values.size());
    for (std::size_t row = 0; row < values.size(); row += 64 * channels)
      for (int channel = 0; channel < channels; ++channel)
        for (int square = 0; square < 64; ++square)
          turned[row + square * channels + channel] = values[row + channel * 64 + square];
    return turned;
  };
  return layer;
}

Linear convolution1x1(const nn::Network& network, const std::string& prefix, int in) {
  Linear layer;
  layer.key = prefix;
  layer.in = in;
  layer.out = static_cast<int>(network.size(prefix + ".weights")) / in;
  layer.weights = [&network, prefix] { return network.convolution(prefix).weights; };
  layer.biases = [&network, prefix] { return network.convolution(prefix).biases; };
  return layer;
}

dnnl::memory Weights::packed(const std::string& key, const dnnl::memory::desc& wanted, const dnnl::memory::desc& plain,
                             const std::function<Floats()>& make) {
  std::lock_guard lock(mutex_);
  for (auto [found, last] = packed_.equal_range(key); found != last; ++found)
    if (found->second.get_desc() == wanted) return found->second;

  Floats values = make();
  dnnl::memory from(plain, engine_, values.data());
  dnnl::memory to(wanted, engine_);
  dnnl::stream stream(engine_);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  return packed_.emplace(key, to)->second;
}

std::shared_ptr<const Floats> Weights::table(const std::string& key, const std::function<Floats()>& make) {
  std::lock_guard lock(mutex_);
  auto& entry = tables_[key];
  if (!entry) entry = std::make_shared<const Floats>(make());
  return entry;
}

}  // namespace cpu
