// patches: the 3x3 surroundings of every square as a row, so that a convolution is one product with weights (out, 3, 3, in). Memory bound: it
// writes nine times what it reads, which pays where the product is small.
#include <string>

#include "half.h"
#include "error.h"
#include "kernels.h"

namespace rocm {

constexpr int kThreads = 256;

// A thread copies a piece of kWidth channels.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    patches(T* out,      // (batch * 64, 3, 3, pieces * kWidth)
            const T* x,  // (batch * 64, pieces * kWidth)
            unsigned size, unsigned pieces) {  // size: pieces of out
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= size) return;
  const unsigned row = i / (9 * pieces), rest = i % (9 * pieces), tap = rest / pieces, piece = rest % pieces;  // row: a square of a position
  const int square = row % 64, rank = square / 8 + tap / 3 - 1, file = square % 8 + tap % 3 - 1;
  Floats<kWidth> value = {};
  if (rank >= 0 && rank < 8 && file >= 0 && file < 8)
    value = load<kWidth>(x + (size_t(row - square + rank * 8 + file) * pieces + piece) * kWidth);
  store(out + size_t(i) * kWidth, value);
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_patches(hipStream_t stream, T* out, const T* x, int batch, int channels) {
  const int width = channels % 8 == 0 ? 8 : 1, pieces = channels / width;
  const size_t size = size_t(batch) * 64 * 9 * pieces;
  if (size > 0xffffffff - kThreads)
    throw Error("the patches of " + std::to_string(batch) + " positions are too many for a launch; use a smaller batch");
  hipLaunchKernelGGL((width == 8 ? patches<T, 8> : patches<T, 1>), dim3((size + kThreads - 1) / kThreads), dim3(kThreads), 0, stream, out, x,
                     size, pieces);
}

template void launch_patches(hipStream_t, float*, const float*, int, int);
template void launch_patches(hipStream_t, half*, const half*, int, int);

}  // namespace rocm
