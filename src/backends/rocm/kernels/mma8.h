// mma() of mma.h for numbers of 8 bits: D (kRows x 16) += A (kRows x 2 kK) * B (2 kK x 16), D of int for whole numbers, else of float. Fragments have the
// bytes of those of halves, read in the same way, and D lies in the same lanes. A piece has 16 k in place of eight; which of them an instruction takes
// together is free, as both operands agree.
//
//             whole numbers                floating-point ones
//   gfx11     wmma iu8 16x16x16 x2         -
//   gfx12     wmma iu8 16x16x16 x2         wmma fp8 16x16x16 x2, OCP
//   gfx942    mfma i8 16x16x32 x4          mfma fp8 16x16x32 x4, FNUZ
//   gfx950    mfma i8 16x16x64 x2          mfma f8f6f4 16x16x128 x2, OCP, of two fragments
//   gfx908, gfx90a   mfma i8 16x16x16 x8   -
//   CUDA      mma.m16n8k32 s8 x8           mma.m16n8k32 e4m3 x8, OCP
// Others have no such instruction, and kMatrix8 is false for a kind; the emulation multiplies plainly.
#pragma once
#include "fp8.h"
#include "mma.h"

namespace rocm {

#if defined(HIP_EMULATED_WAVE)
template <Numbers kKind>
constexpr bool kMatrix8 = true;
#elif defined(MMA_SOFTWARE)
template <Numbers kKind>
constexpr bool kMatrix8 = false;
#elif defined(__gfx942__)
template <Numbers kKind>
constexpr bool kMatrix8 = kKind != Numbers::kFp8;
#elif defined(MMA_CUDA) || defined(MMA_GFX12) || defined(__gfx950__)
template <Numbers kKind>
constexpr bool kMatrix8 = kKind != Numbers::kFp8Fnuz;
#else
template <Numbers kKind>
constexpr bool kMatrix8 = kKind == Numbers::kInt8;
#endif

// D, whose type says of which numbers A and B are.
template <Numbers kKind>
struct FragD8 { float x[8 * kColumns]; };
template <>
struct FragD8<Numbers::kInt8> { int x[8 * kColumns]; };
using FragI = FragD8<Numbers::kInt8>;

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
#if defined(MMA_GFX12)
__device__ inline FragD8<Numbers::kFp8> mma(const FragA& a, const FragB& b, const FragD8<Numbers::kFp8>& d) {
  struct Pair { Int8Operand x[2]; };
  const Pair p = __builtin_bit_cast(Pair, a), q = __builtin_bit_cast(Pair, b);
  Float8 sums = __builtin_bit_cast(Float8, d);
#pragma unroll
  for (int i = 0; i < 2; ++i) sums = __builtin_amdgcn_wmma_f32_16x16x16_fp8_fp8_w32_gfx12(p.x[i], q.x[i], sums);
  return __builtin_bit_cast(FragD8<Numbers::kFp8>, sums);
}
#endif
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
#if defined(__gfx950__)
template <>
constexpr int kFragments<FragD8<Numbers::kFp8>> = 2;

// The instruction whose blocks of 32 k may have a power of two each as their scale, without these: a row's scale is a float, and comes last
// (gemm_rows8.hip says why).
KERNEL_PART FragD8<Numbers::kFp8> mma(const FragA (&a)[2], const FragB (&b)[2], FragD8<Numbers::kFp8> d) {
  typedef int Int8 __attribute__((ext_vector_type(8)));
  const auto pair = [](uint4 x, uint4 y) { return Int8{int(x.x), int(x.y), int(x.z), int(x.w), int(y.x), int(y.y), int(y.z), int(y.w)}; };
  const Int8 q = pair(b[0].x[0], b[1].x[0]);
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    float* x = d.x + 4 * t;
    constexpr int kE4m3 = 0, kNoScale = 0;
    const Float4 y = __builtin_amdgcn_mfma_scale_f32_16x16x128_f8f6f4(pair(a[0].x[t], a[1].x[t]), q, Float4{x[0], x[1], x[2], x[3]}, kE4m3, kE4m3, 0, kNoScale,
                                                                      0, kNoScale);
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
  }
  return d;
}
#elif defined(__gfx942__)
template <Numbers kKind>
__device__ inline FragD8<kKind> mma(const FragA& a, const FragB& b, FragD8<kKind> d) {
  const auto half_of = [](uint32_t low, uint32_t high) { return __builtin_bit_cast(long, uint2{low, high}); };
  const uint4 q = b.x[0];
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    float* x = d.x + 4 * t;
    const uint4 p = a.x[t];
    Float4 y{x[0], x[1], x[2], x[3]};
    y = __builtin_amdgcn_mfma_f32_16x16x32_fp8_fp8(half_of(p.x, p.y), half_of(q.x, q.y), y, 0, 0, 0);
    y = __builtin_amdgcn_mfma_f32_16x16x32_fp8_fp8(half_of(p.z, p.w), half_of(q.z, q.w), y, 0, 0, 0);
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
  }
  return d;
}
#endif
#elif defined(MMA_CUDA)
__device__ inline FragI mma(const FragA& a, const FragB& b, const FragI& d) {
  return by_instructions(a, b, d, [](int& d0, int& d1, int& d2, int& d3, const uint4& b, uint32_t a0, uint32_t a1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d0), "+r"(d1), "+r"(d2), "+r"(d3) : "r"(b.x), "r"(b.y), "r"(b.z), "r"(b.w), "r"(a0), "r"(a1));
  });
}

__device__ inline FragD8<Numbers::kFp8> mma(const FragA& a, const FragB& b, const FragD8<Numbers::kFp8>& d) {
  return by_instructions(a, b, d, [](float& d0, float& d1, float& d2, float& d3, const uint4& b, uint32_t a0, uint32_t a1) {
    asm("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3) : "r"(b.x), "r"(b.y), "r"(b.z), "r"(b.w), "r"(a0), "r"(a1));
  });
}
#elif defined(HIP_EMULATED_WAVE)
template <Numbers kKind>
__device__ inline FragD8<kKind> mma(const FragA& a, const FragB& b, FragD8<kKind> d) {  // as that of halves
  struct Operands { FragA a; FragB b; };
  struct Bytes { uint8_t x[16]; };
  const auto number = [](uint8_t byte) {
    if constexpr (kKind == Numbers::kInt8) return int(int8_t(byte));
    else return float_of_fp8<kKind>(byte);
  };
  const auto lanes = hip_emulated::all_lanes(Operands{a, b});
  constexpr int kPieceRows = 8 / kAPieces;
  for (int k = 0; k < kWave; k += 16) {
    const Bytes y = __builtin_bit_cast(Bytes, lanes.template get<Operands>(k + lane() % 16).b.x[0]);
    for (int v = 0; v < 8; ++v) {
      const Operands& row = lanes.template get<Operands>(k + lane() / 16 * kPieceRows + v % kPieceRows);
      const Bytes x = __builtin_bit_cast(Bytes, row.a.x[v / kPieceRows]);
      for (int e = 0; e < 16; ++e) d.x[v] += number(x.x[e]) * number(y.x[e]);
    }
  }
  return d;
}
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
