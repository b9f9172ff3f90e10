// Products in 8 bits: whole numbers from -127 to 127 with a scale for each row of activations, found as it is multiplied, and one for
// each output of the weights. Sums are exact in 32 bits.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "backends/cpu/activation.h"
#include "backends/cpu/number.h"
#include "nn/description.h"

namespace cpu {

// q = x / scale to the nearest, ties to even
template <class T>
void quantise(std::int8_t* q,  // (rows, cols)
              float* scales,  // (rows)
              const T* x,  // (rows, cols)
              int rows, int cols) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds, and the low bits hold the number
  for (int row = 0; row < rows; ++row, q += cols, x += cols) {
    float top = 0;
#pragma omp simd reduction(max : top)
    for (int c = 0; c < cols; ++c) top = std::max(top, std::abs(to_float(x[c])));
    scales[row] = top / 127;
    const float factor = top > 0 ? 127 / top : 0;
#pragma omp simd
    for (int c = 0; c < cols; ++c) q[c] = static_cast<std::int8_t>(std::bit_cast<std::int32_t>(to_float(x[c]) * factor + kRound));
  }
}

// y = activation(sums * row scale * column scale + bias)
template <class T>
void finish_product(T* y,  // (rows, cols)
                    const std::int32_t* sums,  // (rows, cols)
                    const float* row_scales, const float* column_scales,
                    const float* bias,  // (cols); null for none
                    nn::Activation activation, int rows, int cols) {
  constexpr int kPart = 64;  // columns at once, in registers and the first-level cache
  float converted[kPart];
  for (int row = 0; row < rows; ++row, y += cols, sums += cols)
    for (int first = 0; first < cols; first += kPart) {
      const int count = std::min(kPart, cols - first);
      float* part = converted;
      if constexpr (std::is_same_v<T, float>) part = y + first;
#pragma omp simd
      for (int c = 0; c < count; ++c) part[c] = static_cast<float>(sums[first + c]) * (row_scales[row] * column_scales[first + c]);
      if (bias) {
#pragma omp simd
        for (int c = 0; c < count; ++c) part[c] += bias[first + c];
      }
      activate(part, count, activation);
      if constexpr (!std::is_same_v<T, float>) {
#pragma omp simd
        for (int c = 0; c < count; ++c) y[first + c] = from_float<T>(part[c]);
      }
    }
}

// The two parts of a weight (out, in): whole numbers, and a scale for each output.
inline nn::Floats scales_of(const nn::Floats& values, int out) {
  const std::size_t in = values.size() / out;
  nn::Floats scales(out);
  for (int o = 0; o < out; ++o)
    for (std::size_t i = 0; i < in; ++i) scales[o] = std::max(scales[o], std::abs(values[o * in + i]) / 127);
  return scales;
}

inline nn::Weight scales_of(const nn::Weight& weight) {
  const int out = weight.shape[0];
  return {weight.key + " scales", {out}, [make = weight.make, out] { return scales_of(make(), out); }};
}

inline nn::Weight whole_numbers(const nn::Weight& weight) {
  return {weight.key + " in 8 bits", weight.shape, [make = weight.make, out = weight.shape[0]] {
            nn::Floats values = make();
            const nn::Floats scales = scales_of(values, out);
            const std::size_t in = values.size() / out;
            for (std::size_t i = 0; i < values.size(); ++i)
              values[i] = scales[i / in] > 0 ? std::nearbyint(values[i] / scales[i / in]) : 0;
            return values;
          }};
}

}  // namespace cpu
