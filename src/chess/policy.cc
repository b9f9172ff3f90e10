// The 1858 moves in the order of docs/spec/networks.md 6.1: what a queen or a knight can do on an empty board, then the
// promotions to queen, rook and bishop. All tables are made at compile time.
#include "chess/policy.h"

#include <array>

#include "chess/attacks.h"

namespace chess {

namespace {

constexpr PieceType kPromotions[3] = {kQueen, kRook, kBishop};

constexpr std::uint16_t convolution_index(Square from, Square to, PieceType promotion) {
  const int df = file_of(to) - file_of(from), dr = rank_of(to) - rank_of(from);
  int plane = 0;
  if (promotion != kNoPiece) {
    plane = 64 + 3 * (df + 1) + (promotion == kQueen ? 2 : promotion == kBishop ? 1 : 0);
  } else if (df * df + dr * dr == 5) {
    constexpr int kJumps[8][2] = {{2, 1}, {1, 2}, {-1, 2}, {-2, 1}, {-2, -1}, {-1, -2}, {1, -2}, {2, -1}};
    while (kJumps[plane][0] != dr || kJumps[plane][1] != df) ++plane;
    plane += 56;
  } else {
    constexpr int kSteps[8][2] = {{1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}, {0, -1}, {1, -1}};
    const int distance = df ? (df > 0 ? df : -df) : (dr > 0 ? dr : -dr);
    while (kSteps[plane][0] * distance != dr || kSteps[plane][1] * distance != df) ++plane;
    plane = 7 * plane + distance - 1;
  }
  return static_cast<std::uint16_t>(64 * plane + from);
}

struct Tables {
  std::array<Move, kPolicySize> moves{};
  std::array<std::uint16_t, kPolicySize> convolution{}, attention{};
  std::array<float, 64 * 64> position{};
  std::uint16_t plain[64][64]{};       // [from][to]
  std::uint16_t promotion[8][8][3]{};  // [from file][to file][piece]

  constexpr Tables() {
    int index = 0;
    const auto add = [&](Square from, Square to, PieceType promotion, int attention_index) {
      moves[index] = Move(from, to, promotion);
      convolution[index] = convolution_index(from, to, promotion);
      attention[index] = static_cast<std::uint16_t>(attention_index);
      return static_cast<std::uint16_t>(index++);
    };
    for (Square from = 0; from < 64; ++from) {
      position[64 * from + from] = -1;
      const Bitboard targets = diagonal_attacks(from, 0) | straight_attacks(from, 0) | kGeometry.knight[from];
      for (Bitboard rest = targets; rest;) {
        const Square to = pop_lowest(rest);
        plain[from][to] = add(from, to, kNoPiece, 64 * from + to);
        position[64 * from + to] = 1;
      }
    }
    for (int from = 0; from < 8; ++from) {
      for (int to = from ? from - 1 : 0; to <= from + 1 && to < 8; ++to) {
        for (int piece = 0; piece < 3; ++piece) {
          promotion[from][to][piece] = add(48 + from, 56 + to, kPromotions[piece], 4096 + 24 * from + 3 * to + piece);
        }
      }
    }
  }
};

constexpr Tables kTables;

constexpr Square transformed(Square s, int transform) {
  if (transform & 1) s ^= 7;
  if (transform & 2) s ^= 56;
  if (transform & 4) s = 8 * (7 - file_of(s)) + 7 - rank_of(s);
  return s;
}

}  // namespace

std::uint16_t policy_index(Move move, int transform) {
  const Square from = transformed(move.from(), transform), to = transformed(move.to(), transform);
  switch (move.promotion()) {
    case kQueen: return kTables.promotion[file_of(from)][file_of(to)][0];
    case kRook: return kTables.promotion[file_of(from)][file_of(to)][1];
    case kBishop: return kTables.promotion[file_of(from)][file_of(to)][2];
    default: return kTables.plain[from][to];
  }
}

Move policy_move(std::uint16_t index) { return kTables.moves[index]; }

const std::uint16_t* convolution_policy_map() { return kTables.convolution.data(); }
const std::uint16_t* attention_policy_map() { return kTables.attention.data(); }
const float* position_map() { return kTables.position.data(); }

}  // namespace chess
