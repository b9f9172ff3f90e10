// gemm: y = act(x w^T + bias) + skip, our own matrix product for targets whose libraries are missing or weak; strided batch.
//
// A block makes 64 rows x 64 columns; the tile is transposed for the matrix instructions (their rows are our columns), so that a
// lane ends with eight neighbouring columns of a row: one 16-byte store. Operands are read straight into fragments; a
// block reads 64 rows of x and of w for each k, 32 multiply-adds a byte, so that the first-level cache limits it. What is not made of
// 16-byte pieces, and float, takes the plain kernel.
#include "../activation.h"
#include "../mma.h"
#include "error.h"
#include "kernels.h"

namespace rocm {

constexpr int kTile = 64, kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    gemm_half(half* y,           // (batch, rows, cols)
              const half* x,     // (batch, rows, depth)
              const half* w,     // (batch, cols, depth); or one for all
              const half* bias,  // (cols) or null
              const half* skip,  // like y, or null
              int rows, int cols, int depth, long w_stride, nn::Activation activation) {
  constexpr int kColTiles = kTile / kRows, kRowTiles = kTile / 16 * kWave / kThreads;
  const unsigned row0 = blockIdx.y * kTile + threadIdx.x / kWave * (16 * kRowTiles), col0 = blockIdx.x * kTile;
  x += size_t(blockIdx.z) * rows * depth, w += blockIdx.z * w_stride;
  y += size_t(blockIdx.z) * rows * cols;
  if (skip) skip += size_t(blockIdx.z) * rows * cols;

  // Rows and columns beyond the matrix repeat its last; their results are not stored.
  unsigned w_row[kColTiles][kAPieces], x_row[kRowTiles][kBPieces];
  for (int c = 0; c < kColTiles; ++c)
    for (int t = 0; t < kAPieces; ++t) w_row[c][t] = min(col0 + c * kRows + a_row(t), unsigned(cols - 1)) * depth;
  for (int r = 0; r < kRowTiles; ++r)
    for (int t = 0; t < kBPieces; ++t) x_row[r][t] = min(row0 + r * 16 + lane_column(t), unsigned(rows - 1)) * depth;

  FragD sums[kColTiles][kRowTiles] = {};
  for (int k = 0; k < depth; k += kK) {
    FragA a[kColTiles];
    FragB b[kRowTiles];
#pragma unroll
    for (int c = 0; c < kColTiles; ++c)
#pragma unroll
      for (int t = 0; t < kAPieces; ++t) a[c].x[t] = load_16_bytes(w, w_row[c][t] + k + clamp_k(piece_k(t), depth - k));
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int t = 0; t < kBPieces; ++t) {
        b[r].x[t] = load_16_bytes(x, x_row[r][t] + k + clamp_k(piece_k(t), depth - k));
        if (piece_k(t) >= depth - k) b[r].x[t] = {0, 0, 0, 0};
      }
#pragma unroll
    for (int c = 0; c < kColTiles; ++c)
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) sums[c][r] = mma(a[c], b[r], sums[c][r]);
  }

#pragma unroll
  for (int c = 0; c < kColTiles; ++c) {
    const unsigned col = col0 + c * kRows + lane_row();
    if (col >= unsigned(cols)) continue;
    const Floats8 add = bias ? load8(bias + col) : Floats8{};
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int t = 0; t < kColumns; ++t) {
        const unsigned row = row0 + r * 16 + lane_column(t);
        if (row >= unsigned(rows)) continue;
        const Floats8 rest = skip ? load8(at(skip, row * cols + col)) : Floats8{};
        Floats8 z;
#pragma unroll
        for (int e = 0; e < 8; ++e) z.x[e] = activate(activation, sums[c][r].x[8 * t + e] + add.x[e]) + rest.x[e];
        store8(at(y, row * cols + col), z);
      }
  }
}

// Any sizes: a thread makes 4 x 4 of a tile of 64 x 64, 16 deep steps through LDS.
template <class T>
__global__ void __launch_bounds__(256)
    gemm_plain(T* y, const T* x, const T* w, const T* bias, const T* skip, int rows, int cols, int depth, long w_stride,
               nn::Activation activation) {
  constexpr int kDeep = 16;
  __shared__ float left[kDeep][kTile + 1], right[kDeep][kTile + 1];
  const int row0 = blockIdx.y * kTile, col0 = blockIdx.x * kTile, r0 = threadIdx.x / 16, c0 = threadIdx.x % 16;
  x += size_t(blockIdx.z) * rows * depth, w += blockIdx.z * w_stride;
  const size_t first = size_t(blockIdx.z) * rows * cols;
  float sums[4][4] = {};
  for (int k0 = 0; k0 < depth; k0 += kDeep) {
    for (int i = threadIdx.x; i < kDeep * kTile; i += 256) {
      const int k = i % kDeep, r = i / kDeep;
      const bool inside = k0 + k < depth;
      left[k][r] = inside && row0 + r < rows ? to_float(x[size_t(row0 + r) * depth + k0 + k]) : 0;
      right[k][r] = inside && col0 + r < cols ? to_float(w[size_t(col0 + r) * depth + k0 + k]) : 0;
    }
    __syncthreads();
    for (int k = 0; k < kDeep; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(left[k][r0 + 16 * i], right[k][c0 + 16 * j], sums[i][j]);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = row0 + r0 + 16 * i, col = col0 + c0 + 16 * j;
      if (row >= rows || col >= cols) continue;
      const size_t to = first + size_t(row) * cols + col;
      put(y + to, activate(activation, sums[i][j] + (bias ? to_float(bias[col]) : 0)) + (skip ? to_float(skip[to]) : 0));
    }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_gemm(hipStream_t stream, T* y, const T* x, const T* w, const T* bias, const T* skip, int batch, int rows, int cols, int depth,
                 bool one_w, nn::Activation activation) {
  if (batch <= 0 || rows <= 0 || cols <= 0 || depth <= 0 || batch > 65535 || (rows + kTile - 1) / kTile > 65535)
    throw Error("a matrix product of " + std::to_string(batch) + " x (" + std::to_string(rows) + ", " + std::to_string(depth) + ") by (" +
                std::to_string(depth) + ", " + std::to_string(cols) + ") is outside what the kernel can do; use a smaller batch");
  const dim3 grid((cols + kTile - 1) / kTile, (rows + kTile - 1) / kTile, batch);
  const long w_stride = one_w ? 0 : long(cols) * depth;
  if constexpr (std::is_same_v<T, half>)
    if (depth % 8 == 0 && cols % 8 == 0) {
      hipLaunchKernelGGL(gemm_half, grid, dim3(kThreads), 0, stream, y, x, w, bias, skip, rows, cols, depth, w_stride, activation);
      return;
    }
  hipLaunchKernelGGL(gemm_plain<T>, grid, dim3(256), 0, stream, y, x, w, bias, skip, rows, cols, depth, w_stride, activation);
}

template void launch_gemm(hipStream_t, float*, const float*, const float*, const float*, const float*, int, int, int, int, bool,
                          nn::Activation);
template void launch_gemm(hipStream_t, half*, const half*, const half*, const half*, const half*, int, int, int, int, bool,
                          nn::Activation);

}  // namespace rocm
