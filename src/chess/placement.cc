#include "chess/placement.h"

#include <algorithm>
#include <string>

#include "error.h"

namespace chess {
namespace {

[[noreturn]] void fail(const std::string& reason) { throw Error("this position cannot be played: " + reason); }

// The rooks of one side that can have the right: the outermost on each side of a king at home.
Bitboard castling_rooks(const Placement& p, Bitboard side, Bitboard home) {
  const Bitboard king = p.men[kKing] & side & home;
  Bitboard rooks = p.castling & p.men[kRook] & side & home;
  if (!p.chess960) rooks = king & kFileA << 4 ? rooks & (kFileA | kFileH) : 0;
  if (!king) return 0;
  const Bitboard kingside = rooks & ~((king << 1) - 1), queenside = rooks & (king - 1);
  return std::bit_floor(kingside) | (queenside & -queenside);
}

int en_passant_file(const Placement& p) {
  if (p.en_passant < 0 || p.en_passant > 63 || rank_of(p.en_passant) != (p.black ? 2 : 5)) return -1;
  const int forward = p.black ? 8 : -8;  // the way their pawn went
  const Bitboard pawns = p.men[kPawn] & (p.black ? p.whites : p.blacks);
  const Bitboard behind = bit(p.en_passant) | bit(p.en_passant - forward);
  if (!(pawns & bit(p.en_passant + forward)) || (p.whites | p.blacks) & behind) return -1;
  return file_of(p.en_passant);
}

Board make_board(const Placement& p, Bitboard castling, int en_passant, bool black) {
  const auto view = [black](Bitboard b) { return black ? flip_ranks(b) : b; };
  std::array<Bitboard, 6> men;
  std::ranges::transform(p.men, men.begin(), view);
  return {men, view(black ? p.blacks : p.whites), view(black ? p.whites : p.blacks), view(castling), en_passant, black};
}

}  // namespace

const char* why_unplayable(const std::array<Bitboard, 6>& men, Bitboard whites, Bitboard blacks) {
  Bitboard all = 0;
  int count = 0;
  for (const Bitboard set : men) {
    all |= set;
    count += std::popcount(set);
  }
  if (count != std::popcount(all) || (whites & blacks) || (whites | blacks) != all)
    return "two men stand on one square, or one has no colour";
  for (const Bitboard side : {whites, blacks}) {
    if (std::popcount(men[kKing] & side) != 1) return "each side needs one king";
    if (std::popcount(side) > 16) return "a side has at most 16 men";
    if (std::popcount(men[kPawn] & side) > 8) return "a side has at most 8 pawns";
  }
  return men[kPawn] & (kRank1 | kRank8) ? "no pawn can stand on the first or last rank" : nullptr;
}

Position make_position(const Placement& p) {
  if (const char* reason = why_unplayable(p.men, p.whites, p.blacks)) fail(reason);
  const Bitboard castling = castling_rooks(p, p.whites, kRank1) | castling_rooks(p, p.blacks, kRank8);
  if (make_board(p, castling, -1, !p.black).in_check()) fail("the side that has just moved is in check");
  if (p.rule50 < 0 || p.rule50 > 9999 || p.move_number > 9999) fail("its clock or move number is not from 0 to 9999");
  return {.board = make_board(p, castling, en_passant_file(p), p.black),
          .rule50 = p.rule50,
          .ply = 2 * (std::max(1, p.move_number) - 1) + p.black};
}

}  // namespace chess
