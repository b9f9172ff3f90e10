// Matrix fragments of one wave: D (kRows x 16, float) += A (kRows x kK, half) * B (kK x 16, half), with kRows == kK.
//
// All targets give the same picture to a kernel, because the order of the rows of A and of k is free as long as the loads agree:
//   D   a lane holds eight neighbouring rows, lane_row() ... lane_row() + 7, of each of kColumns columns: x[8 * c + v] is
//       element (lane_row() + v, lane_column(c)). Column results (softmax) need a few lane exchanges: column_sum, column_max; so do
//       those of a row: row_sum.
//   A   row-major, k contiguous, read in 16-byte pieces; B is given by its columns, k contiguous too.
//   to_b(D) is D, rounded to half, as the B of the next product: P of softmax(K Q^T) feeds V^T P without leaving registers.
//
//             instruction        kRows  A row of lane l, piece t    k of element e   D row, columns of lane l
//   gfx11     wmma 16x16x16      16     8 (l%2) + l%16/2            e = 0..15        8 (l/16), l%16
//   gfx12     wmma 16x16x16      16     l%16                        8 (l/16) + e     8 (l/16), l%16
//   gfx9      mfma 16x16x16 x4   32     8 (l%16/4) + 4t + l%4       8 (l/16) + e     8 (l/16), l%16   (950: 16x16x32 x2)
//   CUDA      mma.m16n8k16 x8    32     8 (l/8) + 2t + l/4%2        8 (l%4) + e      8 (l%4), l/4 and l/4 + 8
//   others    dot products of lanes fetched by shuffles: the layout of gfx12 for waves of 32, of gfx9 for waves of 64
// On CUDA the instruction's A operand is our B: it computes the transpose. Its eight registers are those of two instructions, one behind the
// other, which take their columns in turns: a FragB is kept so, because to exchange registers costs more than the instructions. From LDS
// ldmatrix brings them so (load_lds); its k, though, are those of the instruction, two of each lane in turns, not eight neighbours: both
// operands come by it, or the B that it reads was put into LDS in that order (put_row).
#pragma once
#include "half.h"

