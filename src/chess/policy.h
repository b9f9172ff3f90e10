// Moves <-> the 1858 policy outputs.
#pragma once
#include <cstdint>

#include "chess/types.h"

namespace chess {

inline constexpr int kPolicySize = 1858;

// Index of a legal move of a board that was encoded with `transform` (encode.h). Knight promotions share the index of
// the plain move; castling is the king taking its own rook.
std::uint16_t policy_index(Move move, int transform);

// The move of an index, in the transformed frame: the inverse of policy_index for transform 0, with promotions to a
// knight shown as plain moves.
Move policy_move(std::uint16_t index);

// Where a head's raw output holds each of the 1858: 73 of the convolution head's 80 planes, flat plane * 64 +
// from-square; the attention head's flat 64 * 64 + 8 * 24 (docs/spec/networks.md 5.4, 5.5).
const std::uint16_t* convolution_policy_map();  // (1858)
const std::uint16_t* attention_policy_map();    // (1858)

// The constant position encoding of attention bodies (docs/spec/networks.md 4.3), (64, 64): 1 where a man on the first square might go
// to the second on an empty board, -1 on the diagonal.
const float* position_map();

}  // namespace chess
