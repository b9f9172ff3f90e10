#include "nn/layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace nn {
namespace {

std::size_t product(const std::vector<int>& sizes, std::size_t first) {
  return std::accumulate(sizes.begin() + first, sizes.end(), std::size_t{1}, std::multiplies<>());
}

}  // namespace

Weight scaled(Weight weight, float factor, int rows) {
  const std::size_t count = (rows < 0 ? weight.shape[0] : rows) * product(weight.shape, 1);
  weight.key += " * " + std::to_string(factor);
  weight.make = [make = weight.make, factor, count] {
    Floats values = make();
    for (std::size_t i = 0; i < count; ++i) values[i] *= factor;
    return values;
  };
  return weight;
}

Weight stacked(const std::vector<Weight>& weights) {
  Weight all{"", weights.front().shape, nullptr};
  all.shape[0] = 0;
  for (const Weight& weight : weights) {
    all.key += (all.key.empty() ? "" : " | ") + weight.key;
    all.shape[0] += weight.shape[0];
  }
  all.make = [weights] {
    Floats values;
    for (const Weight& weight : weights) {
      const Floats part = weight.make();
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  };
  return all;
}

Weight padded(Weight weight, int axis, int from, int to) {
  if (from == to) return weight;
  const std::size_t inner = product(weight.shape, axis + 1);
  weight.shape[axis] = weight.shape[axis] / from * to;
  weight.key += " padded to " + std::to_string(to);
  weight.make = [make = weight.make, from = from * inner, to = to * inner] {
    const Floats values = make();
    Floats more(values.size() / from * to);
    for (std::size_t group = 0; group < values.size() / from; ++group) std::copy_n(&values[group * from], from, &more[group * to]);
    return more;
  };
  return weight;
}

Weight columns(Weight weight, int first, int count) {
  const int width = weight.shape[1];
  if (count == width) return weight;
  weight.shape[1] = count;
  weight.key += " from column " + std::to_string(first);
  weight.make = [make = weight.make, width, first, count] {
    const Floats values = make();
    Floats part;
    for (auto row = values.begin(); row != values.end(); row += width) part.insert(part.end(), row + first, row + first + count);
    return part;
  };
  return weight;
}

Weight squares_first(Weight weight, int channels) {
  weight.key += " squares first";
  weight.make = [make = weight.make, channels] {
    const Floats values = make();
    Floats turned(values.size());
    const std::size_t row = std::size_t{kSquares} * channels;
    for (std::size_t start = 0; start < values.size(); start += row)
      for (int channel = 0; channel < channels; ++channel)
        for (int square = 0; square < kSquares; ++square)
          turned[start + square * channels + channel] = values[start + channel * kSquares + square];
    return turned;
  };
  return weight;
}

Dense scaled(Dense layer, float factor, int rows) {
  return {scaled(layer.w, factor, rows), layer.b ? scaled(layer.b, factor, rows) : Weight{}};
}

Dense padded(Dense layer, int from, int to) { return {padded(layer.w, 0, from, to), layer.b ? padded(layer.b, 0, from, to) : Weight{}}; }

Dense stacked(const std::vector<Dense>& layers) {
  std::vector<Weight> w, b;
  for (const Dense& layer : layers) {
    w.push_back(layer.w);
    if (layer.b) b.push_back(layer.b);
  }
  return {stacked(w), b.empty() ? Weight{} : stacked(b)};
}

}  // namespace nn
