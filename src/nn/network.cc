// Decoding of weights to float32. Bound by memory.
#include "nn/network.h"

#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

#include "error.h"

namespace nn {
namespace {

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t rest = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  if (rest >= 0x7c00u << 13) return std::bit_cast<float>(sign | 0x7f800000 | rest);  // infinities, NaN
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) * 0x1p112f));
}

// The files are little-endian, as are all hosts we build for.
template <class T, class Convert>
std::vector<float> decode(const Array& array, Convert convert) {
  std::vector<float> out(std::accumulate(array.shape.begin(), array.shape.end(), std::size_t{1}, std::multiplies<>()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    T raw;
    std::memcpy(&raw, array.data + i * sizeof raw, sizeof raw);  // no alignment is promised
    out[i] = convert(raw);
  }
  return out;
}

std::vector<float> decode(const Array& array) {
  switch (array.encoding) {
    case Array::Encoding::kLinear16:
      return decode<std::uint16_t>(array, [&](std::uint16_t u) {
        const float theta = static_cast<float>(u) / 65535.0f;
        return array.min * (1 - theta) + array.max * theta;
      });
    case Array::Encoding::kFloat16:
      return decode<std::uint16_t>(array, half_to_float);
    case Array::Encoding::kBfloat16:
      return decode<std::uint16_t>(
          array, [](std::uint16_t u) { return std::bit_cast<float>(static_cast<std::uint32_t>(u) << 16); });
    case Array::Encoding::kFloat32:
      return decode<float>(array, [](float value) { return value; });
  }
  throw Error("unknown encoding of a network array");
}

}  // namespace

const Array& Network::array(const std::string& name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) throw Error("the network has no array " + name);
  return found->second;
}

const std::vector<int>& Network::shape(const std::string& name) const { return array(name).shape; }

std::vector<float> Network::get(const std::string& name) const { return decode(array(name)); }

}  // namespace nn
