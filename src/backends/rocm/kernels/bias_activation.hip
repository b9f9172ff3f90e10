// bias_activation: y = act(x + bias + skip) * multiply + add over rows of tokens; every part but x may be missing. The gates of
// the embedding are `multiply` and `add`, of each square. Memory bound: x and y once.
#include "../activation.h"
#include "../half.h"
#include "kernels.h"

namespace rocm {

template <class T>
__global__ void __launch_bounds__(256)
    bias_activation(T* y,               // (rows, cols); may be x or skip
                    const T* x,         // (rows, cols)
                    const T* bias,      // (cols) or null
                    const T* skip,      // (rows, cols) or null
                    const T* multiply,  // (64, cols) or null; row r takes r % 64
                    const T* add,       // like multiply
                    size_t size, int cols, nn::Activation activation) {
  for (size_t i = size_t(blockIdx.x) * 256 + threadIdx.x; i < size; i += size_t(gridDim.x) * 256) {
    const int col = i % cols, gate = i / cols % 64 * cols + col;
    float v = to_float(x[i]) + (bias ? to_float(bias[col]) : 0) + (skip ? to_float(skip[i]) : 0);
    v = activate(activation, v);
    put(y + i, fmaf(v, multiply ? to_float(multiply[gate]) : 1, add ? to_float(add[gate]) : 0));
  }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_bias_activation(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* multiply, const T* add, int rows,
                            int cols, nn::Activation activation) {
  const size_t size = size_t(rows) * cols, blocks = (size + 1023) / 1024;
  hipLaunchKernelGGL(bias_activation<T>, dim3(blocks), dim3(256), 0, stream, y, x, bias, skip, multiply, add, size, cols, activation);
}

template void launch_bias_activation(hipStream_t, float*, const float*, const float*, const float*, const float*, const float*, int, int,
                                     nn::Activation);
template void launch_bias_activation(hipStream_t, half*, const half*, const half*, const half*, const half*, const half*, int, int,
                                     nn::Activation);

}  // namespace rocm
