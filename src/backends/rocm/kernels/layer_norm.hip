// layer_norm: y = (t - mean(t)) / sqrt(var(t) + eps) * gain + shift over each row of t = skip + alpha * act(x + bias).
//
// The residual sum and the bias of the product before it are part of the same pass. Memory bound: x, skip and y once, at 768 halves
// 4.6 KB a row. A row belongs to 32 lanes, which hold it in registers (a wave of 64 has two rows); the variance is taken about
// the mean, in float. Rows that are too wide for that, or not made of 16-byte pieces, take a block each and are read three times,
// from the cache.
#include <algorithm>

#include "../activation.h"
#include "../half.h"
#include "kernels.h"

namespace rocm {

constexpr int kRowLanes = 32, kPiece = 8;  // values in one load of a lane

// kPieces: loads of a lane. kPlain: cols is kPieces * 256, bias and skip are there and no activation. Else cols is any multiple of 8
// up to that.
template <class T, int kPieces, bool kPlain>
__global__ void __launch_bounds__(128)
    layer_norm_lanes(T* y,            // (rows, cols)
                     const T* x,      // (rows, cols)
                     const T* bias,   // (cols) or null
                     const T* skip,   // (rows, cols) or null; may be y
                     const T* gain,   // (cols)
                     const T* shift,  // (cols)
                     int rows, int cols, float share, float alpha, nn::Activation activation, float eps) {  // share: 1 / cols
  const int row = blockIdx.x * (blockDim.x / kRowLanes) + threadIdx.x / kRowLanes;
  if (row >= rows) return;
  const unsigned column = threadIdx.x % kRowLanes * kPiece, first = row * unsigned(cols) + column;
  const auto inside = [&](int i) { return kPlain || column + i * kRowLanes * kPiece < unsigned(cols); };

  Floats8 t[kPieces];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const unsigned offset = i * kRowLanes * kPiece;
    t[i] = {};
    if (!inside(i)) continue;
    const Floats8 a = load8(at(x, first + offset));
    const Floats8 b = kPlain || bias ? load8(at(bias, column + offset)) : Floats8{};
    const Floats8 c = kPlain || skip ? load8(at(skip, first + offset)) : Floats8{};
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      t[i].x[e] = kPlain ? fmaf(a.x[e], alpha, fmaf(b.x[e], alpha, c.x[e]))
                         : fmaf(activate(activation, a.x[e] + b.x[e]), alpha, c.x[e]);
      sum += t[i].x[e];
    }
  }
  if (sizeof(T) == 2 && !(fabsf(sum) < INFINITY)) {  // a library's product was beyond half
    sum = 0;
#pragma unroll
    for (Floats8& piece : t) {
      keep_order();  // else all comparisons come first, whose results do not fit into the scalar registers
#pragma unroll
      for (float& value : piece.x) sum += value = saturated<T>(value);
    }
  }
  const float mean = group_sum(sum) * share;
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    if (!inside(i)) continue;
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      t[i].x[e] -= mean;
      squares = fmaf(t[i].x[e], t[i].x[e], squares);
    }
  }
  const float scale = fast_rsqrt(group_sum(squares) * share + eps);
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const unsigned offset = i * kRowLanes * kPiece;
    if (!inside(i)) continue;
    const Floats8 g = load8(at(gain, column + offset)), b = load8(at(shift, column + offset));
#pragma unroll
    for (int e = 0; e < kPiece; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, g.x[e], b.x[e]);
    store8(at(y, first + offset), t[i]);
  }
}

constexpr int kWideThreads = 256;

// Any cols, a block a row.
template <class T>
__global__ void __launch_bounds__(kWideThreads)
    layer_norm_block(T* y, const T* x, const T* bias, const T* skip, const T* gain, const T* shift,  // as above
                     int cols, float alpha, nn::Activation activation, float eps) {
  __shared__ float part[kWideThreads / 32];
  const size_t first = size_t(blockIdx.x) * cols;
  x += first, y += first;
  if (skip) skip += first;
  const auto value = [&](int c) {
    const float t = activate(activation, to_float(x[c]) + (bias ? to_float(bias[c]) : 0));
    return saturated<T>(fmaf(t, alpha, skip ? to_float(skip[c]) : 0));
  };
  float sum = 0;
  for (int c = threadIdx.x; c < cols; c += kWideThreads) sum += value(c);
  const float mean = block_sum<kWideThreads>(sum, part) / cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kWideThreads) {
    const float d = value(c) - mean;
    squares = fmaf(d, d, squares);
  }
  const float scale = fast_rsqrt(block_sum<kWideThreads>(squares, part) / cols + eps);
  for (int c = threadIdx.x; c < cols; c += kWideThreads)
    put(y + c, fmaf((value(c) - mean) * scale, to_float(gain[c]), to_float(shift[c])));
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_layer_norm(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* gain, const T* shift, int rows,
                       int cols, float alpha, nn::Activation activation, float eps) {
  const int pieces = (cols + 255) / 256;
  const bool plain = bias && skip && activation == nn::Activation::kNone && cols == pieces * 256;
  const auto lanes = [&](auto* kernel) {
    const int most = ((size_t{1} << 32) / (cols * sizeof(T)) - 1) / 4 * 4;  // rows a launch: the kernel counts bytes in 32 bits
    for (int done = 0; done < rows; done += most) {
      const int some = std::min(most, rows - done);
      const size_t from = size_t(done) * cols;
      hipLaunchKernelGGL(kernel, dim3((some + 3) / 4), dim3(128), 0, stream, y + from, x + from, bias, skip ? skip + from : nullptr, gain, shift,
                         some, cols, 1.0f / cols, alpha, activation, eps);
    }
  };
  if (cols % 8 != 0 || pieces > 8)
    hipLaunchKernelGGL(layer_norm_block<T>, dim3(rows), dim3(kWideThreads), 0, stream, y, x, bias, skip, gain, shift, cols, alpha,
                       activation, eps);
  else if (plain && pieces == 1) lanes(layer_norm_lanes<T, 1, true>);
  else if (plain && pieces == 2) lanes(layer_norm_lanes<T, 2, true>);
  else if (plain && pieces == 3) lanes(layer_norm_lanes<T, 3, true>);
  else if (plain && pieces == 4) lanes(layer_norm_lanes<T, 4, true>);
  else if (pieces == 1) lanes(layer_norm_lanes<T, 1, false>);
  else if (pieces == 2) lanes(layer_norm_lanes<T, 2, false>);
  else if (pieces <= 4) lanes(layer_norm_lanes<T, 4, false>);
  else lanes(layer_norm_lanes<T, 8, false>);
}

template void launch_layer_norm(hipStream_t, float*, const float*, const float*, const float*, const float*, const float*, int, int,
                                float, nn::Activation, float);
template void launch_layer_norm(hipStream_t, half*, const half*, const half*, const half*, const half*, const half*, int, int, float,
                                nn::Activation, float);

}  // namespace rocm
