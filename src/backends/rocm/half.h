// Storage types: kernels are written once for float and half in memory and compute in float. 16 bytes a load.
#pragma once
#include <type_traits>

#include "wave.h"

struct Floats8 { float x[8]; };

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline void put(float* p, float x) { *p = x; }
__device__ inline void put(__half* p, float x) { *p = __float2half_rn(x); }

// Address of element `offset`: unsigned 32-bit offsets from one pointer for all lanes need no 64-bit vector maths.
template <class T>
__device__ inline T* at(T* p, unsigned offset) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(p) + offset * unsigned(sizeof(T)));
}

// p must be 16-byte aligned.
__device__ inline Floats8 load8(const half* p) {
  const uint4 w = *reinterpret_cast<const uint4*>(p);
  const float2 a = __half22float2(__builtin_bit_cast(__half2, w.x)), b = __half22float2(__builtin_bit_cast(__half2, w.y)),
               c = __half22float2(__builtin_bit_cast(__half2, w.z)), d = __half22float2(__builtin_bit_cast(__half2, w.w));
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

__device__ inline Floats8 load8(const float* p) {
  const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ inline void store8(__half* p, const Floats8& y) {
  *reinterpret_cast<uint4*>(p) = uint4{pack_halves(y.x[0], y.x[1]), pack_halves(y.x[2], y.x[3]), pack_halves(y.x[4], y.x[5]),
                                       pack_halves(y.x[6], y.x[7])};
}

__device__ inline void store8(float* p, const Floats8& y) {
  reinterpret_cast<float4*>(p)[0] = float4{y.x[0], y.x[1], y.x[2], y.x[3]};
  reinterpret_cast<float4*>(p)[1] = float4{y.x[4], y.x[5], y.x[6], y.x[7]};
}
