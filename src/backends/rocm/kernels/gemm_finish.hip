// gemm_finish: y = act(sum of parts + bias), what a matrix product leaves to be done: after split-K, whose parts are float, or after
// a library that returned the bare product. Memory bound: parts once, y once; a thread takes eight neighbouring columns.
#include "activation.h"
#include "half.h"
#include "error.h"
#include "kernels.h"

#include <string>

namespace rocm {

template <class Part, class T, bool kWhole>  // kWhole: cols is a multiple of 8, so that all rows are 16-byte aligned
__global__ void __launch_bounds__(256)
    gemm_finish(T* y,               // (rows, y_cols); may be parts
                T* side,            // (rows, cols - y_cols): the columns from y_cols on, which is a multiple of 8 if there are any
                const Part* parts,  // (splits, rows, ld)
                int splits,
                const T* bias,  // (cols) or null
                size_t rows, int cols, int y_cols, int ld, nn::Activation activation) {
  const unsigned pieces = (cols + 7) / 8, piece = blockIdx.x * 256 + threadIdx.x;  // in 32 bits: a long division takes longer than the rest
  const size_t row = piece / pieces;
  if (row >= rows) return;
  const int col = piece % pieces * 8, inside = kWhole ? 8 : min(8, cols - col);
  T* const to = col < y_cols ? y + row * y_cols + col : side + row * (cols - y_cols) + (col - y_cols);
  Floats8 z{};
  for (int s = 0; s < splits; ++s) {
    const Part* const part = parts + (s * rows + row) * ld + col;
    if constexpr (kWhole) {
      const Floats8 p = load8(part);
#pragma unroll
      for (int e = 0; e < 8; ++e) z.x[e] += p.x[e];
    } else {
#pragma unroll
      for (int e = 0; e < 8; ++e)
        if (e < inside) z.x[e] += to_float(part[e]);
    }
  }
  if constexpr (kWhole) {
    const Floats8 b = bias ? load8(bias + col) : Floats8{};
#pragma unroll
    for (int e = 0; e < 8; ++e) z.x[e] += b.x[e];
    with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
      for (float& x : z.x) x = activate(kActivation, x);
    });
    saturate<T>(z.x);
    store8(to, z);
  } else {
#pragma unroll
    for (int e = 0; e < 8; ++e)
      if (e < inside) put(to + e, saturated<T>(activate(activation, z.x[e] + (bias ? to_float(bias[col + e]) : 0))));
  }
}

// launcher --------------------------------------------------------------------
template <class Part, class T>
void launch_gemm_finish(hipStream_t stream, T* y, T* side, int side_cols, const Part* parts, int splits, const T* bias, size_t rows, int cols,
                        int ld, nn::Activation activation) {
  const size_t threads = rows * ((cols + 7) / 8);
  if (threads > 0xffffffff - 256) throw Error("finishing a product of " + std::to_string(rows) + " rows; use a smaller batch");
  const auto run = [&](auto kernel) {
    hipLaunchKernelGGL(kernel, dim3((threads + 255) / 256), dim3(256), 0, stream, y, side, parts, splits, bias, rows, cols,
                       cols - side_cols, ld, activation);
  };
  cols % 8 == 0 ? run(gemm_finish<Part, T, true>) : run(gemm_finish<Part, T, false>);
}

template void launch_gemm_finish(hipStream_t, float*, float*, int, const float*, int, const float*, size_t, int, int, nn::Activation);
template void launch_gemm_finish(hipStream_t, half*, half*, int, const float*, int, const half*, size_t, int, int, nn::Activation);
template void launch_gemm_finish(hipStream_t, half*, half*, int, const half*, int, const half*, size_t, int, int, nn::Activation);

}  // namespace rocm
