// Attention of 64 tokens (docs/spec/networks.md 4.4): scores, smolgen bias, softmax and weighted sum for one head after another,
// all in the first-level cache and in fp32. Limited by the multiply-add rate of the 4 x 16 tile below.
#pragma once
#include <vector>

#include "backends/cpu/activation.h"
#include "backends/cpu/number.h"

namespace cpu {

// c (4, 16) += a (4, n) b (n, 16), leading dimensions beside them.
inline void multiply_tile(float* c, int ldc, const float* a, int lda, const float* b, int ldb, int n) {
  float sum[4][16];
  for (int r = 0; r < 4; ++r)
    for (int j = 0; j < 16; ++j) sum[r][j] = c[r * ldc + j];
  for (int k = 0; k < n; ++k)
    for (int r = 0; r < 4; ++r)
#pragma omp simd
      for (int j = 0; j < 16; ++j) sum[r][j] += a[r * lda + k] * b[k * ldb + j];
  for (int r = 0; r < 4; ++r)
    for (int j = 0; j < 16; ++j) c[r * ldc + j] = sum[r][j];
}

// x (64): softmax in place.
inline void softmax(float* x) {
  float top = x[0];
#pragma omp simd reduction(max : top)
  for (int j = 0; j < 64; ++j) top = x[j] > top ? x[j] : top;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int j = 0; j < 64; ++j) {
    x[j] = exponential(x[j] - top);
    sum += x[j];
  }
  const float scale = 1 / sum;
#pragma omp simd
  for (int j = 0; j < 64; ++j) x[j] *= scale;
}

template <class T>
void attention(T* out,  // (positions, 64, heads * depth)
               const T* qkv,  // (positions, 64, 3, heads * depth), q already scaled by 1 / sqrt(depth)
               const T* bias,  // (positions, heads, 64, 64), added to the scores; null for none
               int positions, int heads, int depth) {
  const int width = heads * depth, padded = (depth + 15) / 16 * 16;
  thread_local std::vector<float> buffer;
  buffer.assign(std::size_t{64} * (2 * depth + 2 * padded + 64), 0.0f);
  float* q = buffer.data();  // (64, depth)
  float* k = q + 64 * depth;  // (depth, 64)
  float* v = k + 64 * depth;  // (64, padded)
  float* o = v + 64 * padded;  // (64, padded)
  float* scores = o + 64 * padded;  // (64, 64)
  for (int p = 0; p < positions; ++p)
    for (int head = 0; head < heads; ++head) {
      for (int token = 0; token < 64; ++token) {
        const T* row = qkv + (std::size_t(p) * 64 + token) * 3 * width + head * depth;
        for (int c = 0; c < depth; ++c) {
          q[token * depth + c] = to_float(row[c]);
          k[c * 64 + token] = to_float(row[width + c]);
          v[token * padded + c] = to_float(row[2 * width + c]);
        }
      }
      for (int i = 0; i < 64 * 64; ++i) scores[i] = bias ? to_float(bias[i]) : 0;
      if (bias) bias += 64 * 64;
      for (int i = 0; i < 64 * padded; ++i) o[i] = 0;
      for (int i = 0; i < 64; i += 4) {
        for (int j = 0; j < 64; j += 16) multiply_tile(scores + 64 * i + j, 64, q + depth * i, depth, k + j, 64, depth);
        for (int r = i; r < i + 4; ++r) softmax(scores + 64 * r);
        for (int c = 0; c < padded; c += 16)
          multiply_tile(o + padded * i + c, padded, scores + 64 * i, 64, v + c, padded, 64);
      }
      for (int token = 0; token < 64; ++token)
        for (int c = 0; c < depth; ++c)
          out[(std::size_t(p) * 64 + token) * width + head * depth + c] = from_float<T>(o[token * padded + c]);
    }
}

}  // namespace cpu
