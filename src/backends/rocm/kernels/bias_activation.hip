// bias_activation: y = act(x + bias + skip) * multiply + add over rows of tokens; every part but x may be missing. The gates of
// the embedding are `multiply` and `add`, of each square. Memory bound: x and y once.
#include "activation.h"
#include "half.h"
#include "error.h"
#include "kernels.h"

#include <string>

namespace rocm {

constexpr int kThreads = 256;

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    bias_activation(T* y,               // (rows, cols); may be x or skip
                    const T* x,         // (rows, cols)
                    const T* bias,      // (cols) or null
                    const T* skip,      // (rows, cols) or null
                    const T* multiply,  // (64, cols) or null; row r takes r % 64
                    const T* add,       // like multiply
                    unsigned pieces, unsigned row_pieces, nn::Activation activation) {  // a piece: kWidth columns
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= pieces) return;
  const size_t place = size_t(i) * kWidth;
  const unsigned piece = i % row_pieces, col = piece * kWidth, gate = (i / row_pieces % 64 * row_pieces + piece) * kWidth;
  using Values = Floats<kWidth>;
  Values v = load<kWidth>(x + place);
  const Values b = bias ? load<kWidth>(bias + col) : Values{}, s = skip ? load<kWidth>(skip + place) : Values{};
#pragma unroll
  for (int e = 0; e < kWidth; ++e) v.x[e] += b.x[e] + s.x[e];
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int e = 0; e < kWidth; ++e) v.x[e] = activate(kActivation, v.x[e]);
  });
  if (multiply) {
    const Values m = load<kWidth>(multiply + gate);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) v.x[e] *= m.x[e];
  }
  if (add) {
    const Values a = load<kWidth>(add + gate);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) v.x[e] += a.x[e];
  }
  saturate<T>(v.x);
  store(y + place, v);
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_bias_activation(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* multiply, const T* add, int rows,
                            int cols, nn::Activation activation) {
  const int width = cols % 8 == 0 ? 8 : 1;
  const size_t pieces = size_t(rows) * cols / width;
  if (pieces > 0xffffffff - kThreads) throw Error("bias and activation of " + std::to_string(rows) + " rows; use a smaller batch");
  hipLaunchKernelGGL((width == 8 ? bias_activation<T, 8> : bias_activation<T, 1>), dim3((pieces + kThreads - 1) / kThreads), dim3(kThreads), 0,
                     stream, y, x, bias, skip, multiply, add, pieces, cols / width, activation);
}

template void launch_bias_activation(hipStream_t, float*, const float*, const float*, const float*, const float*, const float*, int, int,
                                     nn::Activation);
template void launch_bias_activation(hipStream_t, half*, const half*, const half*, const half*, const half*, const half*, int, int,
                                     nn::Activation);

}  // namespace rocm
