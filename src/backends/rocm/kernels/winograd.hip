// winograd_input, winograd_output: what winograd.h does before and after its 36 products, for boards of 64 squares with their channels
// innermost. A thread has one tile of one or two channels. Memory bound: the transformed arrays are 2.25 times the board.
// With squeeze and excitation a block has a whole position, sums its channels in passing, and keeps the plain outputs in registers until the
// gates are known: a chain of memory, four barriers and two small layers, whose latency bounds it while few blocks fit beside each other.
// For few positions winograd_between.hip does both, and has more blocks.
#include "squeeze_excitation.h"
#include "winograd_tiles.h"

namespace rocm {

constexpr int kInputThreads = 128, kOutputThreads = 128, kExciteThreads = 512;

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
  transform_tile<T, kWidth>(blockIdx.y, v, x, channels, plane);
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
  activate_tile<T>(out, activation);
  store_tile(y + first, out, tile, channels);
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
  const HeldExcitation<T, kExciteThreads> held(se, channels);
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
  excite<T, kExciteThreads>(lds, se, channels, activation, &held);
  if (tile >= kTiles) return;
#pragma unroll
  for (int e = 0; e < kWidth; ++e)
#pragma unroll
    for (float& value : out[e]) value = fmaf(value, lds[channels + c + e], lds[2 * channels + c + e]);
  add(out, rest);
  activate_tile<T>(out, activation);
  store_tile(y + c, out, tile, channels);
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
