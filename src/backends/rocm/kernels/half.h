// Storage types: kernels are written once for float and half in memory and compute in float. 16 bytes a load.
#pragma once
#include <type_traits>

#include "wave.h"

namespace rocm {

template <int kWidth> struct Floats { float x[kWidth]; };
using Floats8 = Floats<8>;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline void put(float* p, float x) { *p = x; }
__device__ inline void put(__half* p, float x) { *p = __float2half_rn(x); }

// Within T's range: what is beyond that of half becomes its largest number, NaN stays.
constexpr float kMostHalf = 65504;
template <class T>
__device__ inline float saturated(float x) {
  return sizeof(T) == 4 ? x : x > kMostHalf ? kMostHalf : x < -kMostHalf ? -kMostHalf : x;
}

// The same of several, for a maximum and a branch: nearly always there is nothing to do.
template <class T, int kCount>
__device__ inline void saturate(float (&x)[kCount]) {
  if constexpr (sizeof(T) == 2) {
    float most = 0;
#pragma unroll
    for (float value : x) most = fmaxf(most, fabsf(value));
    if (most > kMostHalf) {
#pragma unroll
      for (float& value : x) value = saturated<T>(value);
    }
  }
}

// Address of element `offset`: unsigned 32-bit offsets from one pointer for all lanes need no 64-bit vector maths.
template <class T>
__device__ inline T* at(T* p, unsigned offset) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(p) + offset * unsigned(sizeof(T)));
}

__device__ inline Floats8 floats_of(uint4 w) {
  const float2 a = __half22float2(halves_of(w.x)), b = __half22float2(halves_of(w.y)),
               c = __half22float2(halves_of(w.z)), d = __half22float2(halves_of(w.w));
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

__device__ inline uint4 halves_of(const Floats8& y) {
  return {pack_halves(y.x[0], y.x[1]), pack_halves(y.x[2], y.x[3]), pack_halves(y.x[4], y.x[5]), pack_halves(y.x[6], y.x[7])};
}

// Eight numbers of 8 bits with a sign, exactly.
__device__ inline uint4 halves_of_int8(uint2 w) {
  const __half2 middle = halves_of(0x64806480u);  // 1024 + 128, what byte 0x80 becomes
  const uint32_t x = w.x ^ 0x80808080, y = w.y ^ 0x80808080;
  return {word_of(__hsub2(halves_of(halves_of_low_bytes(x)), middle)), word_of(__hsub2(halves_of(halves_of_high_bytes(x)), middle)),
          word_of(__hsub2(halves_of(halves_of_low_bytes(y)), middle)), word_of(__hsub2(halves_of(halves_of_high_bytes(y)), middle))};
}

// Neighbouring numbers as they lie in memory: of halves they take half the registers that floats would.
template <class T, int kWidth>
struct alignas(kWidth * sizeof(T) < 16 ? kWidth * sizeof(T) : 16) Packed {
  T x[kWidth];
};

// p must be 16-byte aligned.
__device__ inline Floats8 load8(const half* p) {
  const uint4 w = *reinterpret_cast<const uint4*>(p);  // one load, not one of each word
  return floats_of(w);
}

__device__ inline Floats8 load8(const float* p) {
  const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ inline void store8(__half* p, const Floats8& y) { *reinterpret_cast<uint4*>(p) = halves_of(y); }

__device__ inline void store8(float* p, const Floats8& y) {
  reinterpret_cast<float4*>(p)[0] = float4{y.x[0], y.x[1], y.x[2], y.x[3]};
  reinterpret_cast<float4*>(p)[1] = float4{y.x[4], y.x[5], y.x[6], y.x[7]};
}

// kWidth neighbouring values, 1, 2 or 8, in accesses of up to 16 bytes; p is aligned to them.
template <int kWidth, class T>
__device__ inline Floats<kWidth> load(const T* p) {
  static_assert(kWidth == 1 || kWidth == 2 || kWidth == 8);
  if constexpr (kWidth == 8) {
    return load8(p);
  } else if constexpr (kWidth == 1) {
    return {{to_float(*p)}};
  } else {
    float2 y;
    if constexpr (sizeof(T) == 2) y = __half22float2(halves_of(*reinterpret_cast<const uint32_t*>(p)));
    else y = *reinterpret_cast<const float2*>(p);
    return {{y.x, y.y}};
  }
}

template <int kWidth, class T>
__device__ inline void store(T* p, const Floats<kWidth>& y) {
  if constexpr (kWidth == 8) store8(p, y);
  else if constexpr (kWidth == 1) put(p, y.x[0]);
  else if constexpr (sizeof(T) == 2) *reinterpret_cast<uint32_t*>(p) = pack_halves(y.x[0], y.x[1]);
  else *reinterpret_cast<float2*>(p) = float2{y.x[0], y.x[1]};
}

}  // namespace rocm
