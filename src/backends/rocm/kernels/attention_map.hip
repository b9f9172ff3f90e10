// attention_map: softmax(q k^T * scale + bias) into memory, and mix_values: that, or what somebody has put in its place, times v: attention.hip
// in two halves for those who look at the map between them (nn/layers.h). Plain: 32 lanes a query, two keys each; a thread a sum of mix_values.
// Both are bound by the second-level cache, from which every query reads all keys.
#include "activation.h"
#include "half.h"
#include "kernels.h"

namespace rocm {

constexpr int kThreads = 256, kSquares = 64, kLanes = 32;

template <class T>
__global__ void __launch_bounds__(kThreads)
    attention_map(float* map,     // (batch, heads, 64, 64)
                  const T* q,     // (batch * 64, stride), head h in columns h * head_dim ...
                  const T* k,     // like q
                  const T* bias,  // like map, or null
                  int heads, int head_dim, int stride, float scale) {
  const size_t first = size_t(blockIdx.x / heads) * kSquares * stride + blockIdx.x % heads * head_dim, scores = size_t(blockIdx.x) * kSquares * kSquares;
  const int lane = threadIdx.x % kLanes;
  for (int query = threadIdx.x / kLanes; query < kSquares; query += kThreads / kLanes) {
    const T *from = q + first + size_t(query) * stride, *to = k + first + size_t(lane) * stride;
    const size_t place = scores + query * kSquares + lane;
    float x = 0, y = 0;  // the scores of keys `lane` and `lane` + 32
    for (int c = 0; c < head_dim; c += 8) {
      const Floats8 a = load8(from + c), b = load8(to + c), d = load8(to + size_t(kLanes) * stride + c);
#pragma unroll
      for (int e = 0; e < 8; ++e) x = fmaf(a.x[e], b.x[e], x), y = fmaf(a.x[e], d.x[e], y);
    }
    x = x * scale + (bias ? to_float(bias[place]) : 0);
    y = y * scale + (bias ? to_float(bias[place + kLanes]) : 0);
    const float top = group_max(fmaxf(x, y));
    x = fast_exp(x - top), y = fast_exp(y - top);
    const float sum = group_sum(x + y);
    map[place] = x / sum, map[place + kLanes] = y / sum;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    mix_values(T* out,            // (batch * 64, out_stride)
               const float* map,  // (batch, heads, 64, 64)
               const T* v,        // (batch * 64, stride), head h in columns h * head_dim ...
               int heads, int head_dim, int stride, int out_stride) {
  const size_t position = blockIdx.x / heads;
  const int column = blockIdx.x % heads * head_dim;
  const float* rows = map + size_t(blockIdx.x) * kSquares * kSquares;
  for (int i = threadIdx.x; i < kSquares * head_dim; i += kThreads) {
    const int query = i / head_dim, c = column + i % head_dim;
    const T* values = v + position * kSquares * stride + c;
    float sum = 0;
    for (int key = 0; key < kSquares; ++key) sum = fmaf(rows[query * kSquares + key], to_float(values[size_t(key) * stride]), sum);
    put(out + (position * kSquares + query) * out_stride + c, saturated<T>(sum));
  }
}

// launchers -------------------------------------------------------------------
template <class T>
void launch_attention_map(hipStream_t stream, float* map, const T* q, const T* k, const T* bias, int batch, int heads, int head_dim, int stride) {
  hipLaunchKernelGGL(attention_map<T>, dim3(batch * heads), dim3(kThreads), 0, stream, map, q, k, bias, heads, head_dim, stride,
                     1 / sqrtf(head_dim));
}

template <class T>
void launch_mix_values(hipStream_t stream, T* out, const float* map, const T* v, int batch, int heads, int head_dim, int stride, int out_stride) {
  hipLaunchKernelGGL(mix_values<T>, dim3(batch * heads), dim3(kThreads), 0, stream, out, map, v, heads, head_dim, stride, out_stride);
}

template void launch_attention_map(hipStream_t, float*, const float*, const float*, const float*, int, int, int, int);
template void launch_attention_map(hipStream_t, float*, const half*, const half*, const half*, int, int, int, int);
template void launch_mix_values(hipStream_t, float*, const float*, const float*, int, int, int, int, int);
template void launch_mix_values(hipStream_t, half*, const float*, const half*, int, int, int, int, int);

}  // namespace rocm
