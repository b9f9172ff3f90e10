// A position from the squares of its men, as programs hold it; text goes through notation.h. Squares are White's: a1 = 0 whoever moves.
#pragma once
#include <array>

#include "chess/history.h"

namespace chess {

struct Placement {
  std::array<Bitboard, 6> men{};  // both sides together, by PieceType
  Bitboard whites = 0, blacks = 0;
  Bitboard castling = 0;          // rooks with the right to castle; those that cannot have it are left out
  Square en_passant = -1;         // the square a pawn has passed; left out where none has
  bool black = false;             // to move
  bool chess960 = false;          // castling from other squares than e1, e8, a and h
  int rule50 = 0, move_number = 1;
};

// Why men (both sides together, by PieceType) can be no position that rules apply to: see parse_fen. Else null.
const char* why_unplayable(const std::array<Bitboard, 6>& men, Bitboard whites, Bitboard blacks);

// Throws Error for a position that no rules apply to.
Position make_position(const Placement& placement);

}  // namespace chess
