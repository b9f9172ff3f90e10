// mma() of mma.h for numbers of 8 bits: D (kRows x 16, int) += A (kRows x 2 kK, int8) * B (2 kK x 16, int8). Fragments have the bytes of those of halves,
// read in the same way, and D lies in the same lanes. A piece has 16 k in place of eight; which of them an instruction takes together is free, as
// both operands agree.
//
//   gfx11     wmma iu8 16x16x16 x2         gfx950    mfma i8 16x16x64 x2
//   gfx12     wmma iu8 16x16x16 x2         CUDA      mma.m16n8k32 s8 x8
//   gfx942    mfma i8 16x16x32 x4          gfx908, gfx90a   mfma i8 16x16x16 x8
// Others have no such instruction, and kInt8Matrix is false; the emulation multiplies plainly.
#pragma once
#include "mma.h"

namespace rocm {

#if defined(MMA_SOFTWARE) && !defined(HIP_EMULATED_WAVE)
constexpr bool kInt8Matrix = false;
#else
constexpr bool kInt8Matrix = true;
#endif

struct FragI { int x[8 * kColumns]; };

#if defined(MMA_GFX11) || defined(MMA_GFX12)
typedef int Int8Sums __attribute__((ext_vector_type(8)));
typedef int Int8Operand __attribute__((ext_vector_type(2 * kAPieces)));  // 16 bytes a lane on gfx11, 8 on gfx12

__device__ inline FragI mma(const FragA& a, const FragB& b, const FragI& d) {
  struct Pair { Int8Operand x[2]; };
  const Pair p = __builtin_bit_cast(Pair, a), q = __builtin_bit_cast(Pair, b);
  Int8Sums sums = __builtin_bit_cast(Int8Sums, d);
#pragma unroll
  for (int i = 0; i < 2; ++i)
#if defined(MMA_GFX11)
    sums = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, p.x[i], true, q.x[i], sums, false);
#else
    sums = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, p.x[i], true, q.x[i], sums, false);
#endif
  return __builtin_bit_cast(FragI, sums);
}
#elif defined(MMA_MFMA)
typedef int Int4 __attribute__((ext_vector_type(4)));

__device__ inline Int4 mma_16(uint4 a, uint4 b, Int4 d) {
#if defined(__gfx950__)
  return __builtin_amdgcn_mfma_i32_16x16x64_i8(__builtin_bit_cast(Int4, a), __builtin_bit_cast(Int4, b), d, 0, 0, 0);
#elif defined(__gfx908__) || defined(__gfx90a__)
  d = __builtin_amdgcn_mfma_i32_16x16x16i8(a.x, b.x, d, 0, 0, 0);
  d = __builtin_amdgcn_mfma_i32_16x16x16i8(a.y, b.y, d, 0, 0, 0);
  d = __builtin_amdgcn_mfma_i32_16x16x16i8(a.z, b.z, d, 0, 0, 0);
  return __builtin_amdgcn_mfma_i32_16x16x16i8(a.w, b.w, d, 0, 0, 0);
#else
  d = __builtin_amdgcn_mfma_i32_16x16x32_i8(__builtin_bit_cast(long, uint2{a.x, a.y}), __builtin_bit_cast(long, uint2{b.x, b.y}), d, 0, 0, 0);
  return __builtin_amdgcn_mfma_i32_16x16x32_i8(__builtin_bit_cast(long, uint2{a.z, a.w}), __builtin_bit_cast(long, uint2{b.z, b.w}), d, 0, 0, 0);
#endif
}

__device__ inline FragI mma(const FragA& a, const FragB& b, FragI d) {
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    int* x = d.x + 4 * t;
    const Int4 y = mma_16(a.x[t], b.x[0], Int4{x[0], x[1], x[2], x[3]});
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
  }
  return d;
}
#elif defined(MMA_CUDA)
__device__ inline FragI mma(const FragA& a, const FragB& b, FragI d) {
#ifdef __CUDA_ARCH__
#pragma unroll
  for (int t = 0; t < kAPieces; ++t) {
    int *x = d.x + 2 * t, *y = d.x + 8 + 2 * t;
    const auto step = [&](uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
      asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+r"(x[0]), "+r"(x[1]), "+r"(y[0]), "+r"(y[1])
          : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    };
    step(b.x[0].x, b.x[0].y, b.x[0].z, b.x[0].w, a.x[t].x, a.x[t].y);
    step(b.x[1].x, b.x[1].y, b.x[1].z, b.x[1].w, a.x[t].z, a.x[t].w);
  }
#endif
  return d;
}
#elif defined(HIP_EMULATED_WAVE)
__device__ inline FragI mma(const FragA& a, const FragB& b, FragI d) {  // as that of halves
  struct Operands { FragA a; FragB b; };
  struct Bytes { int8_t x[16]; };
  const auto lanes = hip_emulated::all_lanes(Operands{a, b});
  constexpr int kPieceRows = 8 / kAPieces;
  for (int k = 0; k < kWave; k += 16) {
    const Bytes y = __builtin_bit_cast(Bytes, lanes.get<Operands>(k + lane() % 16).b.x[0]);
    for (int v = 0; v < 8; ++v) {
      const Operands& row = lanes.get<Operands>(k + lane() / 16 * kPieceRows + v % kPieceRows);
      const Bytes x = __builtin_bit_cast(Bytes, row.a.x[v / kPieceRows]);
      for (int e = 0; e < 16; ++e) d.x[v] += x.x[e] * y.x[e];
    }
  }
  return d;
}
#else
__device__ inline FragI mma(const FragA&, const FragB&, const FragI& d) { return d; }  // nobody calls it
#endif

// The number of a thread's wave; on CUDA found anew at each call, for to keep it takes a register where there may be none.
__device__ inline int wave_number() {
#ifdef __CUDA_ARCH__
  return opaque(threadIdx.x / kWave);
#else
  return threadIdx.x / kWave;
#endif
}

// Copies of 16 bytes from memory to LDS that run beside the work, each step's a group: land() waits until all but the last kLeft groups are there.
// Elsewhere registers hold what is on its way.
#if defined(MMA_CUDA)
constexpr bool kCopiesAlone = true;
__device__ inline void copy_alone(uint4* to, const void* from, bool is_there) {  // else zero
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(unsigned(__cvta_generic_to_shared(to))), "l"(from), "r"(is_there ? 16 : 0)
               : "memory");
#endif
}
__device__ inline void end_group() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int kLeft>
__device__ inline void land() {
#ifdef __CUDA_ARCH__
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}
#else
constexpr bool kCopiesAlone = false;
__device__ inline void copy_alone(uint4*, const void*, bool) {}
__device__ inline void end_group() {}
template <int kLeft>
__device__ inline void land() {}
#endif

}  // namespace rocm
