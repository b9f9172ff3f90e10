// values: the last layers of the value and moves-left heads, and q, d and m of each position from them. A block a position, 32 lanes
// an output; a few hundred bytes a position: launch bound.
#include "half.h"
#include "kernels.h"

namespace rocm {

constexpr int kOutputLanes = 32, kOutputs = 4;  // three of the value head, one of moves left

template <class T>
__global__ void __launch_bounds__(kOutputLanes * kOutputs)
    values(float* out,  // (batch, 3): q, d, m
           LastLayer<T> value, LastLayer<T> moves, bool wdl) {
  __shared__ float outputs[kOutputs];
  const size_t position = blockIdx.x;
  const int output = threadIdx.x / kOutputLanes, lane = threadIdx.x % kOutputLanes;
  const bool of_value = output < kOutputs - 1;
  const T *hidden = of_value ? value.hidden : moves.hidden, *w = of_value ? value.w : moves.w, *b = of_value ? value.b : moves.b;
  const int width = of_value ? value.width : moves.width, row = of_value ? output : 0;
  const bool used = of_value ? row < (wdl ? 3 : 1) : hidden != nullptr;
  float sum = 0;
  if (used)
    for (int c = lane; c < width; c += kOutputLanes) sum = fmaf(to_float(hidden[position * width + c]), to_float(w[row * width + c]), sum);
  sum = group_sum(sum);
  if (lane == 0) outputs[output] = used ? sum + to_float(b[row]) : 0;
  __syncthreads();
  if (threadIdx.x > 0) return;

  float q, d = 0;
  if (wdl) {
    const float top = fmaxf(outputs[0], fmaxf(outputs[1], outputs[2]));
    const float win = expf(outputs[0] - top), draw = expf(outputs[1] - top), loss = expf(outputs[2] - top), all = win + draw + loss;
    q = (win - loss) / all, d = draw / all;
  } else {
    q = tanhf(outputs[0]);
  }
  const float m = outputs[3];
  out[3 * position] = q, out[3 * position + 1] = d, out[3 * position + 2] = m < 0 ? 0 : m;
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_values(hipStream_t stream, float* out, const LastLayer<T>& value, const LastLayer<T>& moves, int batch, bool wdl) {
  hipLaunchKernelGGL(values<T>, dim3(batch), dim3(kOutputLanes * kOutputs), 0, stream, out, value, moves, wdl);
}

template void launch_values(hipStream_t, float*, const LastLayer<float>&, const LastLayer<float>&, int, bool);
template void launch_values(hipStream_t, float*, const LastLayer<half>&, const LastLayer<half>&, int, bool);

}  // namespace rocm