namespace rocm {

#if defined(__GFX11__)
#define MMA_GFX11
#elif defined(__GFX12__)
#define MMA_GFX12
#elif defined(__GFX9__) && __has_builtin(__builtin_amdgcn_mfma_f32_16x16x16f16)
#define MMA_MFMA
#elif defined(__CUDACC__)
#define MMA_CUDA
#else
#define MMA_SOFTWARE
#endif

#if defined(MMA_CUDA)
constexpr int kRows = 32, kColumns = 2, kAPieces = 4, kBPieces = 2;
#elif defined(MMA_GFX11)
constexpr int kRows = 16, kColumns = 1, kAPieces = 2, kBPieces = 2;
#else
constexpr int kRows = kWave == 64 ? 32 : 16, kColumns = 1, kAPieces = kRows / 16, kBPieces = 1;
#endif
constexpr int kK = kRows;

struct FragA { uint4 x[kAPieces]; };            // eight halves a piece
struct FragB { uint4 x[kBPieces]; };
struct FragD { float x[8 * kColumns]; };

// How many fragments of A, and of B, a mma() takes at once, by its D: one behind the other in k.
template <class D>
constexpr int kFragments = 1;

// Rows lane_row() ... lane_row() + 7 of column lane_column(t).
__device__ inline Floats8 rows_of(const FragD& d, int t) {
  Floats8 z;
#pragma unroll
  for (int e = 0; e < 8; ++e) z.x[e] = d.x[8 * t + e];
  return z;
}

#if defined(MMA_CUDA)
__device__ inline int lane_row() { return lane() % 4 * 8; }
__device__ inline int lane_column(int c) { return lane() / 4 + 8 * c; }
__device__ inline int piece_k(int) { return lane() % 4 * 8; }
__device__ inline int lane_slot(int t) { return 8 * t + lane() / 4; }
__device__ inline float column_sum(float x) { x += lane_xor<1>(x); return x + lane_xor<2>(x); }
__device__ inline float column_max(float x) { x = fmaxf(x, lane_xor<1>(x)); return fmaxf(x, lane_xor<2>(x)); }
__device__ inline float row_sum(float x) { x += lane_xor<4>(x); x += lane_xor<8>(x); return x + lane_xor<16>(x); }
#else
__device__ inline int lane_row() { return lane() / 16 * 8; }
__device__ inline int lane_column(int) { return lane() % 16; }
#if defined(MMA_GFX11)
__device__ inline int piece_k(int t) { return 8 * t; }
__device__ inline int lane_slot(int) { return lane() % 16; }
#else
__device__ inline int piece_k(int) { return lane() / 16 * 8; }
__device__ inline int lane_slot(int t) { return 16 * t + lane() % 16; }
#endif
__device__ inline float column_sum(float x) {
  x += lane_xor<16>(x);
  if constexpr (kWave == 64) x += lane_xor<32>(x);
  return x;
}
__device__ inline float column_max(float x) {
  x = fmaxf(x, lane_xor<16>(x));
  if constexpr (kWave == 64) x = fmaxf(x, lane_xor<32>(x));
  return x;
}
__device__ inline float row_sum(float x) {
  x += lane_xor<1>(x);
  x += lane_xor<2>(x);
  x += lane_xor<7>(x);  // as in group_sum
  return x + lane_xor<15>(x);
}
#endif

// A piece is eight neighbouring k of a row of A or a column of B. piece_k(t): its first k; a_row(t): the row of A it is of;
// lane_slot(t): where that row lies in a tile that load_a_slots reads; lane_column(t): the column of B.
__device__ inline int a_row(int t) {
#if defined(MMA_CUDA)
  return lane() / 8 * 8 + 2 * t + lane() / 4 % 2;
#elif defined(MMA_GFX11)
  return lane() % 2 * 8 + lane() % 16 / 2 + 0 * t;
#else
  return kRows == 16 ? lane() % 16 : lane() % 16 / 4 * 8 + 4 * t + lane() % 4;
#endif
}

// Where row r of A goes in a tile that load_a_slots reads: neighbouring lanes then read neighbouring rows, without bank conflicts.
__device__ inline int a_slot(int r) {
#if defined(MMA_CUDA)
  return r % 32 / 2 % 4 * 8 + r / 8 % 4 * 2 + r % 2 + r / 32 * 32;
#elif defined(MMA_GFX11)
  return r % 8 * 2 + r / 8 % 2 + r / 16 * 16;
#else
  return kRows == 16 ? r : r % 8 / 4 * 16 + r / 8 % 4 * 4 + r % 4 + r / 32 * 32;
#endif
}

__device__ inline uint4 load_16_bytes(const half* p, unsigned offset) { return *reinterpret_cast<const uint4*>(at(p, offset)); }

// Operands are read in pieces of eight k. Where k ends before the tile does (at k_end, a multiple of 8), A is read within its row
// all the same and B is zero.
__device__ inline unsigned clamp_k(int k, int k_end) { return k < k_end ? k : k_end - 8; }

// Element (0, 0) is p[offset], 16-byte aligned; ld: distance of rows, a multiple of 8.
__device__ inline FragA load_a(const half* p, unsigned offset, unsigned ld, int k_end = kK) {
  FragA a;
#pragma unroll
  for (int t = 0; t < kAPieces; ++t) a.x[t] = load_16_bytes(p, offset + a_row(t) * ld + clamp_k(piece_k(t), k_end));
  return a;
}

// The same from a tile (kRows, kK) whose rows lie at their a_slot.
__device__ inline FragA load_a_slots(const half* p, unsigned offset, unsigned ld) {
  FragA a;
#pragma unroll
  for (int t = 0; t < kAPieces; ++t) a.x[t] = load_16_bytes(p, offset + lane_slot(t) * ld + piece_k(t));
  return a;
}

// B from its pieces: piece t is of column lane_column(t), from piece_k(t) on.
__device__ inline FragB to_b(const uint4 (&pieces)[kBPieces]) {
#if defined(MMA_CUDA)
  const uint4 &p = pieces[0], &q = pieces[1];
  return {{{p.x, q.x, p.y, q.y}, {p.z, q.z, p.w, q.w}}};
#else
  FragB b;
#pragma unroll
  for (int t = 0; t < kBPieces; ++t) b.x[t] = pieces[t];
  return b;
#endif
}

// The first element of column 0 is p[offset]; ld: distance of columns.
__device__ inline FragB load_b(const half* p, unsigned offset, unsigned ld, int k_end = kK) {
  uint4 pieces[kBPieces];
#pragma unroll
  for (int t = 0; t < kBPieces; ++t) {
    const int k = piece_k(t);
    pieces[t] = load_16_bytes(p, offset + lane_column(t) * ld + clamp_k(k, k_end));
    if (k >= k_end) pieces[t] = {0, 0, 0, 0};
  }
  return to_b(pieces);
}

// Fragments from rows of pieces in LDS: x[t] is load_lds() of piece lds_piece_a(t) of the row lds_slot(t), or lds_piece_b(t) of the column
// lds_column(t).
#if defined(MMA_CUDA)
__device__ inline int lds_slot(int t) { return 8 * t + lane() % 8; }
__device__ inline int lds_piece_a(int) { return lane() / 8; }
__device__ inline int lds_column(int) { return lane() % 16; }
__device__ inline int lds_piece_b(int t) { return lane() / 16 + 2 * t; }
__device__ inline uint4 load_lds(const uint4* p) {
  uint4 x = {};
#ifdef __CUDA_ARCH__
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "r"(unsigned(__cvta_generic_to_shared(p))) : "memory");
#endif
  return x;
}
#else
__device__ inline int lds_slot(int t) { return lane_slot(t); }
__device__ inline int lds_piece_a(int t) { return piece_k(t) / 8; }
__device__ inline int lds_column(int t) { return lane_column(t); }
__device__ inline int lds_piece_b(int t) { return piece_k(t) / 8; }
__device__ inline uint4 load_lds(const uint4* p) { return *p; }
#endif

