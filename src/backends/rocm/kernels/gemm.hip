// gemm: y = act(x w^T + bias), our own matrix product for targets whose libraries are missing or weak; strided batch, split-K. Its last
// columns may be an array of their own, so that products of one x are one launch.
//
// A block makes a tile of y (gemm_tiles.h). It copies the tiles' next kDeep of k from memory to registers while the matrix instructions work on
// the last ones in LDS.
//
// Floor of a tile of 128 x 128: 128 * 128 * depth multiply-adds and 512 * depth bytes, 32 multiply-adds a byte (16 for 64 x 64, 6 for 16 x 64)
// of which w comes from memory once and the rest from the second-level cache: bound by matrix instructions from 64 rows a compute
// unit on, below by reading w. A wave's 64 x 32 share issues 8 WMMA for 12 LDS loads on gfx11, for 6 on gfx12.
#include <string>

#include "error.h"
#include "gemm_tiles.h"

namespace rocm {

// How a block makes its tile of y. kStages 2: the next tiles of x and w are written while others still read the last ones.
template <int kTile>
struct Shape;
template <> struct Shape<0> { static constexpr int kThreads = 64, kDeep = 64, kStages = 1; };
template <> struct Shape<1> { static constexpr int kThreads = 128, kDeep = 64, kStages = 1; };
template <> struct Shape<2> { static constexpr int kThreads = 128, kDeep = 32, kStages = 2; };
template <> struct Shape<3> { static constexpr int kThreads = 128, kDeep = 32, kStages = 1; };
template <> struct Shape<4> { static constexpr int kThreads = 256, kDeep = 32, kStages = 2; };

// The part of depth that a block sums: from `first` to `end`, in whole steps but for the last.
struct Range {
  int first, end;
};
__device__ inline Range split_range(int depth, int deep, int split, int splits) {
  const int steps = (depth + deep - 1) / deep;
  return {steps * split / splits * deep, min(depth, steps * (split + 1) / splits * deep)};
}

template <int kTile>
struct HalfShape : Shape<kTile> {
  static constexpr GemmTile kBlock = kGemmTiles[kTile];
  static constexpr int kPieces = Shape<kTile>::kDeep / 8;
};

template <int kTile, bool kParts>  // kParts: sums go to `parts`, else y is finished; its cols are a multiple of 8 then
__global__ void __launch_bounds__(Shape<kTile>::kThreads)
    gemm_half(half* y,           // (batch, rows, y_cols)
              half* side,        // (batch, rows, cols - y_cols): the columns from y_cols, a multiple of the tile's, on
              float* parts,      // (splits, batch, rows, ld)
              const half* x,     // (batch, rows, depth)
              const half* w,     // (batch, cols, depth); or one for all
              const half* bias,  // (cols) or null
              int batch, int rows, int cols, int y_cols, int depth, int ld, size_t w_stride, nn::Activation activation) {
  using L = TileLayout<HalfShape<kTile>>;
  constexpr int kBytes = sizeof(half);
  __shared__ typename L::Tiles tiles[L::kStages];

  const unsigned row0 = blockIdx.y * L::kBlock.rows, col0 = blockIdx.x * L::kBlock.cols;
  const int index = blockIdx.z % batch, split = blockIdx.z / batch;
  const Range range = split_range(depth, L::kDeep, split, gridDim.z / batch);
  const int length = range.end - range.first;
  Copier<L> copier(x + (size_t(index) * rows + row0) * depth + range.first, w + index * w_stride + size_t(col0) * depth + range.first,
                   rows - row0, cols - col0, depth * kBytes);

  // The first step takes what the whole ones leave, so that only it has to look where k ends.
  int steps = (length + L::kDeep - 1) / L::kDeep;
  int k_next = length - (steps - 1) * L::kDeep;
  copier.load_first(steps > 0 ? k_next * kBytes : 0);

  const int wave = threadIdx.x / kWave, my_row0 = wave / L::kWaveCols * L::kMyRows, my_col0 = wave % L::kWaveCols * L::kMyCols;
  typename L::Sums sums = {};
  const auto step = [&](auto stage, bool more) __attribute__((always_inline)) {  // stage is a constant, so that all LDS addresses are
    copier.store(tiles[stage]);
    __syncthreads();
    if (more) {
      copier.load_step(k_next * kBytes);
      k_next = min(k_next + L::kDeep, length - L::kDeep);
    }
    multiply<L>(sums, tiles[stage], my_row0, my_col0);
    keep_order();  // the next step's stores wait for the loads
    if constexpr (L::kStages == 1) __syncthreads();
  };
  if constexpr (L::kStages == 1) {
    for (; steps > 0; --steps) step(std::integral_constant<int, 0>{}, steps > 1);
  } else {
    // One barrier a step is enough: what is written was read before the last one. The last turn reads its tiles once more, for nobody.
    if (steps % 2) step(std::integral_constant<int, 1>{}, steps > 1);
#pragma unroll 1
    for (; steps > 1; steps -= 2) {
      step(std::integral_constant<int, 0>{}, true);
      step(std::integral_constant<int, 1>{}, true);
    }
  }

  if constexpr (kParts) {
    parts += ((size_t(split) * batch + index) * rows + row0) * ld + col0;
    for_each_row<L>(sums, my_row0, my_col0, rows - row0, cols - col0,
                    [&](unsigned row, unsigned col, const Floats8& z) { store8(at(parts, row * ld + col), z); });
  } else {
    activate_sums<L>(sums, bias, col0 + my_col0, cols, activation);
    const TilePlace place(y, side, size_t(index) * rows + row0, col0, cols, y_cols);
    for_each_row<L>(sums, my_row0, my_col0, rows - row0, cols - col0, [&](unsigned row, unsigned col, Floats8 z) { place.store(row, col, z); });
  }
}

// float, and half of any depth: no matrix instructions. A thread makes 4 x 4 to 8 x 8 of the tile. Each step takes 16 of k through LDS, where k
// comes first, so that a thread's operands are neighbours: bound by multiply-adds and, in the small tiles, by these reads.
template <class T, int kTile>
__global__ void __launch_bounds__(Shape<kTile>::kThreads)
    gemm_plain(T* y, T* side, float* parts, const T* x, const T* w, const T* bias, int batch, int rows, int cols, int y_cols, int depth, int ld,
               size_t w_stride, nn::Activation activation) {  // as above
  constexpr GemmTile kBlock = kGemmTiles[kTile];
  constexpr int kThreads = Shape<kTile>::kThreads, kDeep = 16;
  constexpr int kMyCols = kTile == 4 ? 8 : 4, kMyRows = kBlock.rows * kBlock.cols / kThreads / kMyCols, kAcross = kBlock.cols / kMyCols;
  __shared__ float left[kDeep][kBlock.rows + 4], right[kDeep][kBlock.cols + 4];  // 4 more: writers of a row's k reach more banks
  const int row0 = blockIdx.y * kBlock.rows, col0 = blockIdx.x * kBlock.cols;
  const int index = blockIdx.z % batch, split = blockIdx.z / batch;
  const Range range = split_range(depth, kDeep, split, gridDim.z / batch);
  const int r0 = threadIdx.x / kAcross * kMyRows, c0 = threadIdx.x % kAcross * kMyCols;
  x += size_t(index) * rows * depth, w += index * w_stride;

  const bool vectors = sizeof(T) == 4 && depth % 4 == 0;
  const auto copy = [&](auto& tile, const T* matrix, int first, int size, int k0) {
    constexpr int kSize = sizeof(tile[0]) / 4 - 4;
    for (int i = threadIdx.x; i < kSize * kDeep / 4; i += kThreads) {
      const int k = i % (kDeep / 4) * 4, r = i / (kDeep / 4);
      const T* const p = matrix + size_t(min(first + r, size - 1)) * depth + k0 + k;  // beyond the matrix its last row, not stored
      float v[4] = {};
      if (vectors) {
        if (k0 + k < range.end) __builtin_memcpy(v, __builtin_assume_aligned(p, 16), 16);
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (k0 + k + e < range.end) v[e] = to_float(p[e]);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) tile[k + e][r] = v[e];
    }
  };
  float sums[kMyRows][kMyCols] = {};
#pragma unroll 1
  for (int k0 = range.first; k0 < range.end; k0 += kDeep) {
    copy(left, x, row0, rows, k0);
    copy(right, w, col0, cols, k0);
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < kDeep; ++k)
#pragma unroll
      for (int i = 0; i < kMyRows; ++i)
#pragma unroll
        for (int j = 0; j < kMyCols; ++j) sums[i][j] = fmaf(left[k][r0 + i], right[k][c0 + j], sums[i][j]);
    __syncthreads();
  }
  if (!parts) {
#pragma unroll
    for (int j = 0; bias && j < kMyCols; ++j) {
      const float add = to_float(bias[min(col0 + c0 + j, cols - 1)]);
#pragma unroll
      for (int i = 0; i < kMyRows; ++i) sums[i][j] += add;
    }
    with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
      for (auto& row : sums)
#pragma unroll
        for (float& z : row) z = activate(kActivation, z);
    });
  }
  const bool aside = col0 >= y_cols;
  const int width = aside ? cols - y_cols : y_cols, from = aside ? y_cols : 0;
  T* const to = aside ? side : y;
