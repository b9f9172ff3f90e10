// The excitation of a position by its block: from the channels' sums over squares to the gate and shift of each channel.
#pragma once
#include <string>

#include "activation.h"
#include "half.h"
#include "error.h"
#include "kernels.h"

namespace rocm {

constexpr int kSumParts = 4;  // of the 64 squares of a channel, added by different threads

// Bytes of shared memory that excite() works in.
inline size_t squeeze_excitation_lds(int channels, int width) {
  const size_t bytes = sizeof(float) * (size_t(kSumParts) * channels + width);
  if (bytes > 48 * 1024)
    throw Error("squeeze and excitation of " + std::to_string(channels) + " channels through " + std::to_string(width) +
                " needs more shared memory than a block can have; use the back end cpu");
  return bytes;
}

// Sum of row[i] * x[i] over every step-th piece of kPiece numbers from the first-th on. Weights come from memory: few loads, at once.
template <int kPiece, class T>
KERNEL_PART float dot(const T* row, const float* x, int count, int first, int step) {
  float sum = 0;
#pragma unroll 4
  for (int i = first * kPiece; i < count; i += step * kPiece) {
    const Floats<kPiece> r = load<kPiece>(row + i);
#pragma unroll
    for (int e = 0; e < kPiece; ++e) sum = fmaf(r.x[e], x[i + e], sum);
  }
  return sum;
}

// A thread's share of the weights, where that is few halves, in registers: asked for before the sums are there.
template <class T, int kThreads>
struct HeldExcitation {
  static constexpr int kGroups = kThreads / 32, kUnits = 2, kPieces = 4;
  static constexpr bool kTried = sizeof(T) == 2 && !kFewRegisters;
  using Piece = Packed<T, 8>;
  bool fits;
  Piece w1[kUnits] = {}, w2[kPieces] = {};
  float b1[kUnits] = {}, b2 = 0;

  KERNEL_PART HeldExcitation(const SqueezeExcitation<T>& se, int channels)
      : fits(kTried && channels % 8 == 0 && channels <= 256 && 2 * channels <= kThreads && se.width % 8 == 0 &&
             se.width <= min(kUnits * kGroups, kPieces * 8)) {
    if (!kTried || !fits) return;
    const int group = threadIdx.x / 32, c = threadIdx.x % 32 * 8;
#pragma unroll
    for (int i = 0; i < kUnits; ++i)
      if (const int unit = group + i * kGroups; unit < se.width && c < channels) {
        w1[i] = load(se.w1 + unit * channels + c);
        b1[i] = to_float(se.b1[unit]);
      }
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
      if (threadIdx.x < 2 * unsigned(channels) && i * 8 < se.width) w2[i] = load(se.w2 + threadIdx.x * se.width + i * 8);
    if (threadIdx.x < 2 * unsigned(channels)) b2 = to_float(se.b2[threadIdx.x]);
  }
  static KERNEL_PART Piece load(const T* p) { return *reinterpret_cast<const Piece*>(p); }
  static KERNEL_PART float dot(const Piece& piece, const float* x, float sum) {
#pragma unroll
    for (int e = 0; e < 8; ++e) sum = fmaf(to_float(piece.x[e]), x[e], sum);
    return sum;
  }
};

// The mean of each channel from the sums of its parts, in place of the first.
template <int kThreads, int kParts>
KERNEL_PART void average(float* lds, int channels) {
  __syncthreads();
  for (int c = threadIdx.x; c < channels; c += kThreads) {
    float sum = lds[c];
#pragma unroll
    for (int part = 1; part < kParts; ++part) sum += lds[part * channels + c];
    lds[c] = sum * (1.0f / 64);
  }
  __syncthreads();
}

// In: lds[part * channels + c] are sums over a part of the squares. Out: lds[channels + c] is the gate, lds[2 * channels + c] the shift.
template <class T, int kThreads, int kParts = kSumParts>
__device__ inline void excite(float* lds, const SqueezeExcitation<T>& se, int channels, nn::Activation activation) {
  float *mean = lds, *gates = lds + channels, *hidden = lds + kSumParts * channels;
  const bool pieces = channels % 8 == 0 && se.width % 8 == 0;
  average<kThreads, kParts>(lds, channels);
  for (int unit = threadIdx.x / 32; unit < se.width; unit += kThreads / 32) {  // 32 lanes each
    const T* row = se.w1 + size_t(unit) * channels;
    const int lane = threadIdx.x % 32;
    const float sum = group_sum(pieces ? dot<8>(row, mean, channels, lane, 32) : dot<1>(row, mean, channels, lane, 32));
    if (lane == 0) hidden[unit] = activate(activation, sum + to_float(se.b1[unit]));
  }
  __syncthreads();
  for (int c = threadIdx.x; c < 2 * channels; c += kThreads) {
    const T* row = se.w2 + size_t(c) * se.width;
    const float sum = to_float(se.b2[c]) + (pieces ? dot<8>(row, hidden, se.width, 0, 1) : dot<1>(row, hidden, se.width, 0, 1));
    gates[c] = c < channels ? sigmoid(sum) : sum;
  }
  __syncthreads();
}

// The same with weights that are held, where they are.
template <class T, int kThreads>
KERNEL_PART void excite(float* lds, const SqueezeExcitation<T>& se, int channels, nn::Activation activation, const HeldExcitation<T, kThreads>* held) {
  if (!HeldExcitation<T, kThreads>::kTried || !held->fits) return excite<T, kThreads>(lds, se, channels, activation);
  float *mean = lds, *gates = lds + channels, *hidden = lds + kSumParts * channels;
  average<kThreads, kSumParts>(lds, channels);
  using Held = HeldExcitation<T, kThreads>;
  const int c = threadIdx.x % 32 * 8;
#pragma unroll
  for (int i = 0; i < Held::kUnits; ++i) {
    const int unit = threadIdx.x / 32 + i * Held::kGroups;
    if (unit >= se.width) break;
    const float sum = group_sum(c < channels ? Held::dot(held->w1[i], mean + c, 0) : 0);
    if (c == 0) hidden[unit] = activate(activation, sum + held->b1[i]);
  }
  __syncthreads();
  if (const int c = threadIdx.x; c < 2 * channels) {
    float sum = held->b2;
#pragma unroll
    for (int i = 0; i < Held::kPieces; ++i)
      if (i * 8 < se.width) sum = Held::dot(held->w2[i], hidden + i * 8, sum);
    gates[c] = c < channels ? sigmoid(sum) : sum;
  }
  __syncthreads();
}

}  // namespace rocm
