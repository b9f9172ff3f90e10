// One tile of a board of 64 squares, channels innermost, on its way into Winograd's products and out of them.
#pragma once
#include "activation.h"
#include "half.h"
#include "winograd.h"

namespace rocm {

// B^T of six values that lie kStep apart.
template <int kStep>
__device__ inline void transform_input(float* d) {
  const float d0 = d[0], d1 = d[kStep], d2 = d[2 * kStep], d3 = d[3 * kStep], d4 = d[4 * kStep], d5 = d[5 * kStep];
  const float even_a = fmaf(-kB2, d2, d4), odd_a = fmaf(kA, d3, -kB * d1);  // a b^2 = b
  const float even_b = fmaf(-kA2, d2, d4), odd_b = fmaf(kB, d3, -kA * d1);
  d[0] = fmaf(-(kA2 + kB2), d2, d0 + d4);
  d[kStep] = even_a + odd_a;
  d[2 * kStep] = even_a - odd_a;
  d[3 * kStep] = even_b + odd_b;
  d[4 * kStep] = even_b - odd_b;
  d[5 * kStep] = fmaf(-(kA2 + kB2), d3, d1 + d5);
}

// A^T: four values from six.
__device__ inline void transform_output(float* y, int step, const float (&m)[6]) {
  const float sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[step] = fmaf(kA, difference_a, kB * difference_b);
  y[2 * step] = fmaf(kA2, sum_a, kB2 * sum_b);
  y[3 * step] = fmaf(kA2 * kA, difference_a, fmaf(kB2 * kB, difference_b, m[5]));
}

// The tile's 6x6 squares reach one beyond its 4x4; beyond the board they are zero.
template <class T, int kWidth, int kTile>
KERNEL_PART void transform_tile(T* v, const T* x, int channels, size_t plane) {
  float d[kWidth][36];
#pragma unroll
  for (int i = 0; i < 36; ++i) {
    const int rank = kTile / 2 * 4 + i / 6 - 1, file = kTile % 2 * 4 + i % 6 - 1;
    const bool inside = rank >= 0 && rank < 8 && file >= 0 && file < 8;
    const Floats<kWidth> value = inside ? load<kWidth>(at(x, (rank * 8 + file) * channels)) : Floats<kWidth>{};
#pragma unroll
    for (int e = 0; e < kWidth; ++e) d[e][i] = value.x[e];
  }
#pragma unroll
  for (int e = 0; e < kWidth; ++e) {
#pragma unroll
    for (int i = 0; i < 6; ++i) transform_input<6>(d[e] + i);
#pragma unroll
    for (int i = 0; i < 6; ++i) transform_input<1>(d[e] + 6 * i);
  }
#pragma unroll
  for (int i = 0; i < kPoints; ++i) {
    Floats<kWidth> value;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) value.x[e] = d[e][i] * (1 / kWinogradScale);
    store(v + i * plane, value);
  }
}

template <class T, int kWidth>
KERNEL_PART void transform_tile(int tile, T* v, const T* x, int channels, size_t plane) {
  switch (tile) {
    case 0: return transform_tile<T, kWidth, 0>(v, x, channels, plane);
    case 1: return transform_tile<T, kWidth, 1>(v, x, channels, plane);
    case 2: return transform_tile<T, kWidth, 2>(v, x, channels, plane);
    default: return transform_tile<T, kWidth, 3>(v, x, channels, plane);
  }
}

// The 4x4 outputs of a tile, bias included. m: its first product.
template <class T, int kWidth>
KERNEL_PART void tile_outputs(float (&y)[kWidth][16], const T* m, const T* bias, int c, size_t plane) {
  float columns[kWidth][24];  // (4, 6)
#pragma unroll
  for (int j = 0; j < 6; ++j) {
    Floats<kWidth> products[6];
#pragma unroll
    for (int i = 0; i < 6; ++i) products[i] = load<kWidth>(m + (6 * i + j) * plane);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) {
      float column[6];
#pragma unroll
      for (int i = 0; i < 6; ++i) column[i] = products[i].x[e];
      transform_output(columns[e] + j, 6, column);
    }
  }
#pragma unroll
  for (int e = 0; e < kWidth; ++e) {
    const float add = bias ? to_float(bias[c + e]) : 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float row[6];
#pragma unroll
      for (int j = 0; j < 6; ++j) row[j] = columns[e][6 * i + j];
      transform_output(y[e] + 4 * i, 1, row);
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) y[e][i] = fmaf(y[e][i], kWinogradScale, add);
  }
}

__device__ inline unsigned tile_square(int tile, int i) { return (tile / 2 * 4 + i / 4) * 8 + tile % 2 * 4 + i % 4; }

template <class T, int kWidth>
KERNEL_PART void load_tile(Packed<T, kWidth> (&values)[16], const T* x, int tile, int channels) {
#pragma unroll
  for (int i = 0; i < 16; ++i) values[i] = *reinterpret_cast<const Packed<T, kWidth>*>(at(x, tile_square(tile, i) * channels));
}

template <class T, int kWidth>
KERNEL_PART void add(float (&out)[kWidth][16], const Packed<T, kWidth> (&values)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int e = 0; e < kWidth; ++e) out[e][i] += to_float(values[i].x[e]);
}

template <class T, int kWidth>
KERNEL_PART void activate_tile(float (&out)[kWidth][16], nn::Activation activation) {
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
#pragma unroll
      for (float& value : out[e]) value = activate(kActivation, value);
  });
#pragma unroll
  for (auto& values : out) saturate<T>(values);
}

template <class T, int kWidth>
KERNEL_PART void store_tile(T* y, const float (&out)[kWidth][16], int tile, int channels) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    Floats<kWidth> value;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) value.x[e] = out[e][i];
    store(at(y, tile_square(tile, i) * channels), value);
  }
}

}  // namespace rocm
