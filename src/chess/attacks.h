// Where pieces attack. Sliders: on each line through the square the attacked squares are those between the nearest
// blocker below and the nearest above, both included, and one subtraction makes such an interval. That is a dozen
// register operations and 2 KB of tables, without magic numbers or pext.
#pragma once
#include <array>
#include <bit>

#include "chess/types.h"

namespace chess {

inline constexpr Bitboard kRank1 = 0xff, kRank3 = kRank1 << 16, kRank8 = kRank1 << 56;
inline constexpr Bitboard kFileA = 0x0101010101010101, kFileH = kFileA << 7;

constexpr Bitboard bit(Square s) { return Bitboard{1} << s; }
constexpr int file_of(Square s) { return s & 7; }
constexpr int rank_of(Square s) { return s >> 3; }
constexpr Square lowest(Bitboard b) { return std::countr_zero(b); }
constexpr Square pop_lowest(Bitboard& b) {
  const Square s = lowest(b);
  b &= b - 1;
  return s;
}
constexpr Bitboard flip_ranks(Bitboard b) { return __builtin_bswap64(b); }

enum Direction { kFile, kRank, kDiagonal, kAntidiagonal };  // of a line: a1-a8, a1-h1, a1-h8, h1-a8

struct Geometry {
  using PerSquare = std::array<Bitboard, 64>;
  PerSquare knight{}, king{};
  std::array<PerSquare, 4> line{};      // [direction][square]: the whole line without the square
  std::array<PerSquare, 64> between{};  // the squares strictly between two, 0 if they share no line
  std::array<PerSquare, 64> through{};  // the whole line through two, 0 if they share none

  constexpr Geometry() {
    constexpr int kStep[4][2] = {{0, 1}, {1, 0}, {1, 1}, {-1, 1}};  // file, rank
    const auto step = [](Square s, int df, int dr) {
      const int f = file_of(s) + df, r = rank_of(s) + dr;
      return f >= 0 && f < 8 && r >= 0 && r < 8 ? 8 * r + f : -1;
    };
    for (Square s = 0; s < 64; ++s) {
      for (int df = -2; df <= 2; ++df) {
        for (int dr = -2; dr <= 2; ++dr) {
          const Square to = step(s, df, dr);
          if (to < 0 || to == s) continue;
          if (df * df + dr * dr == 5) knight[s] |= bit(to);
          if (df * df + dr * dr <= 2) king[s] |= bit(to);
        }
      }
      for (int d = 0; d < 4; ++d) {
        for (int sign : {1, -1}) {
          Bitboard passed = 0;
          for (Square to = s; (to = step(to, sign * kStep[d][0], sign * kStep[d][1])) >= 0; passed |= bit(to)) {
            between[s][to] = passed;
          }
          line[d][s] |= passed;
        }
        for (Bitboard rest = line[d][s]; rest;) through[s][pop_lowest(rest)] = line[d][s] | bit(s);
      }
    }
  }
};

inline constexpr Geometry kGeometry;

constexpr Bitboard line_attacks(Direction direction, Square s, Bitboard occupied) {
  const Bitboard line = kGeometry.line[direction][s], blockers = line & occupied, below = bit(s) - 1;
  const Bitboard above = blockers & ~below;
  const Bitboard top = (above & -above) << 1;  // one past the nearest blocker above; 0, one past h8, without one
  const Bitboard bottom = bit(63) >> std::countl_zero((blockers & below) | 1);
  return (top - bottom) & line;
}

constexpr Bitboard diagonal_attacks(Square s, Bitboard occupied) {
  return line_attacks(kDiagonal, s, occupied) | line_attacks(kAntidiagonal, s, occupied);
}

constexpr Bitboard straight_attacks(Square s, Bitboard occupied) {
  return line_attacks(kFile, s, occupied) | line_attacks(kRank, s, occupied);
}

constexpr Bitboard our_pawn_attacks(Bitboard pawns) { return (pawns & ~kFileA) << 7 | (pawns & ~kFileH) << 9; }
constexpr Bitboard their_pawn_attacks(Bitboard pawns) { return (pawns & ~kFileA) >> 9 | (pawns & ~kFileH) >> 7; }

}  // namespace chess
