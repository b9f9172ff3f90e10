// expand_planes: a position's 112 packed planes (a mask of squares and a value) as the rows of tokens that the embedding reads:
// 112 plane values of the square, then `extra` columns of its position encoding, then zeros up to `stride`. Memory bound, writes only.
#include "half.h"
#include "kernels.h"

namespace rocm {

constexpr int kPlanes = 112, kSquares = 64, kThreads = 256;

__device__ inline float plane_value(const uint64_t* masks, const float* values, size_t plane, int square) {
  return masks[plane] >> square & 1 ? values[plane] : 0;
}

// A thread writes kWidth channels of a token.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    expand_tokens(T* out,                 // (tokens, pieces * kWidth)
                  const uint64_t* masks,  // (batch, 112)
                  const float* values,    // (batch, 112)
                  const T* encoding,      // (encoding_tokens, extra): 64, or one for each token
                  unsigned tokens, unsigned pieces, unsigned extra, unsigned encoding_tokens) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x, token = i / pieces, first = i % pieces * kWidth;
  if (token >= tokens) return;
  const size_t plane = size_t(token / kSquares) * kPlanes + first;
  Floats<kWidth> out_values;
#pragma unroll
  for (int e = 0; e < kWidth; ++e) {
    const unsigned channel = first + e;
    float& value = out_values.x[e];
    if (channel < kPlanes) value = plane_value(masks, values, plane + e, token % kSquares);
    else value = channel < kPlanes + extra ? to_float(encoding[size_t(token % encoding_tokens) * extra + channel - kPlanes]) : 0;
  }
  store(out + size_t(i) * kWidth, out_values);
}

// The input of the dense position encoding: planes 0 ... 11, square-major.
template <class T>
__global__ void __launch_bounds__(kThreads) expand_pieces(T* out, const uint64_t* masks, const float* values, int batch) {  // (batch, 64 * 12)
  const int i = blockIdx.x * kThreads + threadIdx.x, position = i / (kSquares * 12), at = i % (kSquares * 12);
  if (position < batch) put(out + i, plane_value(masks, values, size_t(position) * kPlanes + at % 12, at / 12));
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_expand_tokens(hipStream_t stream, T* out, const uint64_t* masks, const float* values, const T* encoding, int batch, int extra,
                          bool shared_encoding, int stride) {
  const unsigned tokens = batch * kSquares, width = stride % 8 == 0 ? 8 : 1, pieces = stride / width;
  const dim3 grid((size_t(tokens) * pieces + kThreads - 1) / kThreads);
  hipLaunchKernelGGL((width == 8 ? expand_tokens<T, 8> : expand_tokens<T, 1>), grid, dim3(kThreads), 0, stream, out, masks, values, encoding,
                     tokens, pieces, extra, shared_encoding ? kSquares : tokens);
}

template <class T>
void launch_expand_pieces(hipStream_t stream, T* out, const uint64_t* masks, const float* values, int batch) {
  hipLaunchKernelGGL(expand_pieces<T>, dim3(batch * kSquares * 12 / kThreads), dim3(kThreads), 0, stream, out, masks, values, batch);
}

template void launch_expand_tokens(hipStream_t, float*, const uint64_t*, const float*, const float*, int, int, bool, int);
template void launch_expand_tokens(hipStream_t, half*, const uint64_t*, const float*, const half*, int, int, bool, int);
template void launch_expand_pieces(hipStream_t, float*, const uint64_t*, const float*, int);
template void launch_expand_pieces(hipStream_t, half*, const uint64_t*, const float*, int);

}  // namespace rocm
