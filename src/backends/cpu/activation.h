// The exponential, and activation functions in place (docs/spec/networks.md 4.1), as loops that the compiler vectorises.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "nn/activation.h"

namespace cpu {

// e^x to 2 units in the last place, without the branches and calls of the library's: x = n ln 2 + r, |r| <= ln 2 / 2,
// and Taylor's series for r. Saturates at e^-87 and e^88.
inline float exponential(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
  x = std::clamp(x, -87.0f, 88.0f);
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;  // ln 2 in two parts: the first times n is exact
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1;
  p = p * r + 1;
  return p * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127) << 23);
}

inline void activate(float* x, std::size_t n, nn::Activation activation) {
  switch (activation) {
    case nn::Activation::kNone:
      break;
    case nn::Activation::kRelu:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] : 0;
      break;
    case nn::Activation::kRelu2:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] * x[i] : 0;
      break;
    case nn::Activation::kMish:  // x tanh(ln(1 + e^x)) = x u / (u + 2) with u = e^2x + 2 e^x; x itself from 20 on
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) {
        const float e = exponential(x[i] < 20 ? x[i] : 20);
        const float u = e * e + 2 * e;
        x[i] = x[i] * (u / (u + 2));
      }
      break;
    case nn::Activation::kSwish:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) x[i] = x[i] / (1 + exponential(-x[i]));
      break;
    case nn::Activation::kSelu:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i)
        x[i] = 1.05070098f * (x[i] > 0 ? x[i] : 1.67326324f * (exponential(x[i] < 0 ? x[i] : 0) - 1));
      break;
    case nn::Activation::kTanh:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) x[i] = 1 - 2 / (exponential(2 * x[i]) + 1);
      break;
    case nn::Activation::kSigmoid:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) x[i] = 1 / (1 + exponential(-x[i]));
      break;
  }
}

}  // namespace cpu
