// winograd_between: what lies between the products of two convolutions of a tower, in one launch: the outputs of the first, squeeze and excitation, skip
// and activation, and the transformed inputs of the second.
//
//   x = act(se(A^T m A + bias) + skip),  v = B^T x B
//
// For few positions, of which winograd.hip's kernels leave most of a GPU idle: a block has the 64 channels of a position whose tiles meet in LDS. With squeeze
// and excitation each block sums all channels, which needs no outputs: their sum over a tile is one weight a product.
//
// Limits: one chain of latency: 36 loads, (sums, two small layers), a transform, LDS, another transform. With excitation a block reads the position's whole m
// again, 74 KB of 256 channels, so that from some 64 positions on the second-level cache bounds it and two launches win.
#include "squeeze_excitation.h"
#include "winograd_tiles.h"

namespace rocm {

constexpr int kPairs = 32, kBoardStep = 2 * kPairs;  // of a block: pairs of channels; numbers from square to square in LDS
constexpr int kThreads = kTiles * kPairs, kExciteThreads = 512;

// The sum of a tile's 16 outputs without bias, of each of two channels.
template <class T>
KERNEL_PART Floats<2> sum_outputs(const T* m, size_t plane) {
  constexpr float kShares[6] = {1, 1 + kA + kA2 + kA2 * kA, 1 - kA + kA2 - kA2 * kA,  // columns of A^T, added
                                1 + kB + kB2 + kB2 * kB, 1 - kB + kB2 - kB2 * kB, 1};
  Floats<2> sum = {};
#pragma unroll
  for (int i = 0; i < kPoints; ++i) {
    const Floats<2> value = load<2>(m + i * plane);
#pragma unroll
    for (int e = 0; e < 2; ++e) sum.x[e] = fmaf(value.x[e], kShares[i / 6] * kShares[i % 6] * kWinogradScale, sum.x[e]);
  }
  return sum;
}

template <class T, bool kExcites>
__global__ void __launch_bounds__(kExcites ? kExciteThreads : kThreads)
    winograd_between(T* v,           // (36, batch * 4, channels) or null
                     T* x,           // (batch * 64, channels) or null; may be skip
                     const T* m,     // (36, batch * 4, channels)
                     const T* bias,  // (channels) or null
                     const T* skip,  // (batch * 64, channels) or null
                     SqueezeExcitation<T> se, int batch, int channels, nn::Activation activation) {
  HIP_DYNAMIC_SHARED(float, lds);  // of excite()
  __shared__ uint4 board_pieces[64 * kBoardStep * sizeof(T) / 16];
  T* const board = reinterpret_cast<T*>(board_pieces);
  const int all = kExcites ? channels / 2 : kPairs;  // pairs that the block looks at
  const int tile = threadIdx.x / all, pair = threadIdx.x % all + (kExcites ? 0 : blockIdx.x * kPairs), c = pair * 2;
  const bool present = tile < kTiles && c < channels, mine = present && pair / kPairs == int(blockIdx.x);
  const size_t plane = size_t(batch) * kTiles * channels, first = size_t(blockIdx.y) * 64 * channels + c;
  const size_t first_tile = size_t(blockIdx.y * kTiles + tile) * channels + c;

  float out[2][16];
  Packed<T, 2> rest[16] = {};
  constexpr bool kEarly = sizeof(T) == 2;  // floats have no room beside the outputs
  const auto outputs = [&]() __attribute__((always_inline)) {
    if (kEarly && skip) load_tile(rest, skip + first, tile, channels);
    tile_outputs<T, 2>(out, m + first_tile, bias, c, plane);
  };
  if constexpr (kExcites) {
    const HeldExcitation<T, kExciteThreads> held(se, channels);
    Floats<2> sum = {};
    if (mine) {
      outputs();
#pragma unroll
      for (int e = 0; e < 2; ++e)
#pragma unroll
        for (float value : out[e]) sum.x[e] += value;
    } else if (present) {
      sum = sum_outputs(m + first_tile, plane);
#pragma unroll
      for (int e = 0; e < 2; ++e) sum.x[e] += bias ? 16 * to_float(bias[c + e]) : 0;
    }
    if (present) store(lds + tile * channels + c, sum);
    excite<T, kExciteThreads>(lds, se, channels, activation, &held);
    if (mine) {
#pragma unroll
      for (int e = 0; e < 2; ++e)
#pragma unroll
        for (float& value : out[e]) value = fmaf(value, lds[channels + c + e], lds[2 * channels + c + e]);
    }
  } else if (mine) {
    outputs();
  }
  T* const here = board + pair % kPairs * 2;
  if (mine) {
    if (!kEarly && skip) load_tile(rest, skip + first, tile, channels);
    add(out, rest);
    activate_tile<T>(out, activation);
    if (x) store_tile(x + first, out, tile, channels);
    store_tile(here, out, tile, kBoardStep);
  }
  __syncthreads();
  if (mine && v) transform_tile<T, 2>(tile, v + first_tile, here, kBoardStep, plane);
}

// launcher --------------------------------------------------------------------
bool winograd_chains(int channels, bool excites) { return channels % 2 == 0 && (!excites || winograd_excites(channels)); }

template <class T>
void launch_winograd_between(hipStream_t stream, T* v, T* x, const T* m, const T* bias, const T* skip, const SqueezeExcitation<T>* se, int batch,
                             int channels, nn::Activation activation) {
  if (!winograd_chains(channels, se)) throw Error("Winograd's convolutions of " + std::to_string(channels) + " channels cannot follow each other");
  const dim3 grid((channels / 2 + kPairs - 1) / kPairs, batch);
  if (se)
    hipLaunchKernelGGL((winograd_between<T, true>), grid, dim3(kExciteThreads), squeeze_excitation_lds(channels, se->width), stream, v, x, m, bias, skip, *se,
                       batch, channels, activation);
  else
    hipLaunchKernelGGL((winograd_between<T, false>), grid, dim3(kThreads), 0, stream, v, x, m, bias, skip, SqueezeExcitation<T>{}, batch, channels,
                       activation);
}

template void launch_winograd_between(hipStream_t, float*, float*, const float*, const float*, const float*, const SqueezeExcitation<float>*, int, int,
                                      nn::Activation);
template void launch_winograd_between(hipStream_t, half*, half*, const half*, const half*, const half*, const SqueezeExcitation<half>*, int, int,
                                      nn::Activation);

}  // namespace rocm
