// values: q, d and m of each position from the last layers of the value and moves-left heads. A few bytes a position.
#include "../half.h"
#include "kernels.h"

namespace rocm {

template <class T>
__global__ void __launch_bounds__(64)
    values(float* out,     // (batch, 3): q, d, m
           const T* value,  // (batch, 3) win, draw, loss logits; or (batch, 1) whose tanh is q
           const T* moves,  // (batch) or null
           int batch, bool wdl) {
  const int i = blockIdx.x * 64 + threadIdx.x;
  if (i >= batch) return;
  float q, d = 0;
  if (wdl) {
    const float w = to_float(value[3 * i]), draw = to_float(value[3 * i + 1]), loss = to_float(value[3 * i + 2]);
    const float top = fmaxf(w, fmaxf(draw, loss)), a = expf(w - top), b = expf(draw - top), c = expf(loss - top), sum = a + b + c;
    q = (a - c) / sum, d = b / sum;
  } else {
    q = tanhf(to_float(value[i]));
  }
  const float m = moves ? to_float(moves[i]) : 0;
  out[3 * i] = q, out[3 * i + 1] = d, out[3 * i + 2] = m < 0 ? 0 : m;
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_values(hipStream_t stream, float* out, const T* value, const T* moves, int batch, bool wdl) {
  hipLaunchKernelGGL(values<T>, dim3((batch + 63) / 64), dim3(64), 0, stream, out, value, moves, batch, wdl);
}

template void launch_values(hipStream_t, float*, const float*, const float*, int, bool);
template void launch_values(hipStream_t, float*, const half*, const half*, int, bool);

}  // namespace rocm
