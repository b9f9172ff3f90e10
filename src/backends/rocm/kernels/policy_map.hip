// policy_map: the logits of the moves asked for, picked from what the policy head computed for every from and to (or plane and
// square) by a table of 1858 places. gather bound: 4 bytes out a move.
// promotion_logits: the part of the attention policy beside its 64 x 64 products, r = k_{56+j} . w_c, added where a pawn promotes.
#include "../half.h"
#include "kernels.h"

namespace rocm {

template <class T>
__global__ void __launch_bounds__(128)
    policy_map(float* out,                  // (moves of all positions), or (batch, 1858)
               const T* logits,             // (batch, width)
               const int* table,            // (1858) place of a move in a row of logits
               const uint16_t* moves,       // (moves of all positions) policy indices; null: all 1858 of each
               const uint32_t* first_move,  // (batch + 1)
               int width) {
  const size_t position = blockIdx.x;
  const T* row = logits + position * width;
  const size_t begin = moves ? first_move[position] : position * 1858, end = moves ? first_move[position + 1] : begin + 1858;
  for (size_t i = begin + threadIdx.x; i < end; i += 128) out[i] = to_float(row[table[moves ? moves[i] : i - begin]]);
}

// One position a block, one wanted logit a thread: m (64 x 64 products, scaled here) and its 8 x 8 x 3 promotions.
template <class T>
__global__ void __launch_bounds__(256)
    promotion_logits(T* flat,     // (batch, 64 * 64 + 8 * 24): from * 64 + to, then 4096 + 24 * from file + 3 * to file + piece
                     const T* m,  // (batch, 64, 64) q_i . k_j
                     const T* k,  // (batch * 64, depth)
                     const T* w,  // (4, depth): queen, rook, bishop, common
                     int depth, float scale) {
  __shared__ float r[8 * 4];
  const size_t position = blockIdx.x;
  m += position * 4096, k += (position * 64 + 56) * depth, flat += position * (4096 + 192);
  const int part = threadIdx.x % 8, wanted = threadIdx.x / 8, file = wanted / 4, piece = wanted % 4;  // eight lanes a product
  float sum = 0;
  for (int c = part; c < depth; c += 8) sum = fmaf(to_float(k[file * depth + c]), to_float(w[piece * depth + c]), sum);
  sum += lane_xor<1>(sum);
  sum += lane_xor<2>(sum);
  sum += lane_xor<7>(sum);
  if (part == 0) r[wanted] = sum;
  __syncthreads();
  for (int i = threadIdx.x; i < 4096 + 192; i += 256) {
    if (i < 4096) {
      put(flat + i, to_float(m[i]) * scale);
      continue;
    }
    const int from = (i - 4096) / 24, to = (i - 4096) % 24 / 3, c = i % 3 == 1 ? 0 : i % 3 == 2 ? 1 : 2;  // 4096 % 3 == 1
    put(flat + i, to_float(m[(48 + from) * 64 + 56 + to]) * scale + r[4 * to + c] + r[4 * to + 3]);
  }
}

// launcher --------------------------------------------------------------------
template <class T>
void launch_policy_map(hipStream_t stream, float* out, const T* logits, const int* table, const uint16_t* moves,
                       const uint32_t* first_move, int batch, int width) {
  hipLaunchKernelGGL(policy_map<T>, dim3(batch), dim3(128), 0, stream, out, logits, table, moves, first_move, width);
}

template <class T>
void launch_promotion_logits(hipStream_t stream, T* flat, const T* m, const T* k, const T* w, int batch, int depth, float scale) {
  hipLaunchKernelGGL(promotion_logits<T>, dim3(batch), dim3(256), 0, stream, flat, m, k, w, depth, scale);
}

template void launch_policy_map(hipStream_t, float*, const float*, const int*, const uint16_t*, const uint32_t*, int, int);
template void launch_policy_map(hipStream_t, float*, const half*, const int*, const uint16_t*, const uint32_t*, int, int);
template void launch_promotion_logits(hipStream_t, float*, const float*, const float*, const float*, int, int, float);
template void launch_promotion_logits(hipStream_t, half*, const half*, const half*, const half*, int, int, float);

}  // namespace rocm
