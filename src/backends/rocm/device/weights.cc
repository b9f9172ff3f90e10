// One array at a time is decoded, converted and copied, so that the host never holds more than the file and the largest of them.
#include "backends/rocm/device/weights.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "backends/rocm/device/quantise.h"

namespace rocm {
namespace {

// Rounded to nearest even; 0x7c00 and above, the sign apart, is what half cannot hold.
std::uint16_t half_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest < 113u << 23)  // below 2^-14: adding 1/2 leaves the multiple of 2^-24 in the mantissa's end
    return sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) + 0.5f) - (126u << 23));
  return sign | std::min<std::uint32_t>((rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13, 0x7fff);
}

// `values` in the bits of the type of the first argument.
nn::Floats stored(float, const std::string&, nn::Floats values) { return values; }
std::vector<int> stored(int, const std::string&, const nn::Floats& values) { return {values.begin(), values.end()}; }
std::vector<std::uint16_t> stored(half, const std::string& key, const nn::Floats& values) {
  std::vector<std::uint16_t> halves(values.size());
  std::uint16_t largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    halves[i] = half_bits(values[i]);
    largest = std::max<std::uint16_t>(largest, halves[i] & 0x7fff);
  }
  if (largest >= 0x7c00)
    throw Error("a weight of " + key + " is beyond the range of fp16: use the back end rocm, which computes in fp32, for this network");
  return halves;
}

}  // namespace

template <class T>
const T* Weights::array(const nn::Weight& weight) {
  const std::lock_guard lock(mutex_);
  if (const auto found = arrays_.find(weight.key); found != arrays_.end()) return found->second.as<T>();
  return keep(weight.key, stored(T{}, weight.key, weight.make())).template as<T>();
}

Rows8 Weights::in_8_bits(const nn::Weight& matrix, Numbers kind) {
  const std::lock_guard lock(mutex_);
  const std::string key = matrix.key + (kind == Numbers::kInt8 ? " in int8" : " in fp8"), scales_key = "scales of " + key;
  const auto found = arrays_.find(scales_key);  // the last to be kept
  if (found != arrays_.end()) return {arrays_.at(key).as<void>(), found->second.as<float>(), kind};
  const Quantised q = quantised(matrix.make(), matrix.shape[0], matrix.shape[1], kind, matrix.key);
  void* const numbers = keep(key, q.numbers).as<void>();
  return {numbers, keep(scales_key, q.scales).as<float>(), kind};
}

template <class N>
const DeviceMemory& Weights::keep(const std::string& key, const std::vector<N>& values) {
  DeviceMemory memory(values.size() * sizeof(N));
  check(hipMemcpy(memory.as<void>(), values.data(), memory.bytes(), hipMemcpyHostToDevice), "copying " + key + " to the GPU");
  return arrays_.insert_or_assign(key, std::move(memory)).first->second;
}

template const float* Weights::array(const nn::Weight&);
template const half* Weights::array(const nn::Weight&);
template const int* Weights::array(const nn::Weight&);

}  // namespace rocm
