#include "backends/rocm/probe.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "backends/rocm/kernels/kernels.h"

namespace rocm {
namespace {

constexpr float kMostHalf = 65504;

template <class T>
T stored(float x) {
  if constexpr (sizeof(T) == 2) x = std::clamp(x, -kMostHalf, kMostHalf);  // NaN stays
  return T(x);
}

}  // namespace

Probe::Probe(Stream& stream, const nn::Visit& visit, const std::vector<nn::Layer>& layers, int first, int count, std::chrono::nanoseconds patience)
    : stream_(stream), visit_(visit), first_(first), count_(count), patience_(patience) {
  for (const nn::Layer& layer : layers) shapes_[layer.name] = layer.shape;
}

template <class T>
void Probe::show(const std::string& name, T* x, const Rows& rows) {
  const std::vector<int>& shape = shapes_.at(name);
  const int numbers = std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>()), cols = numbers / (rows.count * rows.groups);
  std::vector<T> array((std::size_t(count_) * rows.count - 1) * rows.stride + (rows.groups - 1) * rows.group + cols);
  const std::size_t bytes = array.size() * sizeof(T);
  check(hipMemcpyAsync(array.data(), x, bytes, hipMemcpyDeviceToHost, stream_), "reading the layer " + name);
  stream_.wait(patience_);

  std::vector<float> values(std::size_t(count_) * numbers);
  const auto for_each_number = [&](auto visit) {  // (its place in values, its place in array)
    std::size_t at = 0;
    for (std::size_t row = 0; row < std::size_t(count_) * rows.count; ++row)
      for (int g = 0; g < rows.groups; ++g)
        for (int c = 0; c < cols; ++c) visit(values[at++], array[row * rows.stride + g * rows.group + c]);
  };
  for_each_number([&](float& value, T& number) { value = rows.factor * float(number); });
  if (!visit_.see(name, first_, count_, values.data())) return;
  for_each_number([&](float& value, T& number) { number = stored<T>(value / rows.factor); });
  check(hipMemcpyAsync(x, array.data(), bytes, hipMemcpyHostToDevice, stream_), "replacing the layer " + name);
  stream_.wait(patience_);
}

template void Probe::show(const std::string&, float*, const Rows&);
template void Probe::show(const std::string&, half*, const Rows&);

}  // namespace rocm
