// expand_weights: w = scale * int8, row by row, for products of so many rows that 8 bits are no gain any more. Memory bound; a thread
// makes sixteen numbers.
#include "half.h"
#include "kernels.h"

namespace rocm {

template <class T>
__global__ void __launch_bounds__(256)
    expand_weights(T* w,                 // (rows, cols), cols a multiple of 16
                   const int8_t* int8,   // (rows, cols)
                   const float* scales,  // (rows)
                   int rows, int cols) {
  const size_t piece = size_t(blockIdx.x) * 256 + threadIdx.x;
  const unsigned pieces = cols / 16;
  const size_t row = piece / pieces;
  if (row >= size_t(rows)) return;
  const uint4 x = reinterpret_cast<const uint4*>(int8)[piece];
  const float scale = scales[row];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    Floats8 z = floats_of(halves_of_int8(i ? uint2{x.z, x.w} : uint2{x.x, x.y}));
#pragma unroll
    for (float& number : z.x) number *= scale;
    saturate<T>(z.x);
    store8(w + piece * 16 + 8 * i, z);
  }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_expand_weights(hipStream_t stream, T* w, const int8_t* int8, const float* scales, int rows, int cols) {
  const size_t threads = size_t(rows) * (cols / 16);
  hipLaunchKernelGGL(expand_weights<T>, dim3((threads + 255) / 256), dim3(256), 0, stream, w, int8, scales, rows, cols);
}

template void launch_expand_weights(hipStream_t, float*, const int8_t*, const float*, int, int);
template void launch_expand_weights(hipStream_t, half*, const int8_t*, const float*, int, int);

}  // namespace rocm
