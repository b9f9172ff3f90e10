// layer_norm: y = (t - mean(t)) / sqrt(var(t) + eps) * gain + shift over each row of t = skip + alpha * act(sum of parts + bias).
//
// What follows the product that made the parts is in the same pass: the sum of split-K's parts in their order, kept in float, bias, activation
// and residual. Memory bound: parts, skip and y once, at 768 halves of one part 4.6 KB a row; with few rows the latency of one read, two sums
// over the row's threads and one write. A row stays in registers, from where it is written in 8 bits as well where products want it so. Whole
// products of rows of up to 1,024 have 32 lanes a row (a wave of 64 has two rows) and up to four pieces of 16 bytes a lane; parts, which are of
// few rows, and rows of up to 8,192 have a block a row of up to 256 threads. The variance is taken about the mean, in float. Rows that are
// wider, or not made of 16-byte pieces, are read three times, from the cache.
#include <algorithm>
#include <type_traits>

#include "activation.h"
#include "half.h"
#include "kernels.h"
#include "quantise.h"

namespace rocm {

constexpr int kPiece = 8;  // values in one load of a thread
constexpr int kLanes = 32, kBlock = 256;

// One whole product. kPieces: loads of a lane. kPlain: cols is kPieces * 32 * 8, bias and skip are there, and no activation; else cols is any
// multiple of 8 up to that. kQuantise: y in 8 bits as well, of the numbers kKind.
template <class T, int kPieces, bool kPlain, bool kQuantise, Numbers kKind>
__global__ void __launch_bounds__(128)
    layer_norm_lanes(T* y,            // (rows, cols)
                     const T* x,      // (rows, cols)
                     const T* bias,   // (cols) or null
                     const T* skip,   // (rows, cols) or null; may be y
                     const T* gain,   // (cols)
                     const T* shift,  // (cols)
                     int8_t* numbers,  // (rows, cols) or null
                     float* scales,    // (rows) or null
                     int rows, int cols, float share, float alpha, nn::Activation activation, float eps) {  // share: 1 / cols
  const int row = blockIdx.x * (blockDim.x / kLanes) + threadIdx.x / kLanes;
  if (row >= rows) return;
  const unsigned column = threadIdx.x % kLanes * kPiece, first = row * unsigned(cols) + column;
  const auto inside = [&](int i) { return kPlain || column + i * kLanes * kPiece < unsigned(cols); };

  Floats8 t[kPieces];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const unsigned offset = i * kLanes * kPiece;
    t[i] = {};
    if (!inside(i)) continue;
    const Floats8 a = load8(at(x, first + offset));
    const Floats8 b = kPlain || bias ? load8(at(bias, column + offset)) : Floats8{};
    const Floats8 c = kPlain ? load8(at(skip, first + offset)) : Floats8{};
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      t[i].x[e] = kPlain ? fmaf(a.x[e], alpha, fmaf(b.x[e], alpha, c.x[e])) : a.x[e] + b.x[e];
      if (kPlain) sum += t[i].x[e];
    }
  }
  if constexpr (!kPlain) {
    with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
        if (!inside(i)) continue;  // act(0) need not be 0
        const Floats8 c = skip ? load8(at(skip, first + i * kLanes * kPiece)) : Floats8{};
#pragma unroll
        for (int e = 0; e < kPiece; ++e) sum += t[i].x[e] = fmaf(activate(kActivation, t[i].x[e]), alpha, c.x[e]);
      }
    });
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
    const unsigned offset = i * kLanes * kPiece;
    if (!inside(i)) continue;
    const Floats8 g = load8(at(gain, column + offset)), b = load8(at(shift, column + offset));
#pragma unroll
    for (int e = 0; e < kPiece; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, g.x[e], b.x[e]);
    store8(at(y, first + offset), t[i]);
  }
  if constexpr (kQuantise) {
    uint4 halves[kPieces];
    uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (!inside(i)) continue;
      halves[i] = halves_of(t[i]);
      largest = larger(largest, halves[i]);
    }
    const RowScale<kKind> by(largest);
    if (threadIdx.x % kLanes == 0) scales[row] = by.scale;
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
      if (inside(i)) *reinterpret_cast<uint2*>(at(numbers, first + i * kLanes * kPiece)) = by.numbers(halves[i]);
  }
}

