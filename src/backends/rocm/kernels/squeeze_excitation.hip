// squeeze_excitation: y = end(sigmoid(gate) z + shift + skip), z = x + bias, where gate and shift come from the means of z's channels through
// two small layers. A block a position; x is read twice, the second time from the cache. Memory bound, but for the latency of
// four barriers at small batches.
#include "squeeze_excitation.h"

namespace rocm {

constexpr int kThreads = 512, kPartSquares = 64 / kSumParts;

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    squeeze_excitation(T* y,           // (batch * 64, channels); may be x or skip
                       const T* x,     // (batch * 64, channels)
                       const T* bias,  // (channels) or null
                       const T* skip,  // (batch * 64, channels) or null
                       SqueezeExcitation<T> se, int channels, nn::Activation hidden, nn::Activation end) {
  HIP_DYNAMIC_SHARED(float, lds);
  const size_t first = size_t(blockIdx.x) * 64 * channels;
  x += first, y += first;
  if (skip) skip += first;
  const int groups = channels / kWidth;
  for (int item = threadIdx.x; item < kSumParts * groups; item += kThreads) {
    const int part = item / groups, c = item % groups * kWidth;
    Floats<kWidth> sum = {};
    for (int i = 0; i < kPartSquares; ++i) {
      const Floats<kWidth> z = load<kWidth>(at(x, (part * kPartSquares + i) * channels + c));
      for (int e = 0; e < kWidth; ++e) sum.x[e] += z.x[e];
    }
    for (int e = 0; e < kWidth; ++e) lds[part * channels + c + e] = sum.x[e] + (bias ? kPartSquares * to_float(bias[c + e]) : 0);
  }
  excite<T, kThreads>(lds, se, channels, hidden);
  with_activation(end, [&]<nn::Activation kActivation>() {
    for (int item = threadIdx.x; item < kSumParts * groups; item += kThreads) {
      const int part = item / groups, c = item % groups * kWidth;
      float gate[kWidth], shift[kWidth];
#pragma unroll
      for (int e = 0; e < kWidth; ++e) {
        gate[e] = lds[channels + c + e];
        shift[e] = lds[2 * channels + c + e] + (bias ? gate[e] * to_float(bias[c + e]) : 0);
      }
      for (int i = 0; i < kPartSquares; ++i) {
        const unsigned place = (part * kPartSquares + i) * channels + c;
        const Floats<kWidth> z = load<kWidth>(at(x, place)), rest = skip ? load<kWidth>(at(skip, place)) : Floats<kWidth>{};
        Floats<kWidth> out;
#pragma unroll
        for (int e = 0; e < kWidth; ++e) out.x[e] = activate(kActivation, fmaf(z.x[e], gate[e], shift[e]) + rest.x[e]);
        saturate<T>(out.x);
        store(at(y, place), out);
      }
    }
  });
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_squeeze_excitation(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const SqueezeExcitation<T>& se, int batch,
                               int channels, nn::Activation hidden, nn::Activation end) {
  auto* const kernel = channels % 2 == 0 ? squeeze_excitation<T, 2> : squeeze_excitation<T, 1>;
  hipLaunchKernelGGL(kernel, dim3(batch), dim3(kThreads), squeeze_excitation_lds(channels, se.width), stream, y, x, bias, skip, se, channels,
                     hidden, end);
}

template void launch_squeeze_excitation(hipStream_t, float*, const float*, const float*, const float*, const SqueezeExcitation<float>&, int, int,
                                        nn::Activation, nn::Activation);
template void launch_squeeze_excitation(hipStream_t, half*, const half*, const half*, const half*, const SqueezeExcitation<half>&, int, int,
                                        nn::Activation, nn::Activation);

}  // namespace rocm
