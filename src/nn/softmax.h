// From policy logits to stored priors: the softmax over the legal moves and the 16-bit format of a prior.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

namespace nn {

// e^x for x <= 0, to 0.27 %: Lc0 networks are tuned and compared with this curve, so the exact one would be the wrong one.
inline float fast_exp(float x) {
  x = std::max(x * 1.442695040f, -127.0f);
  const int whole = static_cast<int>(x < 0 ? x - 1 : x);
  const float part = x - static_cast<float>(whole);
  const float mantissa = 1.0f + part * (0.6602339f + 0.33976606f * part);  // about 2^part
  const float result = std::bit_cast<float>(std::bit_cast<std::int32_t>(mantissa) + whole * (1 << 23));
  return x < -126 ? 0.0f : result;
}

// logits (count) -> probabilities, in place. Returns the sum before scaling: NaN if a logit was.
inline float softmax(float* logits, int count, float temperature) {
  float top = logits[0];
  for (int i = 1; i < count; ++i) top = std::max(top, logits[i]);
  float sum = 0;
  for (int i = 0; i < count; ++i) {
    logits[i] = fast_exp((logits[i] - top) / temperature);
    sum += logits[i];
  }
  if (sum > 0)
    for (int i = 0; i < count; ++i) logits[i] /= sum;
  return sum;
}

// A probability in 16 bits: 5 bits of exponent, 11 of mantissa, rounded half up; 0 stands for 2^-31 and less.
inline std::uint16_t pack_prior(float p) {
  const std::int32_t bits = std::bit_cast<std::int32_t>(p) + (1 << 11) - (96 << 23);
  return static_cast<std::uint16_t>(std::max(bits, 0) >> 12);
}

inline float unpack_prior(std::uint16_t bits) {
  return std::bit_cast<float>((static_cast<std::int32_t>(bits) << 12) + (96 << 23));
}

}  // namespace nn
