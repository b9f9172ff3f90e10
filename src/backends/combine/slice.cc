#include "backends/combine/slice.h"

#include "chess/policy.h"

nn::Batch slice(const nn::Batch& batch, int begin, int end, std::vector<std::uint32_t>& first_move) {
  nn::Batch part;
  part.size = end - begin;
  part.planes = batch.planes + begin;
  if (batch.values) part.values = batch.values + begin;
  if (batch.moves) {
    const std::uint32_t skipped = batch.first_move[begin];
    first_move.assign(batch.first_move + begin, batch.first_move + end + 1);
    for (std::uint32_t& first : first_move) first -= skipped;
    part.moves = batch.moves + skipped;
    part.first_move = first_move.data();
    if (batch.policy) part.policy = batch.policy + skipped;
  } else if (batch.policy) {
    part.policy = batch.policy + static_cast<std::size_t>(begin) * chess::kPolicySize;
  }
  return part;
}
