// attention() in two halves with the map between them in memory, for those who look at it: plain loops.
#pragma once
#include <algorithm>

#include "backends/cpu/attention.h"

namespace cpu {

template <class T>
void attention_map(float* map,  // (positions, heads, 64, 64)
                   const T* qkv,  // (positions, 64, 3, heads * depth), q already scaled by 1 / sqrt(depth)
                   const T* bias,  // as map, added to the scores; null for none
                   int positions, int heads, int depth) {
  const int width = heads * depth;
  for (int p = 0; p < positions; ++p, qkv += std::size_t{64} * 3 * width)
    for (int head = 0; head < heads; ++head)
      for (int i = 0; i < 64; ++i, map += 64) {
        for (int j = 0; j < 64; ++j) {
          const T *q = qkv + i * 3 * width + head * depth, *k = qkv + (j * 3 + 1) * width + head * depth;
          float sum = bias ? to_float(*bias++) : 0;
#pragma omp simd reduction(+ : sum)
          for (int c = 0; c < depth; ++c) sum += to_float(q[c]) * to_float(k[c]);
          map[j] = sum;
        }
        softmax(map);
      }
}

template <class T>
void mix_values(T* out,  // (positions, 64, heads * depth)
                const float* map, const T* qkv, int positions, int heads, int depth) {
  const int width = heads * depth;
  std::vector<float> sum(depth);
  for (int p = 0; p < positions; ++p, qkv += std::size_t{64} * 3 * width, out += std::size_t{64} * width)
    for (int head = 0; head < heads; ++head)
      for (int i = 0; i < 64; ++i, map += 64) {
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (int j = 0; j < 64; ++j) {
          const T* v = qkv + (j * 3 + 2) * width + head * depth;
          for (int c = 0; c < depth; ++c) sum[c] += map[j] * to_float(v[c]);
        }
        for (int c = 0; c < depth; ++c) out[i * width + head * depth + c] = from_float<T>(sum[c]);
      }
}

}  // namespace cpu
