// Wave width, lane exchange and the maths that has a one-instruction form on a GPU. With mma.h the only home of
// architecture #if. Blocks are one-dimensional; a launch never depends on the wave width: work is given to groups of 32
// lanes or to whole blocks.
#pragma once
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

#include <cstdint>

namespace rocm {

#if defined(__GFX9__)
constexpr int kWave = 64;
#elif defined(HIP_EMULATED_WAVE)
constexpr int kWave = HIP_EMULATED_WAVE;
#else
constexpr int kWave = 32;
#endif

// Whether a thread of a block of 512 has 128 registers at most, where other targets have more or need fewer.
#if defined(__GFX9__) && !defined(__gfx90a__) && !defined(__gfx942__) && !defined(__gfx950__) && !defined(__gfx9_4_generic__)
constexpr bool kFewRegisters = true;
#else
constexpr bool kFewRegisters = false;
#endif

__device__ inline int lane() { return threadIdx.x % kWave; }

// A part of a kernel, inlined before anything else is done to it: arrays that it takes by reference would else keep the compiler from
// ordering loads (gemm's tile of 32 x 64 on gfx1100: 166 registers in place of 94).
#define KERNEL_PART __device__ __attribute__((always_inline)) inline

#if defined(__AMDGCN__)
template <int kControl>
__device__ inline uint32_t dpp(uint32_t x) {
  uint32_t y = __builtin_amdgcn_update_dpp(0, x, kControl, 0xf, 0xf, true);
  asm("" : "+v"(y));  // a move of its own: folded into v_add_f32 v8, v8, v8 an emulator that goes lane by lane reads sums already written
  return y;
}
#endif

// The value of lane `lane() ^ kMask`. On AMD masks 1, 2, 7 and 15 are one instruction.
template <int kMask>
__device__ inline uint32_t lane_xor(uint32_t x) {
#if defined(__AMDGCN__)
  if constexpr (kMask == 1) return dpp<0xb1>(x);     // quad_perm [1,0,3,2]
  else if constexpr (kMask == 2) return dpp<0x4e>(x);  // quad_perm [2,3,0,1]
  else if constexpr (kMask == 7) return dpp<0x141>(x);  // row_half_mirror
  else if constexpr (kMask == 15) return dpp<0x140>(x);  // row_mirror
#if !defined(__GFX9__)
  else if constexpr (kMask == 16) {
    uint32_t low = 0x76543210, high = 0xfedcba98;  // lane i takes from lane i of the other 16
    asm("" : "+s"(low), "+s"(high));  // in scalar registers, not as a literal in each instruction
    return __builtin_amdgcn_permlanex16(0, x, low, high, false, true);
  }
#endif
  else
#endif
    return __shfl_xor(x, kMask, kMask < 32 ? 32 : 64);
}

template <int kMask>
__device__ inline float lane_xor(float x) {
  return __builtin_bit_cast(float, lane_xor<kMask>(__builtin_bit_cast(uint32_t, x)));
}

// The compiler moves no instruction across: what was ordered by hand, such as loads ahead of the work that hides them, stays so.
__device__ inline void keep_order() {
#if defined(__AMDGCN__)
  __builtin_amdgcn_sched_barrier(0);
#endif
}

// Sum and maximum over the 32 lanes of an aligned group; every lane gets the result.
__device__ inline float group_sum(float x) {
  x += lane_xor<1>(x);
  x += lane_xor<2>(x);
  x += lane_xor<7>(x);   // four lanes hold the same sum by now, so that a mirror is as good as xor 4
  x += lane_xor<15>(x);
  return x + lane_xor<16>(x);
}

__device__ inline float group_max(float x) {
  x = fmaxf(x, lane_xor<1>(x));
  x = fmaxf(x, lane_xor<2>(x));
  x = fmaxf(x, lane_xor<7>(x));
  x = fmaxf(x, lane_xor<15>(x));
  return fmaxf(x, lane_xor<16>(x));
}

// Sum over a block of up to 8 whole groups of 32 threads; every thread gets the result. `part` is shared memory that no other call uses.
__device__ inline float block_sum(float x, float (&part)[8]) {
  x = group_sum(x);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
  __syncthreads();
  x = threadIdx.x % 8 < blockDim.x / 32 ? part[threadIdx.x % 8] : 0;
  x += lane_xor<1>(x);
  x += lane_xor<2>(x);
  return x + lane_xor<7>(x);
}

// 2^x, 1 / x, 1 / sqrt(x) within about an ulp; results below the normal range may be 0.
__device__ inline float fast_exp2(float x) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_exp2f(x);
#elif defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

__device__ inline float fast_reciprocal(float x) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_rcpf(x);
#elif defined(__CUDA_ARCH__)
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1.0f / x;
#endif
}

__device__ inline float fast_rsqrt(float x) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_rsqf(x);
#elif defined(__CUDA_ARCH__)
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1.0f / sqrtf(x);
#endif
}

// x, of which the compiler now knows nothing: what is computed from it inside a loop stays there and takes no registers outside.
__device__ inline size_t opaque(size_t x) {
#if defined(__AMDGCN__)
  asm volatile("" : "+s"(x));
#elif defined(__CUDA_ARCH__)
  asm volatile("" : "+l"(x));
#endif
  return x;
}

// A word as two halves and back; __half2 is not trivially copyable everywhere, which bit_cast asks for.
__device__ inline __half2 halves_of(uint32_t x) {
  __half2 y;
  __builtin_memcpy(static_cast<void*>(&y), &x, sizeof y);
  return y;
}

__device__ inline uint32_t word_of(__half2 x) {
  uint32_t y;
  __builtin_memcpy(&y, static_cast<const void*>(&x), sizeof y);
  return y;
}

// Two floats in one word of halves; the second form may round toward zero, where that is one instruction instead of three.
__device__ inline uint32_t pack_halves(float low, float high) {
  return word_of(__halves2half2(__float2half_rn(low), __float2half_rn(high)));
}

__device__ inline uint32_t pack_halves_fast(float low, float high) {
#if defined(__AMDGCN__)
  return __builtin_bit_cast(uint32_t, __builtin_amdgcn_cvt_pkrtz(low, high));
#else
  return pack_halves(low, high);
#endif
}

// The low, or the high, halves of two words in one word.
__device__ inline uint32_t pack_lows(uint32_t a, uint32_t b) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_perm(b, a, 0x05040100);
#else
  return (a & 0xffff) | b << 16;
#endif
}

__device__ inline uint32_t pack_highs(uint32_t a, uint32_t b) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_perm(b, a, 0x07060302);
#else
  return a >> 16 | (b & 0xffff0000);
#endif
}

// The low, or the high, two bytes of a word as the halves 1024 + byte.
__device__ inline uint32_t halves_of_low_bytes(uint32_t x) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_perm(0x64646464, x, 0x04010400);
#elif defined(__CUDA_ARCH__)
  return __byte_perm(x, 0x64646464, 0x4140);
#else
  return (x & 0xff) | (x & 0xff00) << 8 | 0x64006400;
#endif
}

__device__ inline uint32_t halves_of_high_bytes(uint32_t x) {
#if defined(__AMDGCN__)
  return __builtin_amdgcn_perm(0x64646464, x, 0x04030402);
#elif defined(__CUDA_ARCH__)
  return __byte_perm(x, 0x64646464, 0x4342);
#else
  return halves_of_low_bytes(x >> 16);
#endif
}

}  // namespace rocm
