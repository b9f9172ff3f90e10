// layer_norm: y = (t - mean(t)) / sqrt(var(t) + eps) * gain + shift over each row of t = skip + alpha * act(x + bias).
//
// The residual sum and the bias of the product before it are part of the same pass. Memory bound: x, skip and y once, at 768 halves
// 4.6 KB a row; with few rows the latency of one read, two sums over the team and one write. A row belongs to a team of threads which
// holds it in registers: 32 lanes up to 1,024 values (a wave of 64 has two rows), a block of 256 threads up to 8,192. The variance
// is taken about the mean, in float. Rows that are wider, or not made of 16-byte pieces, are read three times, from the cache.
#include <algorithm>

#include "activation.h"
#include "half.h"
#include "kernels.h"

namespace rocm {

constexpr int kPiece = 8;  // values in one load of a thread
constexpr int kLanes = 32, kBlock = 256;

enum class Shape {
  kPlain,  // cols is kPieces * kTeam * 8; bias and skip are there and no activation
  kWhole,  // cols likewise
  kAny     // cols is any multiple of 8 up to that
};

// kPieces: loads of a thread.
template <class T, int kTeam, int kPieces, Shape kShape>
__global__ void __launch_bounds__(kTeam == kLanes ? 128 : kTeam)
    layer_norm_team(T* y,            // (rows, cols)
                    const T* x,      // (rows, cols)
                    const T* bias,   // (cols) or null
                    const T* skip,   // (rows, cols) or null; may be y
                    const T* gain,   // (cols)
                    const T* shift,  // (cols)
                    int rows, int cols, float share, float alpha, nn::Activation activation, float eps) {  // share: 1 / cols
  constexpr bool kPlain = kShape == Shape::kPlain;
  __shared__ float part[kTeam / 32];
  const auto team_sum = [&](float s) {
    if constexpr (kTeam == kLanes) return group_sum(s);
    else return block_sum<kTeam>(s, part);
  };
  const int row = blockIdx.x * (blockDim.x / kTeam) + threadIdx.x / kTeam;
  if (row >= rows) return;  // never in a block that is one team
  const unsigned column = threadIdx.x % kTeam * kPiece, first = row * unsigned(cols) + column;
  const auto inside = [&](int i) { return kShape != Shape::kAny || column + i * kTeam * kPiece < unsigned(cols); };

  Floats8 t[kPieces];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const unsigned offset = i * kTeam * kPiece;
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
        const Floats8 c = skip ? load8(at(skip, first + i * kTeam * kPiece)) : Floats8{};
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
  const float mean = team_sum(sum) * share;
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
  const float scale = fast_rsqrt(team_sum(squares) * share + eps);
#pragma unroll
  for (int i = 0; i < kPieces; ++i) {
    const unsigned offset = i * kTeam * kPiece;
    if (!inside(i)) continue;
    const Floats8 g = load8(at(gain, column + offset)), b = load8(at(shift, column + offset));
#pragma unroll
    for (int e = 0; e < kPiece; ++e) t[i].x[e] = fmaf(t[i].x[e] * scale, g.x[e], b.x[e]);
    store8(at(y, first + offset), t[i]);
  }
}

// Any cols, a block a row.
template <class T>
__global__ void __launch_bounds__(kBlock)
    layer_norm_block(T* y, const T* x, const T* bias, const T* skip, const T* gain, const T* shift,  // as above
                     int cols, float alpha, nn::Activation activation, float eps) {
  __shared__ float part[kBlock / 32];
  const size_t first = size_t(blockIdx.x) * cols;
  x += first, y += first;
  if (skip) skip += first;
  const auto value = [&](int c) {
    const float t = activate(activation, to_float(x[c]) + (bias ? to_float(bias[c]) : 0));
    return saturated<T>(fmaf(t, alpha, skip ? to_float(skip[c]) : 0));
  };
  float sum = 0;
  for (int c = threadIdx.x; c < cols; c += kBlock) sum += value(c);
  const float mean = block_sum<kBlock>(sum, part) / cols;
  float squares = 0;
  for (int c = threadIdx.x; c < cols; c += kBlock) {
    const float d = value(c) - mean;
    squares = fmaf(d, d, squares);
  }
  const float scale = fast_rsqrt(block_sum<kBlock>(squares, part) / cols + eps);
  for (int c = threadIdx.x; c < cols; c += kBlock)
    put(y + c, fmaf((value(c) - mean) * scale, to_float(gain[c]), to_float(shift[c])));
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_layer_norm(hipStream_t stream, T* y, const T* x, const T* bias, const T* skip, const T* gain, const T* shift, int rows,
                       int cols, float alpha, nn::Activation activation, float eps) {
  const auto pieces_of = [cols](int team) { return (cols + team * kPiece - 1) / (team * kPiece); };
  const int few = pieces_of(kLanes), many = pieces_of(kBlock);
  const auto teams = [&](auto* kernel, int team) {
    const int a_block = std::max(128 / team, 1);
    const int most = ((size_t{1} << 32) / (cols * sizeof(T)) - 1) / 4 * 4;  // rows a launch: the kernel counts bytes in 32 bits
    for (int done = 0; done < rows; done += most) {
      const int some = std::min(most, rows - done);
      const size_t from = size_t(done) * cols;
      hipLaunchKernelGGL(kernel, dim3((some + a_block - 1) / a_block), dim3(a_block * team), 0, stream, y + from, x + from, bias,
                         skip ? skip + from : nullptr, gain, shift, some, cols, 1.0f / cols, alpha, activation, eps);
    }
  };
  const bool plain = bias && skip && activation == nn::Activation::kNone && cols == few * kLanes * kPiece;
  if (cols % kPiece != 0 || many > 4)
    hipLaunchKernelGGL(layer_norm_block<T>, dim3(rows), dim3(kBlock), 0, stream, y, x, bias, skip, gain, shift, cols, alpha,
                       activation, eps);
  else if (plain && few == 1) teams(layer_norm_team<T, kLanes, 1, Shape::kPlain>, kLanes);
  else if (plain && few == 2) teams(layer_norm_team<T, kLanes, 2, Shape::kPlain>, kLanes);
  else if (plain && few == 3) teams(layer_norm_team<T, kLanes, 3, Shape::kPlain>, kLanes);
  else if (plain && few == 4) teams(layer_norm_team<T, kLanes, 4, Shape::kPlain>, kLanes);
  else if (few == 1) teams(layer_norm_team<T, kLanes, 1, Shape::kAny>, kLanes);
  else if (few == 2) teams(layer_norm_team<T, kLanes, 2, Shape::kAny>, kLanes);
  else if (few <= 4) teams(layer_norm_team<T, kLanes, 4, Shape::kAny>, kLanes);
  else if (cols == kBlock * kPiece) teams(layer_norm_team<T, kBlock, 1, Shape::kWhole>, kBlock);
  else if (cols == 2 * kBlock * kPiece) teams(layer_norm_team<T, kBlock, 2, Shape::kWhole>, kBlock);
  else if (cols == 3 * kBlock * kPiece) teams(layer_norm_team<T, kBlock, 3, Shape::kWhole>, kBlock);
  else if (cols == 4 * kBlock * kPiece) teams(layer_norm_team<T, kBlock, 4, Shape::kWhole>, kBlock);
  else teams(layer_norm_team<T, kBlock, 4, Shape::kAny>, kBlock);
}

template void launch_layer_norm(hipStream_t, float*, const float*, const float*, const float*, const float*, const float*, int, int,
                                float, nn::Activation, float);
template void launch_layer_norm(hipStream_t, half*, const half*, const half*, const half*, const half*, const half*, int, int, float,
                                nn::Activation, float);

}  // namespace rocm
