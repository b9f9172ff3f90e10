// The two ends of a squeeze-and-excitation block (docs/spec/networks.md 4.2); the two small dense layers between them are
// matmuls. Both pass once over activations that the second-level cache holds.
#pragma once
#include "backends/cpu/activation.h"
#include "backends/cpu/number.h"

namespace cpu {

// Mean over the squares.
template <class T>
void pool(T* means,  // (positions, channels)
          const T* z,  // (positions, 64, channels)
          float* sums,  // (channels), scratch
          int positions, int channels) {
  for (int p = 0; p < positions; ++p, means += channels) {
    for (int c = 0; c < channels; ++c) sums[c] = 0;
    for (int square = 0; square < 64; ++square, z += channels) {
#pragma omp simd
      for (int c = 0; c < channels; ++c) sums[c] += to_float(z[c]);
    }
    for (int c = 0; c < channels; ++c) means[c] = from_float<T>(sums[c] / 64);
  }
}

// x = A(x + sigmoid(scale) * z + shift)
template <class T>
void excite(T* x,  // (positions, 64, channels)
            const T* z,  // (positions, 64, channels)
            float* gates,  // (positions, 2, channels): scale, shift; the scale is overwritten
            float* row,  // (channels), scratch
            nn::Activation activation, int positions, int channels) {
  for (int p = 0; p < positions; ++p, gates += 2 * channels) {
    activate(gates, channels, nn::Activation::kSigmoid);
    for (int square = 0; square < 64; ++square, x += channels, z += channels) {
#pragma omp simd
      for (int c = 0; c < channels; ++c) row[c] = to_float(x[c]) + gates[c] * to_float(z[c]) + gates[channels + c];
      activate(row, channels, activation);
#pragma omp simd
      for (int c = 0; c < channels; ++c) x[c] = from_float<T>(row[c]);
    }
  }
}

// x = A(x + y)
template <class T>
void add(T* x, const T* y, nn::Activation activation, std::size_t numbers) {
  for (std::size_t i = 0; i < numbers; ++i) {
    float sum = to_float(x[i]) + to_float(y[i]);
    activate(&sum, 1, activation);
    x[i] = from_float<T>(sum);
  }
}

}  // namespace cpu