// Piece i of a row in LDS of which load_lds() makes a B for an A of load_a().
__device__ inline void put_row(uint4* row, int i, uint4 piece) {
#if defined(MMA_CUDA)
  uint32_t* const words = reinterpret_cast<uint32_t*>(row + i / 4 * 4) + i % 4;
  words[0] = piece.x, words[4] = piece.y, words[8] = piece.z, words[12] = piece.w;
#else
  row[i] = piece;
#endif
}

__device__ inline FragB to_b(const FragD& d) {
  uint4 pieces[kBPieces] = {};
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const float* x = d.x + 8 * c;
    pieces[c] = {pack_halves_fast(x[0], x[1]), pack_halves_fast(x[2], x[3]), pack_halves_fast(x[4], x[5]), pack_halves_fast(x[6], x[7])};
  }
#if defined(MMA_GFX11)  // both halves of the wave hold all of k: rows 0..7 come from lanes 0..15, rows 8..15 from lanes 16..31
  const uint4 mine = pieces[0];
  const uint4 other = {lane_xor<16>(mine.x), lane_xor<16>(mine.y), lane_xor<16>(mine.z), lane_xor<16>(mine.w)};
  const bool low = lane() < 16;
  pieces[0] = {low ? mine.x : other.x, low ? mine.y : other.y, low ? mine.z : other.z, low ? mine.w : other.w};
  pieces[1] = {low ? other.x : mine.x, low ? other.y : mine.y, low ? other.z : mine.z, low ? other.w : mine.w};
#endif
  return to_b(pieces);
}

// mma(a, b, d): a * b + d.
#if defined(MMA_GFX11) || defined(MMA_GFX12)
typedef float Float8 __attribute__((ext_vector_type(8)));
typedef _Float16 Operand __attribute__((ext_vector_type(8 * kAPieces)));

__device__ inline FragD mma(const FragA& a, const FragB& b, const FragD& d) {
  const Operand x = __builtin_bit_cast(Operand, a), y = __builtin_bit_cast(Operand, b);
  const Float8 z = __builtin_bit_cast(Float8, d);
#if defined(MMA_GFX11)
  return __builtin_bit_cast(FragD, __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(x, y, z));
#else
  return __builtin_bit_cast(FragD, __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(x, y, z));
#endif
}
#elif defined(MMA_MFMA)
typedef float Float4 __attribute__((ext_vector_type(4)));
typedef _Float16 Half4 __attribute__((ext_vector_type(4)));
typedef _Float16 Half8 __attribute__((ext_vector_type(8)));

