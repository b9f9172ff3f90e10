// Decoding of weights to float32, and batch norm folded into convolutions. Bound by memory; runs once a network.
#include "nn/network.h"

#include <bit>
#include <cmath>
#include <cstring>

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
  std::vector<float> out(array.size);
  for (std::size_t i = 0; i < array.size; ++i) {
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

std::size_t Network::size(const std::string& name) const {
  const auto found = arrays_.find(name);
  return found == arrays_.end() ? 0 : found->second.size;
}

std::vector<float> Network::get(const std::string& name) const {
  const auto found = arrays_.find(name);
  if (found == arrays_.end()) throw Error("the network has no array " + name);
  return decode(found->second);
}

Convolution Network::convolution(const std::string& prefix) const {
  constexpr float kEpsilon = 1e-5f;
  Convolution out{get(prefix + ".weights"), {}};
  if (!has(prefix + ".bn_means")) {
    out.biases = get(prefix + ".biases");
    return out;
  }
  const std::vector<float> mean = get(prefix + ".bn_means"), variance = get(prefix + ".bn_stddivs");
  const std::size_t channels = mean.size();
  const bool affine = has(prefix + ".bn_betas");
  const std::vector<float> beta = affine ? get(prefix + ".bn_betas") : std::vector<float>(channels, 0.0f);
  const std::vector<float> gamma = affine ? get(prefix + ".bn_gammas") : std::vector<float>(channels, 1.0f);
  out.biases = has(prefix + ".biases") ? get(prefix + ".biases") : std::vector<float>(channels, 0.0f);
  if (channels == 0 || variance.size() != channels || beta.size() != channels || gamma.size() != channels ||
      out.biases.size() != channels || out.weights.size() % channels != 0)
    throw Error("the batch norm of " + prefix + " does not fit its weights");

  const std::size_t per_channel = out.weights.size() / channels;
  for (std::size_t o = 0; o < channels; ++o) {
    const float k = gamma[o] / std::sqrt(variance[o] + kEpsilon);
    if (!std::isfinite(k))
      throw Error(prefix + ".bn_stddivs[" + std::to_string(o) + "] is " + std::to_string(variance[o]) +
                  ", expected a variance that scales by a finite number");
    for (std::size_t i = 0; i < per_channel; ++i) out.weights[o * per_channel + i] *= k;
    out.biases[o] = beta[o] - k * (mean[o] - out.biases[o]);
  }
  return out;
}

}  // namespace nn
