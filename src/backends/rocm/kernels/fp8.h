// Floating-point numbers of 8 bits: a sign, four bits of exponent, three of mantissa. E4M3 of OCP has a bias of 7, NaN as 0x7f and 0xff, and ends at 448;
// FNUZ, of gfx942, has a bias of 8, NaN as 0x80, which would else be a second zero, and ends at 240. Neither has an infinity.
#pragma once
#include <hip/hip_runtime.h>

#include "rows8.h"

namespace rocm {

// x rounded to nearest even, within the range; NaN stays.
template <Numbers kKind>
__host__ __device__ inline uint32_t fp8_of(float x) {
  constexpr int kBias = kKind == Numbers::kFp8 ? 7 : 8;
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t sign = bits >> 24 & 0x80;
  uint32_t rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return kKind == Numbers::kFp8 ? 0x7f : 0x80;
  constexpr uint32_t kMost = kKind == Numbers::kFp8 ? 0x43e00000 : 0x43700000;  // as floats: nvcc 13.0 stumbles over a cast of a constant
  if (rest > kMost) rest = kMost;
  uint32_t number;
  if (rest < uint32_t(128 - kBias) << 23) {  // below the normal ones: beside 2^(21 - bias) the last bit of a float is the step
    number = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, rest) + (kBias == 7 ? 16384 : 8192)) - (uint32_t(148 - kBias) << 23);
  } else {
    number = ((rest + 0x7ffff + (rest >> 20 & 1)) >> 20) - ((127 - kBias) << 3);
  }
  return kKind == Numbers::kFp8Fnuz && number == 0 ? 0 : sign | number;
}

template <Numbers kKind>
__host__ __device__ inline float float_of_fp8(uint32_t number) {
  constexpr int kBias = kKind == Numbers::kFp8 ? 7 : 8;
  if (kKind == Numbers::kFp8 ? (number & 0x7f) == 0x7f : number == 0x80) return __builtin_nanf("");
  const int exponent = number >> 3 & 15;
  const float mantissa = float((number & 7) + (exponent ? 8 : 0));
  const float step = __builtin_bit_cast(float, uint32_t(127 - kBias - 3 + (exponent ? exponent : 1)) << 23);
  return number & 0x80 ? -mantissa * step : mantissa * step;
}

// Four of these, of numbers that are not beyond the range by more than a rounding.
template <Numbers kKind>
__device__ inline uint32_t pack_fp8(float a, float b, float c, float d) {
#if defined(__CUDA_ARCH__)
  if constexpr (kKind == Numbers::kFp8) {
    uint16_t low, high;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
    return low | uint32_t(high) << 16;
  }
#elif defined(__gfx942__) || defined(__gfx950__) || defined(__GFX12__)
#if defined(__gfx942__)
  constexpr Numbers kOwn = Numbers::kFp8Fnuz;
#else
  constexpr Numbers kOwn = Numbers::kFp8;
#endif
  if constexpr (kKind == kOwn) return __builtin_amdgcn_cvt_pk_fp8_f32(c, d, __builtin_amdgcn_cvt_pk_fp8_f32(a, b, 0, false), true);
#endif
  return fp8_of<kKind>(a) | fp8_of<kKind>(b) << 8 | fp8_of<kKind>(c) << 16 | fp8_of<kKind>(d) << 24;
}

}  // namespace rocm