__device__ inline Float4 mma_16(uint4 a, uint4 b, Float4 d) {
#if defined(__gfx950__)
  return __builtin_amdgcn_mfma_f32_16x16x32_f16(__builtin_bit_cast(Half8, a), __builtin_bit_cast(Half8, b), d, 0, 0, 0);
#else
  d = __builtin_amdgcn_mfma_f32_16x16x16f16(__builtin_bit_cast(Half4, uint2{a.x, a.y}),
                                            __builtin_bit_cast(Half4, uint2{b.x, b.y}), d, 0, 0, 0);
  return __builtin_amdgcn_mfma_f32_16x16x16f16(__builtin_bit_cast(Half4, uint2{a.z, a.w}),
                                               __builtin_bit_cast(Half4, uint2{b.z, b.w}), d, 0, 0, 0);
#endif
}

__device__ inline FragD mma(const FragA& a, const FragB& b, FragD d) {
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    float* x = d.x + 4 * t;
    const Float4 y = mma_16(a.x[t], b.x[0], Float4{x[0], x[1], x[2], x[3]});
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
  }
  return d;
}
#elif defined(MMA_CUDA)
// The instructions of a mma(): instruction(its four sums, its operand of B, both words of A). The host's compiler sees none.
template <class D, class F>
__device__ inline D by_instructions(const FragA& a, const FragB& b, D d, [[maybe_unused]] F&& instruction) {
#ifdef __CUDA_ARCH__
#pragma unroll
  for (int t = 0; t < kAPieces; ++t) {
    auto *x = d.x + 2 * t, *y = d.x + 8 + 2 * t;
    instruction(x[0], x[1], y[0], y[1], b.x[0], a.x[t].x, a.x[t].y);
    instruction(x[0], x[1], y[0], y[1], b.x[1], a.x[t].z, a.x[t].w);
  }
#endif
  return d;
}

__device__ inline FragD mma(const FragA& a, const FragB& b, const FragD& d) {
  return by_instructions(a, b, d, [](float& d0, float& d1, float& d2, float& d3, const uint4& b, uint32_t a0, uint32_t a1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3) : "r"(b.x), "r"(b.y), "r"(b.z), "r"(b.w), "r"(a0), "r"(a1));
  });
}
#else
__device__ inline float dot2(uint32_t a, uint32_t b, float sum) {
#if defined(__AMDGCN__) && __has_builtin(__builtin_amdgcn_fdot2)  // gfx9-generic has none
  typedef _Float16 Half2 __attribute__((ext_vector_type(2)));
  return __builtin_amdgcn_fdot2(__builtin_bit_cast(Half2, a), __builtin_bit_cast(Half2, b), sum, false);
#else
  const float2 x = __half22float2(halves_of(a)), y = __half22float2(halves_of(b));
  return fmaf(x.y, y.y, fmaf(x.x, y.x, sum));
#endif
}

__device__ inline FragD mma(const FragA& a, const FragB& b, FragD d) {
#if defined(HIP_EMULATED_WAVE)  // one exchange in place of hundreds
  struct Operands { FragA a; FragB b; };
  const auto lanes = hip_emulated::all_lanes(Operands{a, b});
  const auto a_piece = [&](int t, int lane) { return lanes.get<Operands>(lane).a.x[t]; };
  const auto b_piece = [&](int lane) { return lanes.get<Operands>(lane).b.x[0]; };
#else
  const auto fetch = [](const uint4& x, int lane) {
    return uint4{__shfl(x.x, lane, kWave), __shfl(x.y, lane, kWave), __shfl(x.z, lane, kWave), __shfl(x.w, lane, kWave)};
  };
  const auto a_piece = [&](int t, int lane) { return fetch(a.x[t], lane); };
  const auto b_piece = [&](int lane) { return fetch(b.x[0], lane); };
#endif
  constexpr int kPieceRows = 8 / kAPieces;  // of the eight rows of a lane, from each piece of A
#pragma unroll 1
  for (int k = 0; k < kWave; k += 16) {  // lanes k ... k + 15 hold the next eight k
    const uint4 y = b_piece(k + lane() % 16);
#pragma unroll
    for (int v = 0; v < 8; ++v) {
      const uint4 x = a_piece(v / kPieceRows, k + lane() / 16 * kPieceRows + v % kPieceRows);
      d.x[v] = dot2(x.w, y.w, dot2(x.z, y.z, dot2(x.y, y.y, dot2(x.x, y.x, d.x[v]))));
#if defined(__AMDGCN__)
      __builtin_amdgcn_sched_barrier(0);  // else all rows are fetched first, into registers that are not there
#endif
    }
  }
  return d;
}
#endif

}  // namespace rocm
