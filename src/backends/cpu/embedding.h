// From bit planes to tokens, and what follows the embedding's dense layer (docs/spec/networks.md 4.3).
#pragma once
#include <algorithm>
#include <bit>

#include "backends/cpu/activation.h"
#include "backends/cpu/layer_norm.h"
#include "chess/encode.h"

namespace cpu {

// The first `count` planes as the channels of every square. Most planes are nearly empty: zeros first, then the set
// bits.
template <class T>
void expand_planes(T* x,  // (positions, 64, count)
                   const chess::Planes* planes,  // (positions)
                   int positions, int count) {
  std::fill_n(x, std::size_t{64} * positions * count, T{});
  for (int p = 0; p < positions; ++p, x += 64 * count)
    for (int plane = 0; plane < count; ++plane) {
      const T value = from_float<T>(planes[p].value[plane]);
      for (auto mask = planes[p].mask[plane]; mask; mask &= mask - 1) x[std::countr_zero(mask) * count + plane] = value;
    }
}

// One row per square; null where the net has no such thing.
struct EmbeddingTables {
  const float* position;  // (64, cols), added before the activation
  const float *gamma, *beta;  // (cols), layer norm after it
  float eps;
  const float *multiply, *add;  // (64, cols), gates at the end
};

template <class T>
void embed(T* y,  // (positions, 64, cols)
           float* x,  // (positions, 64, cols), overwritten
           const EmbeddingTables& tables, nn::Activation activation, int positions, int cols) {
  for (int row = 0; row < 64 * positions; ++row, y += cols, x += cols) {
    const std::size_t at = std::size_t(row % 64) * cols;
    if (tables.position) {
#pragma omp simd
      for (int c = 0; c < cols; ++c) x[c] += tables.position[at + c];
    }
    activate(x, cols, activation);
    if (tables.gamma) normalize(x, x, tables.gamma, tables.beta, cols, tables.eps);
    if (tables.multiply) {
#pragma omp simd
      for (int c = 0; c < cols; ++c) x[c] = x[c] * tables.multiply[at + c] + tables.add[at + c];
    }
#pragma omp simd
    for (int c = 0; c < cols; ++c) y[c] = from_float<T>(x[c]);
  }
}

}  // namespace cpu
