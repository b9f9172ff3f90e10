// winograd_input, winograd_output: what winograd.h does before and after its 36 products, for boards of 64 squares with their channels
// innermost. A thread has one tile of one or two channels. Memory bound: the transformed arrays are 2.25 times the board.
// With squeeze and excitation a block has a whole position, sums its channels in passing, and keeps the plain outputs in registers until the
// gates are known: a chain of memory, four barriers and two small layers, whose latency bounds it while few blocks fit beside each other.
#include "squeeze_excitation.h"
#include "winograd.h"

namespace rocm {

constexpr int kInputThreads = 128, kOutputThreads = 128, kExciteThreads = 512;

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
__device__ inline void transform_tile(T* v, const T* x, int channels, size_t plane) {
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
__global__ void __launch_bounds__(kInputThreads)
    winograd_input(T* v,        // (36, batch * 4, channels)
                   const T* x,  // (batch * 64, channels)
                   int batch, int channels) {
  const unsigned i = blockIdx.x * kInputThreads + threadIdx.x, groups = channels / kWidth, position = i / groups, c = i % groups * kWidth;
  if (position >= unsigned(batch)) return;
  const size_t plane = size_t(batch) * kTiles * channels;
  x += size_t(position) * 64 * channels + c;
  v += size_t(position * kTiles + blockIdx.y) * channels + c;
  switch (blockIdx.y) {
    case 0: transform_tile<T, kWidth, 0>(v, x, channels, plane); break;
    case 1: transform_tile<T, kWidth, 1>(v, x, channels, plane); break;
    case 2: transform_tile<T, kWidth, 2>(v, x, channels, plane); break;
    default: transform_tile<T, kWidth, 3>(v, x, channels, plane);
  }
}

// The 4x4 outputs of a tile, bias included. m: its first product.
template <class T, int kWidth>
__device__ inline void tile_outputs(float (&y)[kWidth][16], const T* m, const T* bias, int c, size_t plane) {
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

// Neighbouring channels as they lie in memory: 16 squares of a tile take half the registers that their floats would.
template <class T, int kWidth>
struct alignas(kWidth * sizeof(T)) Packed {
  T x[kWidth];
};

template <class T, int kWidth>
__device__ inline void load_tile(Packed<T, kWidth> (&values)[16], const T* x, int tile, int channels) {
#pragma unroll
  for (int i = 0; i < 16; ++i) values[i] = *reinterpret_cast<const Packed<T, kWidth>*>(at(x, tile_square(tile, i) * channels));
}

template <class T, int kWidth>
__device__ inline void add(float (&out)[kWidth][16], const Packed<T, kWidth> (&values)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int e = 0; e < kWidth; ++e) out[e][i] += to_float(values[i].x[e]);
}

template <class T, int kWidth>
__device__ inline void finish_tile(T* y, float (&out)[kWidth][16], int tile, int channels, nn::Activation activation) {
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
#pragma unroll
      for (float& value : out[e]) value = activate(kActivation, value);
  });
#pragma unroll
  for (auto& values : out) saturate<T>(values);
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    Floats<kWidth> value;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) value.x[e] = out[e][i];
    store(at(y, tile_square(tile, i) * channels), value);
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kOutputThreads)
    winograd_output(T* y,           // (batch * 64, channels); may be skip
                    const T* m,     // (36, batch * 4, channels)
                    const T* bias,  // (channels) or null
                    const T* skip,  // (batch * 64, channels) or null
                    int batch, int channels, nn::Activation activation) {
  const unsigned i = blockIdx.x * kOutputThreads + threadIdx.x, groups = channels / kWidth, position = i / groups, c = i % groups * kWidth;
  if (position >= unsigned(batch)) return;
  const int tile = blockIdx.y;
  const size_t first = size_t(position) * 64 * channels + c;
  float out[kWidth][16];
  tile_outputs<T, kWidth>(out, m + size_t(position * kTiles + tile) * channels + c, bias, c, size_t(batch) * kTiles * channels);
  if (skip) {
    Packed<T, kWidth> rest[16];
    load_tile(rest, skip + first, tile, channels);
    add(out, rest);
  }
  finish_tile(y + first, out, tile, channels, activation);
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kExciteThreads)
    winograd_output_excited(T* y, const T* m, const T* bias, const T* skip, SqueezeExcitation<T> se, int batch, int channels,
                            nn::Activation activation) {
  HIP_DYNAMIC_SHARED(float, lds);
  const int groups = channels / kWidth;
  const size_t first = size_t(blockIdx.x) * 64 * channels;
  y += first, m += size_t(blockIdx.x) * kTiles * channels;
  const int tile = threadIdx.x / groups, c = threadIdx.x % groups * kWidth;
  float out[kWidth][16];
  Packed<T, kWidth> rest[16] = {};
  if (tile < kTiles) {
    tile_outputs<T, kWidth>(out, m + tile * channels + c, bias, c, size_t(batch) * kTiles * channels);
    if (skip) load_tile(rest, skip + first + c, tile, channels);  // comes while the gates are computed
#pragma unroll
    for (int e = 0; e < kWidth; ++e) {
      float sum = 0;
#pragma unroll
      for (float value : out[e]) sum += value;
      lds[tile * channels + c + e] = sum;
    }
  }
  excite<T, kExciteThreads>(lds, se, channels, activation);
  if (tile >= kTiles) return;
#pragma unroll
  for (int e = 0; e < kWidth; ++e)
#pragma unroll
    for (float& value : out[e]) value = fmaf(value, lds[channels + c + e], lds[2 * channels + c + e]);
  add(out, rest);
  finish_tile(y + c, out, tile, channels, activation);
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_winograd_input(hipStream_t stream, T* v, const T* x, int batch, int channels) {
  const int width = channels % 2 == 0 ? 2 : 1;
  const dim3 grid((size_t(batch) * channels / width + kInputThreads - 1) / kInputThreads, kTiles);
  hipLaunchKernelGGL((width == 2 ? winograd_input<T, 2> : winograd_input<T, 1>), grid, dim3(kInputThreads), 0, stream, v, x, batch, channels);
}

bool winograd_excites(int channels) { return channels % 2 == 0 && kTiles * channels / 2 <= kExciteThreads; }

template <class T>
void launch_winograd_output(hipStream_t stream, T* y, const T* m, const T* bias, const T* skip, const SqueezeExcitation<T>* se, int batch,
                            int channels, nn::Activation activation) {
  if (se) {
    if (!winograd_excites(channels)) throw Error("Winograd's output cannot excite " + std::to_string(channels) + " channels");
    hipLaunchKernelGGL((winograd_output_excited<T, 2>), dim3(batch), dim3(kExciteThreads), squeeze_excitation_lds(channels, se->width), stream, y, m,
                       bias, skip, *se, batch, channels, activation);
    return;
  }
  const int width = channels % 2 == 0 ? 2 : 1;
  const dim3 grid((size_t(batch) * channels / width + kOutputThreads - 1) / kOutputThreads, kTiles);
  hipLaunchKernelGGL((width == 2 ? winograd_output<T, 2> : winograd_output<T, 1>), grid, dim3(kOutputThreads), 0, stream, y, m, bias, skip,
                     batch, channels, activation);
}

template void launch_winograd_input(hipStream_t, float*, const float*, int, int);
template void launch_winograd_input(hipStream_t, half*, const half*, int, int);
template void launch_winograd_output(hipStream_t, float*, const float*, const float*, const float*, const SqueezeExcitation<float>*, int, int,
                                     nn::Activation);
template void launch_winograd_output(hipStream_t, half*, const half*, const half*, const half*, const SqueezeExcitation<half>*, int, int,
                                     nn::Activation);

}  // namespace rocm
