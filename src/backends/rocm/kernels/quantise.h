// Rows of halves as numbers of 8 bits and a scale each: the largest is the largest of their kind, rounded to nearest even. A row of zeros has the scale 0;
// one with a NaN has that as its scale, so that all that is made of it is NaN as well.
#pragma once
#include "fp8.h"
#include "half.h"

namespace rocm {

// The largest, by its bits without the sign, of eight halves and `largest`: as whole numbers, where infinity and then NaN are above all others.
__device__ inline uint32_t larger(uint32_t largest, uint4 halves) {
  for (const uint32_t word : {halves.x, halves.y, halves.z, halves.w}) largest = max(largest, max(word & 0x7fff, word >> 16 & 0x7fff));
  return largest;
}

template <Numbers kKind>
struct RowScale {
  float scale, factor;  // of numbers to values, and back

  // Of what the 32 lanes of a group found together.
  KERNEL_PART explicit RowScale(uint32_t largest) {
    largest = max(largest, lane_xor<1>(largest));
    largest = max(largest, lane_xor<2>(largest));
    largest = max(largest, lane_xor<7>(largest));  // as in group_sum
    largest = max(largest, lane_xor<15>(largest));
    largest = max(largest, lane_xor<16>(largest));
    const float most = __half22float2(halves_of(largest)).x;
    scale = most / most_of(kKind);
    factor = most == 0 ? 0 : most_of(kKind) / most;
  }
  // Whole numbers by one rounding: of the exact product, in the last bit of a float beside 1.5 * 2^23, whose lowest byte is the number.
  KERNEL_PART uint2 numbers(uint4 halves) const {
    Floats8 x = floats_of(halves);
    if constexpr (kKind == Numbers::kInt8) {
      uint32_t n[8];
#pragma unroll
      for (int e = 0; e < 8; ++e) n[e] = __builtin_bit_cast(uint32_t, fmaf(x.x[e], factor, 12582912.0f)) & 0xff;
      return {n[0] | n[1] << 8 | n[2] << 16 | n[3] << 24, n[4] | n[5] << 8 | n[6] << 16 | n[7] << 24};
    } else {
#pragma unroll
      for (float& value : x.x) value *= factor;
      return {pack_fp8<kKind>(x.x[0], x.x[1], x.x[2], x.x[3]), pack_fp8<kKind>(x.x[4], x.x[5], x.x[6], x.x[7])};
    }
  }
};

}  // namespace rocm
