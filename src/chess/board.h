// The board as the side to move sees it: "ours" is at the bottom and moves up. After a move the ranks are mirrored and
// the sides swapped, so there is one case of everything, not one a colour. Files are never mirrored.
#pragma once
#include <array>
#include <cstdint>

#include "chess/attacks.h"

namespace chess {

class MoveList {
 public:
  // Never exceeded by at most 16 men a side: 15 queens of at most 27 moves, a king of 8 and two castlings.
  static constexpr int kCapacity = 416;
  void add(Move move) { moves_[size_++] = move; }
  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Move operator[](int i) const { return moves_[i]; }
  const Move* begin() const { return moves_.data(); }
  const Move* end() const { return begin() + size_; }

 private:
  std::array<Move, kCapacity> moves_;
  int size_ = 0;
};

class Board {
 public:
  // men: one set a piece type, both sides together, in the order of PieceType. castling: the rooks that may still
  // castle, on the rank of their king, at most one on each side of it. en_passant_file: of their pawn on rank 5 that
  // may be taken in passing, or -1. The caller (notation.h) has made sure of one king and at most 16 men a side, no
  // pawns on ranks 1 and 8, and that their king is not in check.
  Board(const std::array<Bitboard, 6>& men, Bitboard ours, Bitboard theirs, Bitboard castling, int en_passant_file,
        bool black);

  Bitboard ours() const { return sets_[kOurs]; }
  Bitboard theirs() const { return sets_[kTheirs]; }
  Bitboard occupied() const { return ours() | theirs(); }
  Bitboard men(PieceType type) const { return sets_[type]; }
  Bitboard ours(PieceType type) const { return sets_[type] & ours(); }
  Bitboard theirs(PieceType type) const { return sets_[type] & theirs(); }
  Square our_king() const { return lowest(ours(kKing)); }
  PieceType type_at(Square s) const;  // kNoPiece on an empty square

  Bitboard castling() const { return castling_; }
  // The rooks of castling() on the a side, or the h side, of their king.
  Bitboard queenside_castling() const { return castling_ & ~kingside_squares(); }
  Bitboard kingside_castling() const { return castling_ & kingside_squares(); }
  int en_passant_file() const { return en_passant_file_; }
  bool black_to_move() const { return black_; }

  void legal_moves(MoveList& list, Bitboard movers = ~Bitboard{0}) const;  // appends those of the men on `movers`
  int count_legal_moves() const;           // without making the list
  bool in_check() const { return attackers(our_king(), occupied()) != 0; }
  Bitboard attackers(Square s, Bitboard occupied) const;  // theirs
  bool insufficient_material() const;                     // no sequence of moves mates; docs/spec/engine.md 4.7, 2a

  // Their men, the king aside, stand in the way but attack nothing: its legal moves are the pseudo-legal ones here.
  Board without_threats() const;

  bool is_castling(Move move) const { return ours() & bit(move.to()); }
  // A capture or a pawn move.
  bool is_zeroing(Move move) const { return (theirs() | men(kPawn)) & (bit(move.from()) | bit(move.to())); }
  Board after(Move move) const;  // the move must be legal, or at least pseudo-legal: no king is ever taken

  // Zobrist's: men, side to move, castling, en passant. Put together when asked for, which the search does once a position, so
  // that there is nothing to keep in step with the moves.
  std::uint64_t hash() const;
  bool operator==(const Board&) const = default;

 private:
  enum { kOurs = 6, kTheirs = 7 };
  Bitboard kingside_squares() const {
    const Bitboard up_to_theirs = (theirs(kKing) << 1) - 1;
    return (kRank1 & -ours(kKing)) | (kRank8 & ~up_to_theirs);
  }

  std::array<Bitboard, 8> sets_;  // six piece types of both sides, ours, theirs
  Bitboard castling_;
  std::int8_t en_passant_file_;
  bool black_;
};

// Leaves of the tree of legal moves.
std::uint64_t perft(const Board& board, int depth);

}  // namespace chess