// Any number of parts, and wide rows: a block a row. kWhole: cols is kPieces * 8 times the threads, else any multiple of 8 up to that.
template <class Part, class T, int kPieces, bool kWhole>
__global__ void __launch_bounds__(kBlock)
    layer_norm_block(T* y,           // (rows, cols)
                     const Part* x,  // (parts, rows, cols)
                     int parts, size_t stride,  // of a part
                     const T* bias,  // (cols) or null
                     const T* skip,  // (rows, cols) or null; may be y
                     const T* gain,  // (cols)
                     const T* shift,  // (cols)
                     int cols, float share, float alpha, nn::Activation activation, float eps) {  // share: 1 / cols
  __shared__ float sums[kBlock / kLanes], squared[kBlock / kLanes];
  const size_t first = size_t(blockIdx.x) * cols;
  x += first, y += first;
  if (skip) skip += first;
  const auto column = [&](int i) { return (i * blockDim.x + threadIdx.x) * kPiece; };
  const auto inside = [&](int i) { return kWhole || column(i) < unsigned(cols); };
  Floats8 t[kPieces] = {}, add[kPieces] = {}, rest[kPieces] = {}, g[kPieces] = {}, b[kPieces] = {};
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {  // all loads at once: weights come from memory, parts from a cache
    if (!inside(i)) continue;
    if (bias) add[i] = load8(at(bias, column(i)));
    if (skip) rest[i] = load8(at(skip, column(i)));
    g[i] = load8(at(gain, column(i))), b[i] = load8(at(shift, column(i)));
  }
  constexpr int kAtOnce = kPieces == 1 ? 4 : 1;
#pragma unroll kAtOnce
  for (int s = 0; s < parts; ++s, x += stride)
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (!inside(i)) continue;
      const Floats8 p = load8(at(x, column(i)));
#pragma unroll
      for (int e = 0; e < kPiece; ++e) t[i].x[e] += p.x[e];
    }
  float sum = 0;
  with_activation(activation, [&]<nn::Activation kActivation>() {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (!inside(i)) continue;  // act(0) need not be 0
#pragma unroll
      for (int e = 0; e < kPiece; ++e) sum += t[i].x[e] = fmaf(activate(kActivation, t[i].x[e] + add[i].x[e]), alpha, rest[i].x[e]);
    }
  });
  if (sizeof(Part) == 2 && !(fabsf(sum) < INFINITY)) {  // a library's product was beyond half
    sum = 0;
#pragma unroll
    for (Floats8& piece : t) {
      keep_order();  // else all comparisons come first, whose results do not fit into the scalar registers
#pragma unroll
      for (float& value : piece.x) sum += value = saturated<T>(value);
    }
  }
  const float mean = block_sum(sum, sums) * share;
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
  const float scale = fast_rsqrt(block_sum(squares, squared) * share + eps);
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    if (!inside(i)) continue;
#pragma unroll
    for (int e = 0; e < kPiece; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, g[i].x[e], b[i].x[e]);
    store8(at(y, column(i)), t[i]);
  }
}

// Any cols, a block a row.
template <class Part, class T>
__global__ void __launch_bounds__(kBlock)
    layer_norm_any(T* y, const Part* x, int parts, size_t stride, const T* bias, const T* skip, const T* gain, const T* shift,  // as above
                   int cols, int ld, float alpha, nn::Activation activation, float eps) {  // ld: from row to row of x
  __shared__ float sums[kBlock / kLanes], squared[kBlock / kLanes];
  const size_t first = size_t(blockIdx.x) * cols;
  x += size_t(blockIdx.x) * ld, y += first;
  if (skip) skip += first;
  const auto value = [&](int c) {
    float t = 0;
    for (int s = 0; s < parts; ++s) t += to_float(x[s * stride + c]);
    t = activate(activation, t + (bias ? to_float(bias[c]) : 0));
    return saturated<T>(fmaf(t, alpha, skip ? to_float(skip[c]) : 0));
  };
  float sum = 0;
  for (int c = threadIdx.x; c < cols; c += kBlock) sum += value(c);
  const float mean = block_sum(sum, sums) / cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kBlock) {
    const float d = value(c) - mean;
    squares = fmaf(d, d, squares);
  }
  const float scale = fast_rsqrt(block_sum(squares, squared) / cols + eps);
  for (int c = threadIdx.x; c < cols; c += kBlock)
    put(y + c, fmaf((value(c) - mean) * scale, to_float(gain[c]), to_float(shift[c])));
}

