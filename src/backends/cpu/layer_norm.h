// y = gamma * (x - mean) / sqrt(variance + eps) + beta over the channels of a row, where x = branch [+ skip]. Two
// passes over a row that stays in the first-level cache.
#pragma once
#include <cmath>

#include "backends/cpu/number.h"

namespace cpu {

// Of one row.
template <class T>
void normalize(T* y,  // (cols), may be x
               const float* x,  // (cols)
               const float* gamma, const float* beta, int cols, float eps) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < cols; ++c) sum += x[c];
  const float mean = sum / cols;
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int c = 0; c < cols; ++c) squares += (x[c] - mean) * (x[c] - mean);
  const float scale = 1 / std::sqrt(squares / cols + eps);
#pragma omp simd
  for (int c = 0; c < cols; ++c) y[c] = from_float<T>(gamma[c] * ((x[c] - mean) * scale) + beta[c]);
}

template <class T>
void layer_norm(T* y,  // (rows, cols)
                float* branch,  // (rows, cols), overwritten
                const T* skip,  // (rows, cols), may be y; null for none
                const float* gamma, const float* beta,  // (cols)
                int rows, int cols, float eps) {
  for (int row = 0; row < rows; ++row, y += cols, branch += cols) {
    if (skip) {
#pragma omp simd
      for (int c = 0; c < cols; ++c) branch[c] += to_float(skip[c]);
      skip += cols;
    }
    normalize(y, branch, gamma, beta, cols, eps);
  }
}

}  // namespace cpu
