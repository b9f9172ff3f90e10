// quantise_rows: rows of halves as numbers of 8 bits with a scale each (quantise.h), for products of such rows (gemm_rows8.hip).
//
// Memory bound: three bytes a number, 2.3 KB a row of 768; five where it does on the way what a library's product has left to do. 32 lanes have a row, which
// stays in registers between the search for its largest number and the rounding up to 2,048 columns; wider ones are read twice, from the cache. Where a
// layer norm makes the row, it does this on the way.
#include <algorithm>

#include "activation.h"
#include "kernels.h"
#include "quantise.h"

namespace rocm {

constexpr int kLanes = 32, kThreads = 128, kPiece = 8;  // kPiece: numbers in one load of a lane

template <Numbers kKind, int kPieces, bool kActivate>  // kPieces: of a lane, held; 0: of any row, loaded again
__global__ void __launch_bounds__(kThreads)
    quantise_rows(int8_t* numbers,  // (rows, cols)
                  float* scales,    // (rows)
                  const half* x,    // (rows, cols)
                  half* y,          // kActivate: (rows, cols), act(x + bias), whose numbers these are then
                  const half* bias,  // likewise: (cols) or null
                  int rows, int cols, nn::Activation activation) {
  const int row = blockIdx.x * (kThreads / kLanes) + threadIdx.x / kLanes;
  if (row >= rows) return;
  const unsigned column = threadIdx.x % kLanes * kPiece, step = kLanes * kPiece;
  const size_t first = size_t(row) * cols;
  x += first, numbers += first;
  if constexpr (kActivate) y += first;
  const auto load = [&](const half* from, unsigned c) { return c < unsigned(cols) ? *reinterpret_cast<const uint4*>(at(from, c)) : uint4{0, 0, 0, 0}; };
  const auto activated = [&]<nn::Activation kActivation>(uint4 halves, unsigned c) {
    if (c >= unsigned(cols)) return halves;
    Floats8 z = floats_of(halves);
    const Floats8 add = bias ? load8(at(bias, c)) : Floats8{};
#pragma unroll
    for (int e = 0; e < kPiece; ++e) z.x[e] = activate(kActivation, z.x[e] + add.x[e]);
    saturate<half>(z.x);
    return *reinterpret_cast<uint4*>(at(y, c)) = halves_of(z);
  };
  const auto put = [&](const RowScale<kKind>& by, unsigned c, uint4 halves) {
    if (c < unsigned(cols)) *reinterpret_cast<uint2*>(at(numbers, c)) = by.numbers(halves);
  };
  uint32_t largest = 0;
  const auto finish = [&](auto&& each) {
    const RowScale<kKind> by(largest);
    if (threadIdx.x % kLanes == 0) scales[row] = by.scale;
    each(by);
  };
  if constexpr (kPieces > 0) {
    uint4 held[kPieces];
#pragma unroll
    for (int i = 0; i < kPieces; ++i) held[i] = load(x, column + i * step);
    if constexpr (kActivate) {
      with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
        for (int i = 0; i < kPieces; ++i) held[i] = activated.template operator()<kActivation>(held[i], column + i * step);
      });
    }
#pragma unroll
    for (int i = 0; i < kPieces; ++i) largest = larger(largest, held[i]);
    finish([&](const RowScale<kKind>& by) {
#pragma unroll
      for (int i = 0; i < kPieces; ++i) put(by, column + i * step, held[i]);
    });
  } else {
    const half* from = x;
    if constexpr (kActivate) {
      from = y;
      with_activation(activation, [&]<nn::Activation kActivation>() {
        for (unsigned c = column; c < unsigned(cols); c += step) largest = larger(largest, activated.template operator()<kActivation>(load(x, c), c));
      });
    } else {
      for (unsigned c = column; c < unsigned(cols); c += step) largest = larger(largest, load(x, c));
    }
    finish([&](const RowScale<kKind>& by) {
      for (unsigned c = column; c < unsigned(cols); c += step) put(by, c, load(from, c));
    });
  }
}

// launcher --------------------------------------------------------------------
template <Numbers kKind, bool kActivate>
void launch(hipStream_t stream, const Rows8& to, half* y, const half* x, const half* bias, int rows, int cols, nn::Activation activation) {
  const int pieces = (cols + kLanes * kPiece - 1) / (kLanes * kPiece);
  const auto run = [&](auto kernel) {
    hipLaunchKernelGGL(kernel, dim3((rows + kThreads / kLanes - 1) / (kThreads / kLanes)), dim3(kThreads), 0, stream, static_cast<int8_t*>(to.numbers),
                       to.scales, x, y, bias, rows, cols, activation);
  };
  if constexpr (!kActivate) {
    if (pieces <= 1) return run(quantise_rows<kKind, 1, false>);
    if (pieces <= 2) return run(quantise_rows<kKind, 2, false>);
    if (pieces <= 3) return run(quantise_rows<kKind, 3, false>);
  }
  if (pieces <= 4) run(quantise_rows<kKind, 4, kActivate>);
  else if (pieces <= 8) run(quantise_rows<kKind, 8, kActivate>);
  else run(quantise_rows<kKind, 0, kActivate>);
}

void launch_quantise_rows(hipStream_t stream, const Rows8& to, const half* x, int rows, int cols) {
  with_numbers(to.kind, [&]<Numbers kKind>() { launch<kKind, false>(stream, to, nullptr, x, nullptr, rows, cols, nn::Activation::kNone); });
}

void launch_activate_rows(hipStream_t stream, const Rows8& to, half* y, const half* x, const half* bias, int rows, int cols, nn::Activation activation) {
  with_numbers(to.kind, [&]<Numbers kKind>() { launch<kKind, true>(stream, to, y, x, bias, rows, cols, activation); });
}

}  // namespace rocm
