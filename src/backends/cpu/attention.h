// Attention of 64 tokens (docs/spec/networks.md 4.4): scores, smolgen bias, softmax and weighted sum for one head after another,
// all in the first-level cache and in fp32. Limited by the multiply-add rate of the 4 x 16 tile below.
#pragma once
#include <vector>

#include "backends/cpu/activation.h"
#include "backends/cpu/number.h"

namespace cpu {

// c (4, 16) = start + a (4, n) b (n, 16), leading dimensions beside them; start null for zeros.
template <class T>
void multiply_tile(float* c, int ldc, const T* start, int lds, const float* a, int lda, const float* b, int ldb, int n) {
  float sum[4][16];
  for (int r = 0; r < 4; ++r)
    for (int j = 0; j < 16; ++j) sum[r][j] = start ? to_float(start[r * lds + j]) : 0;
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
  buffer.assign(std::size_t{64} * (2 * depth + padded) + 4 * (64 + padded), 0.0f);
  float* q = buffer.data();  // (64, depth)
  float* k = q + 64 * depth;  // (depth, 64)
  float* v = k + 64 * depth;  // (64, padded)
  float* scores = v + 64 * padded;  // (4, 64)
  float* o = scores + 4 * 64;  // (4, padded)
  for (int p = 0; p < positions; ++p, qkv += std::size_t{64} * 3 * width, out += std::size_t{64} * width)
    for (int head = 0; head < heads; ++head) {
      const T* from = qkv + head * depth;
      for (int token = 0; token < 64; ++token) {
        const T* row = from + token * 3 * width;
        for (int c = 0; c < depth; ++c) q[token * depth + c] = to_float(row[c]);
        for (int c = 0; c < depth; ++c) v[token * padded + c] = to_float(row[2 * width + c]);
      }
      for (int c = 0; c < depth; ++c)
        for (int token = 0; token < 64; ++token) k[c * 64 + token] = to_float(from[(token * 3 + 1) * width + c]);
      for (int i = 0; i < 64; i += 4) {
        for (int j = 0; j < 64; j += 16)
          multiply_tile(scores + j, 64, bias ? bias + 64 * i + j : nullptr, 64, q + depth * i, depth, k + j, 64, depth);
        for (int r = 0; r < 4; ++r) softmax(scores + 64 * r);
        for (int c = 0; c < padded; c += 16) multiply_tile<T>(o + c, padded, nullptr, 0, scores, 64, v + c, padded, 64);
        for (int r = 0; r < 4; ++r)
          for (int c = 0; c < depth; ++c) out[(i + r) * width + head * depth + c] = from_float<T>(o[r * padded + c]);
      }
      if (bias) bias += 64 * 64;
    }
}

}  // namespace cpu
