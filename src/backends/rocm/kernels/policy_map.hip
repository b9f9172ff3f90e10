// policy_map: the logits of the moves asked for, picked from what the policy head computed for every from and to (or plane and
// square) by a table of 1858 places. gather bound: 4 bytes out a move.
#include "half.h"
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

// launcher --------------------------------------------------------------------
template <class T>
void launch_policy_map(hipStream_t stream, float* out, const T* logits, const int* table, const uint16_t* moves,
                       const uint32_t* first_move, int batch, int width) {
  hipLaunchKernelGGL(policy_map<T>, dim3(batch), dim3(128), 0, stream, out, logits, table, moves, first_move, width);
}

template void launch_policy_map(hipStream_t, float*, const float*, const int*, const uint16_t*, const uint32_t*, int, int);
template void launch_policy_map(hipStream_t, float*, const half*, const int*, const uint16_t*, const uint32_t*, int, int);

}  // namespace rocm