// launcher --------------------------------------------------------------------
template <class T, int kPieces, bool kPlain, bool kQuantise, Numbers kKind = Numbers::kInt8>
void launch_lanes(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* gain, const T* shift, const Rows8& y8, int rows,
                  int cols, float alpha, nn::Activation activation, float eps) {
  constexpr int kRows = 128 / kLanes;  // of a block
  const int most = ((size_t{1} << 32) / (cols * sizeof(T)) - 1) / kRows * kRows;  // rows a launch: the kernel counts bytes in 32 bits
  for (int done = 0; done < rows; done += most) {
    const int some = std::min(most, rows - done);
    const size_t from = size_t(done) * cols;
    hipLaunchKernelGGL((layer_norm_lanes<T, kPieces, kPlain, kQuantise, kKind>), dim3((some + kRows - 1) / kRows), dim3(128), 0, stream, y + from,
                       x + from, bias, skip ? skip + from : nullptr, gain, shift, kQuantise ? static_cast<int8_t*>(y8.numbers) + from : nullptr,
                       kQuantise ? y8.scales + done : nullptr, some, cols, 1.0f / cols, alpha, activation, eps);
  }
}

template <class Part, class T>
void launch_layer_norm(hipStream_t stream, T* y, const Part* x, int parts, int ld, const T* bias, const T* skip, const T* gain,
                       const T* shift, int rows, int cols, float alpha, nn::Activation activation, float eps, const Rows8& y8) {
  const int pieces = (cols + kLanes * kPiece - 1) / (kLanes * kPiece);  // of each of 32 lanes
  const int block_pieces = (cols + kBlock * kPiece - 1) / (kBlock * kPiece);  // of each thread of a block
  if constexpr (sizeof(T) == 2) {
    if (y8 && !(std::is_same_v<Part, T> && parts == 1 && pieces <= 4)) {  // as a pass of its own
      launch_layer_norm<Part, T>(stream, y, x, parts, ld, bias, skip, gain, shift, rows, cols, alpha, activation, eps, {});
      launch_quantise_rows(stream, y8, y, rows, cols);
      return;
    }
  }
  if (cols % kPiece != 0 || block_pieces > 4) {
    hipLaunchKernelGGL((layer_norm_any<Part, T>), dim3(rows), dim3(kBlock), 0, stream, y, x, parts, size_t(rows) * ld, bias, skip, gain, shift,
                       cols, ld, alpha, activation, eps);
    return;
  }
  if constexpr (std::is_same_v<Part, T>) {
    if (parts == 1 && pieces <= 4) {
      const bool plain = bias && skip && activation == nn::Activation::kNone && cols == pieces * kLanes * kPiece;
      const auto run = [&]<int kPieces>(std::integral_constant<int, kPieces>) {
        const auto with = [&](auto* launch) { launch(stream, y, x, bias, skip, gain, shift, y8, rows, cols, alpha, activation, eps); };
        if constexpr (sizeof(T) == 2) {
          if (y8) {
            with_numbers(y8.kind, [&]<Numbers kKind>() {
              with(plain ? launch_lanes<T, kPieces, true, true, kKind> : launch_lanes<T, kPieces, false, true, kKind>);
            });
            return;
          }
        }
        with(plain ? launch_lanes<T, kPieces, true, false> : launch_lanes<T, kPieces, false, false>);
      };
      if (pieces == 1) run(std::integral_constant<int, 1>{});
      else if (pieces == 2) run(std::integral_constant<int, 2>{});
      else if (pieces == 3) run(std::integral_constant<int, 3>{});
      else run(std::integral_constant<int, 4>{});
      return;
    }
  }
  const bool whole = cols % (block_pieces * kLanes * kPiece) == 0;
  const int held = whole ? block_pieces : 4, groups = (cols + held * kLanes * kPiece - 1) / (held * kLanes * kPiece);
  const auto run = [&](auto* kernel) {
    hipLaunchKernelGGL(kernel, dim3(rows), dim3(groups * kLanes), 0, stream, y, x, parts, size_t(rows) * cols, bias, skip, gain, shift, cols,
                       1.0f / cols, alpha, activation, eps);
  };
  if (!whole) run(layer_norm_block<Part, T, 4, false>);
  else if (held == 1) run(layer_norm_block<Part, T, 1, true>);
  else if (held == 2) run(layer_norm_block<Part, T, 2, true>);
  else if (held == 3) run(layer_norm_block<Part, T, 3, true>);
  else run(layer_norm_block<Part, T, 4, true>);
}

template void launch_layer_norm(hipStream_t, float*, const float*, int, int, const float*, const float*, const float*, const float*, int, int,
                                float, nn::Activation, float, const Rows8&);
template void launch_layer_norm(hipStream_t, half*, const half*, int, int, const half*, const half*, const half*, const half*, int, int,
                                float, nn::Activation, float, const Rows8&);
template void launch_layer_norm(hipStream_t, half*, const float*, int, int, const half*, const half*, const half*, const half*, int, int,
                                float, nn::Activation, float, const Rows8&);

}  // namespace rocm
