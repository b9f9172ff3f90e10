// Squares, pieces and moves, all seen by the side to move: "ours" moves up the board, whatever its colour.
#pragma once
#include <cstdint>

namespace chess {

using Bitboard = std::uint64_t;  // bit s = square s
using Square = int;              // 8 * rank + file: a1 = 0, h1 = 7, a8 = 56

enum PieceType : std::uint8_t { kPawn, kKnight, kBishop, kRook, kQueen, kKing, kNoPiece };

// From, to and promotion in 16 bits, in the frame of the side that moves. Castling is the king taking its own rook.
class Move {
 public:
  constexpr Move() = default;
  constexpr Move(Square from, Square to, PieceType promotion = kNoPiece)
      : bits_(static_cast<std::uint16_t>(from | to << 6 | promotion << 12)) {}
  constexpr Square from() const { return bits_ & 63; }
  constexpr Square to() const { return bits_ >> 6 & 63; }
  constexpr PieceType promotion() const { return static_cast<PieceType>(bits_ >> 12); }
  constexpr std::uint16_t bits() const { return bits_; }
  constexpr bool operator==(const Move&) const = default;

 private:
  std::uint16_t bits_ = 0;  // a1a1: no move
};

}  // namespace chess
