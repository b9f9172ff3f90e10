// attention_policy: the logits of the moves asked for, q_from . k_to / sqrt(depth), where a pawn promotes + k_to . (w_piece + w_common)
// (docs/spec/networks.md 5.5): of the 64 x 64 products only those that somebody reads. 32 lanes a move; bound by the reads of queries and
// keys, which the second-level cache has: at 40 moves and 256 halves, 40 KB a position.
#include "half.h"
#include "kernels.h"

namespace rocm {

constexpr int kThreads = 256, kMoveLanes = 32, kMovesAtOnce = kThreads / kMoveLanes, kPolicySize = 1858;

// The square that a place in the flat policy comes from, that it goes to, and the promotion's piece or -1.
struct Place {
  int from, to, piece;
};
__device__ inline Place place_of(int flat) {
  if (flat < 64 * 64) return {flat / 64, flat % 64, -1};
  flat -= 64 * 64;
  return {48 + flat / 24, 56 + flat % 24 / 3, flat % 3};
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    attention_policy(float* out,                  // (moves of all positions), or (batch, 1858)
                     const T* queries_keys,       // (batch * 64, 2 * depth)
                     const T* promotions,         // (4, depth): queen, rook, bishop, common
                     const int* places,           // (1858): from * 64 + to, or 4096 + 24 * from file + 3 * to file + piece
                     const uint16_t* moves,       // (moves of all positions) policy indices; null: all 1858 of each
                     const uint32_t* first_move,  // (batch + 1)
                     int depth, float scale) {
  const size_t position = blockIdx.x;
  const size_t begin = moves ? first_move[position] : position * kPolicySize, end = moves ? first_move[position + 1] : begin + kPolicySize;
  const T* squares = queries_keys + position * 64 * 2 * depth;
  for (size_t i = begin + blockIdx.y * kMovesAtOnce + threadIdx.x / kMoveLanes; i < end; i += gridDim.y * kMovesAtOnce) {
    const Place place = place_of(places[moves ? moves[i] : i - begin]);
    const T *query = squares + place.from * 2 * depth, *key = squares + place.to * 2 * depth + depth;
    float sum = 0;
    for (int c = threadIdx.x % kMoveLanes * kWidth; c < depth; c += kMoveLanes * kWidth) {
      const Floats<kWidth> q = load<kWidth>(query + c), k = load<kWidth>(key + c);
      const bool promotes = place.piece >= 0;
      const Floats<kWidth> piece = promotes ? load<kWidth>(promotions + place.piece * depth + c) : Floats<kWidth>{};
      const Floats<kWidth> common = promotes ? load<kWidth>(promotions + 3 * depth + c) : Floats<kWidth>{};
#pragma unroll
      for (int e = 0; e < kWidth; ++e) sum = fmaf(k.x[e], fmaf(q.x[e], scale, piece.x[e] + common.x[e]), sum);
    }
    sum = group_sum(sum);
    if (threadIdx.x % kMoveLanes == 0) out[i] = sum;
  }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_attention_policy(hipStream_t stream, float* out, const T* queries_keys, const T* promotions, const int* places,
                             const uint16_t* moves, const uint32_t* first_move, int batch, int depth) {
  auto* const kernel = depth % 8 == 0 ? attention_policy<T, 8> : attention_policy<T, 1>;
  const int shares = moves ? 4 : 32;  // blocks a position: few positions shall fill the device too
  hipLaunchKernelGGL(kernel, dim3(batch, shares), dim3(kThreads), 0, stream, out, queries_keys, promotions, places, moves, first_move, depth,
                     1 / sqrtf(depth));
}

template void launch_attention_policy(hipStream_t, float*, const float*, const float*, const int*, const uint16_t*, const uint32_t*, int, int);
template void launch_attention_policy(hipStream_t, float*, const half*, const half*, const int*, const uint16_t*, const uint32_t*, int, int);

}  // namespace rocm