#pragma unroll
  for (int i = 0; i < kMyRows; ++i)
#pragma unroll
    for (int j = 0; j < kMyCols; ++j) {
      const int row = row0 + r0 + i, col = col0 + c0 + j;
      if (row >= rows || col >= cols) continue;
      const size_t line = size_t(index) * rows + row;
      if (parts) parts[(size_t(split) * batch * rows + line) * ld + col] = sums[i][j];
      else put(to + line * width + col - from, saturated<T>(sums[i][j]));
    }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_gemm(hipStream_t stream, T* y, T* side, int side_cols, const T* x, const T* w, const T* bias, int batch, int rows, int cols,
                 int depth, bool one_w, nn::Activation activation, int tile, int splits, float* parts) {
  const auto fail = [&](const std::string& why) {
    throw Error("a matrix product of " + std::to_string(batch) + " x (" + std::to_string(rows) + ", " + std::to_string(depth) + ") by (" +
                std::to_string(depth) + ", " + std::to_string(cols) + ") " + why);
  };
  if (batch <= 0 || rows <= 0 || cols <= 0 || depth <= 0 || splits <= 0 || size_t(batch) * splits > 65535 || tile < 0 ||
      tile >= int(std::size(kGemmTiles)) || (rows - 1) / kGemmTiles[tile].rows >= 65535)
    fail("is outside what the kernel can do; use a smaller batch");
  if (side_cols && (cols - side_cols) % kGemmTiles[tile].cols) fail("cannot be split between two arrays inside of a tile");
  if (size_t(depth) * 128 * sizeof(T) > 0xffffffff || size_t(cols) * 128 * sizeof(float) > 0xffffffff) fail("has rows too long for the kernel");
  const bool in_parts = gemm_parts_bytes<T>(batch, rows, cols, splits) > 0;
  if (in_parts && !parts) fail("was given no memory for its parts");
  const int ld = (cols + 7) / 8 * 8;
  const auto run = [&](auto kernel, int tile, int threads) {
    const dim3 grid((cols - 1) / kGemmTiles[tile].cols + 1, (rows - 1) / kGemmTiles[tile].rows + 1, batch * splits);
    hipLaunchKernelGGL(kernel, grid, dim3(threads), 0, stream, y, side, in_parts ? parts : nullptr, x, w, bias, batch, rows, cols, cols - side_cols,
                       depth, ld, one_w ? 0 : size_t(cols) * depth, activation);
  };
  const auto choose = [&]<int kTile>(std::integral_constant<int, kTile>) {
    if (kTile != tile) return;
    if constexpr (std::is_same_v<T, half>) {
      if (depth % 8) run(gemm_plain<half, 2>, 2, Shape<2>::kThreads);
      else run(in_parts ? gemm_half<kTile, true> : gemm_half<kTile, false>, kTile, Shape<kTile>::kThreads);
    } else {
      run(gemm_plain<float, kTile>, kTile, Shape<kTile>::kThreads);
    }
  };
  choose(std::integral_constant<int, 0>{}), choose(std::integral_constant<int, 1>{}), choose(std::integral_constant<int, 2>{});
  choose(std::integral_constant<int, 3>{}), choose(std::integral_constant<int, 4>{});
}

template void launch_gemm(hipStream_t, float*, float*, int, const float*, const float*, const float*, int, int, int, int, bool,
                          nn::Activation, int, int, float*);
template void launch_gemm(hipStream_t, half*, half*, int, const half*, const half*, const half*, int, int, int, int, bool,
                          nn::Activation, int, int, float*);

}  // namespace rocm
