// quantise_rows: rows of halves as numbers of 8 bits with a scale each (quantise.h), for products of such rows (gemm_int8_rows.hip).
//
// Memory bound: three bytes a number, 2.3 KB a row of 768. 32 lanes have a row, which stays in registers between the search for its largest number and
// the rounding up to 2,048 columns; wider ones are read twice, from the cache. Where a layer norm makes the row, it does this on the way.
#include <algorithm>

#include "kernels.h"
#include "quantise.h"

namespace rocm {

constexpr int kLanes = 32, kThreads = 128, kPiece = 8;  // kPiece: numbers in one load of a lane

template <int kPieces>  // of a lane, held; 0: of any row, loaded again
__global__ void __launch_bounds__(kThreads)
    quantise_rows(int8_t* numbers,  // (rows, cols)
                  float* scales,    // (rows)
                  const half* x,    // (rows, cols)
                  int rows, int cols) {
  const int row = blockIdx.x * (kThreads / kLanes) + threadIdx.x / kLanes;
  if (row >= rows) return;
  const unsigned column = threadIdx.x % kLanes * kPiece, step = kLanes * kPiece;
  x += size_t(row) * cols, numbers += size_t(row) * cols;
  const auto load = [&](unsigned c) { return c < unsigned(cols) ? *reinterpret_cast<const uint4*>(at(x, c)) : uint4{0, 0, 0, 0}; };
  const auto put = [&](const RowScale& by, unsigned c, uint4 halves) {
    if (c < unsigned(cols)) *reinterpret_cast<uint2*>(at(numbers, c)) = by.numbers(halves);
  };
  uint32_t largest = 0;
  const auto finish = [&](auto&& each) {
    const RowScale by(largest);
    if (threadIdx.x % kLanes == 0) scales[row] = by.scale;
    each(by);
  };
  if constexpr (kPieces > 0) {
    uint4 held[kPieces];
#pragma unroll
    for (int i = 0; i < kPieces; ++i) held[i] = load(column + i * step);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) largest = larger(largest, held[i]);
    finish([&](const RowScale& by) {
#pragma unroll
      for (int i = 0; i < kPieces; ++i) put(by, column + i * step, held[i]);
    });
  } else {
    for (unsigned c = column; c < unsigned(cols); c += step) largest = larger(largest, load(c));
    finish([&](const RowScale& by) {
      for (unsigned c = column; c < unsigned(cols); c += step) put(by, c, load(c));
    });
  }
}

// launcher --------------------------------------------------------------------
void launch_quantise_rows(hipStream_t stream, int8_t* numbers, float* scales, const half* x, int rows, int cols) {
  const int pieces = (cols + kLanes * kPiece - 1) / (kLanes * kPiece);
  const auto run = [&](auto kernel) {
    hipLaunchKernelGGL(kernel, dim3((rows + kThreads / kLanes - 1) / (kThreads / kLanes)), dim3(kThreads), 0, stream, numbers, scales, x, rows, cols);
  };
  if (pieces <= 1) run(quantise_rows<1>);
  else if (pieces <= 2) run(quantise_rows<2>);
  else if (pieces <= 3) run(quantise_rows<3>);
  else if (pieces <= 4) run(quantise_rows<4>);
  else if (pieces <= 8) run(quantise_rows<8>);
  else run(quantise_rows<0>);
}

}  // namespace rocm
