// expand_planes: a position's 112 packed planes (a mask of squares and a value) as the rows of tokens that the embedding reads:
// 112 plane values of the square, then `extra` columns of its position encoding, then zeros up to `stride`. Memory bound, writes only.
#include "../half.h"
#include "kernels.h"

namespace rocm {

constexpr int kPlanes = 112, kSquares = 64;

__device__ inline float plane_value(const uint64_t* masks, const float* values, size_t plane, int square) {
  return masks[plane] >> square & 1 ? values[plane] : 0;
}

template <class T>
__global__ void __launch_bounds__(256)
    expand_tokens(T* out,                 // (batch * 64, stride)
                  const uint64_t* masks,  // (batch, 112)
                  const float* values,    // (batch, 112)
                  const T* encoding,      // (64, extra), or (batch * 64, extra)
                  int tokens, int extra, int encoding_rows, int stride) {
  const size_t i = size_t(blockIdx.x) * 256 + threadIdx.x;
  if (i >= size_t(tokens) * stride) return;
  const int token = i / stride, channel = i % stride, position = token / kSquares;
  if (channel < kPlanes) put(out + i, plane_value(masks, values, size_t(position) * kPlanes + channel, token % kSquares));
  else if (channel < kPlanes + extra) out[i] = encoding[size_t(token % encoding_rows) * extra + channel - kPlanes];
  else put(out + i, 0);
}

// The input of the dense position encoding: planes 0 ... 11, square-major.
template <class T>
__global__ void __launch_bounds__(256) expand_pieces(T* out, const uint64_t* masks, const float* values, int batch) {  // (batch, 64 * 12)
  const int i = blockIdx.x * 256 + threadIdx.x, position = i / (kSquares * 12), at = i % (kSquares * 12);
  if (position < batch) put(out + i, plane_value(masks, values, size_t(position) * kPlanes + at % 12, at / 12));
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_expand_tokens(hipStream_t stream, T* out, const uint64_t* masks, const float* values, const T* encoding, int batch, int extra,
                          bool shared_encoding, int stride) {
  const int tokens = batch * kSquares;
  hipLaunchKernelGGL(expand_tokens<T>, dim3((size_t(tokens) * stride + 255) / 256), dim3(256), 0, stream, out, masks, values, encoding,
                     tokens, extra, shared_encoding ? kSquares : tokens, stride);
}

template <class T>
void launch_expand_pieces(hipStream_t stream, T* out, const uint64_t* masks, const float* values, int batch) {
  hipLaunchKernelGGL(expand_pieces<T>, dim3(batch * 3), dim3(256), 0, stream, out, masks, values, batch);
}

template void launch_expand_tokens(hipStream_t, float*, const uint64_t*, const float*, const float*, int, int, bool, int);
template void launch_expand_tokens(hipStream_t, half*, const uint64_t*, const float*, const half*, int, int, bool, int);
template void launch_expand_pieces(hipStream_t, float*, const uint64_t*, const float*, int);
template void launch_expand_pieces(hipStream_t, half*, const uint64_t*, const float*, int);

}  // namespace rocm
