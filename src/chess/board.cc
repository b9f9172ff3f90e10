// Legal moves and making them. Moves come out legal at once: a check leaves a mask of allowed targets, a pin a line, so
// counting moves is counting bits.
#include "chess/board.h"

#include <utility>

namespace chess {

namespace {

struct CastlingTargets {
  Square king, rook;
};
constexpr CastlingTargets castling_targets(Square king, Square rook) {
  return rook > king ? CastlingTargets{6, 5} : CastlingTargets{2, 3};
}

struct Counter {
  int count = 0;
  void piece(Square, Bitboard targets) { count += std::popcount(targets); }
  void pawns(Bitboard targets, int) { count += std::popcount(targets) + 3 * std::popcount(targets & kRank8); }
};

struct Lister {
  MoveList& list;
  void piece(Square from, Bitboard targets) {
    while (targets) list.add({from, pop_lowest(targets)});
  }
  void pawns(Bitboard targets, int step) {
    for (Bitboard promoting = targets & kRank8; promoting;) {
      const Square to = pop_lowest(promoting);
      for (PieceType type : {kQueen, kRook, kBishop, kKnight}) list.add({to - step, to, type});
    }
    for (targets &= ~kRank8; targets;) {
      const Square to = pop_lowest(targets);
      list.add({to - step, to});
    }
  }
};

// Zobrist's keys: a position's hash is the exclusive or of those of its features, as the side to move sees them.
struct ZobristKeys {
  std::uint64_t men[2][6][64];  // ours and theirs
  std::uint64_t castling[64], en_passant[8], black;

  constexpr ZobristKeys() : men{}, castling{}, en_passant{}, black{} {
    std::uint64_t state = 0;
    const auto draw = [&state] {  // splitmix64
      std::uint64_t x = state += 0x9e3779b97f4a7c15;
      x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
      x = (x ^ x >> 27) * 0x94d049bb133111eb;
      return x ^ x >> 31;
    };
    for (auto& side : men)
      for (auto& type : side)
        for (std::uint64_t& key : type) key = draw();
    for (std::uint64_t& key : castling) key = draw();
    for (std::uint64_t& key : en_passant) key = draw();
    black = draw();
  }
};
constexpr ZobristKeys kKeys;

bool can_castle(const Board& board, Square king, Square rook) {
  const CastlingTargets to = castling_targets(king, rook);
  const Bitboard others = board.occupied() & ~bit(king) & ~bit(rook);
  const Bitboard king_path = kGeometry.between[king][to.king] | bit(to.king);
  if (others & (king_path | kGeometry.between[rook][to.rook] | bit(to.rook))) return false;
  for (Bitboard path = king_path; path;) {
    if (board.attackers(pop_lowest(path), others | bit(rook))) return false;
  }
  return !board.attackers(to.king, others | bit(to.rook));  // Chess960: the rook may have been the king's cover
}

struct Threats {
  Bitboard checkers, pinned;  // theirs, ours
};

inline Threats threats_to_king(const Board& board) {
  const Square king = board.our_king();
  Threats threats{(kGeometry.knight[king] & board.theirs(kKnight)) | (our_pawn_attacks(bit(king)) & board.theirs(kPawn)), 0};
  const Bitboard theirs = board.theirs(), queens = board.theirs(kQueen);
  Bitboard snipers = (diagonal_attacks(king, theirs) & (board.theirs(kBishop) | queens)) |
                     (straight_attacks(king, theirs) & (board.theirs(kRook) | queens));
  while (snipers) {
    const Square sniper = pop_lowest(snipers);
    const Bitboard cover = kGeometry.between[king][sniper] & board.ours();
    if (!cover) threats.checkers |= bit(sniper);
    if (std::has_single_bit(cover)) threats.pinned |= cover;
  }
  return threats;
}

// To the squares `allowed`, but for en passant, which may end a check from elsewhere.
template <class Sink>
void generate_pawns(const Board& board, Sink& sink, Bitboard pawns, Bitboard pinned, Bitboard allowed) {
  const Bitboard theirs = board.theirs(), occupied = board.ours() | theirs;
  const Square king = board.our_king();
  // A pinned pawn moves only along its pin, which is the line of that direction through the king.
  const auto movable = [&](Direction direction) { return pawns & (~pinned | kGeometry.line[direction][king]); };
  const Bitboard pushed = movable(kFile) << 8 & ~occupied;
  sink.pawns(pushed & allowed, 8);
  sink.pawns((pushed & kRank3) << 8 & ~occupied & allowed, 16);
  sink.pawns((movable(kAntidiagonal) & ~kFileA) << 7 & theirs & allowed, 7);
  sink.pawns((movable(kDiagonal) & ~kFileH) << 9 & theirs & allowed, 9);

  if (board.en_passant_file() < 0) return;
  const Square to = 40 + board.en_passant_file();
  const Bitboard taken = bit(to - 8);
  for (Bitboard rest = their_pawn_attacks(bit(to)) & pawns; rest;) {
    const Square from = pop_lowest(rest);  // two men leave a rank at once: no pin says it all, so look at the outcome
    if (!(board.attackers(king, occupied ^ bit(from) ^ taken ^ bit(to)) & ~taken)) sink.piece(from, bit(to));
  }
}

// Calls sink.piece(from, targets), and sink.pawns(targets, step) with the same step for every target; a target of pawns
// on the last rank is four moves. Men that are not on `movers` stand still.
template <class Sink>
void generate(const Board& board, Sink& sink, Bitboard movers = ~Bitboard{0}) {
  const Bitboard ours = board.ours(), occupied = ours | board.theirs();
  const Bitboard enterable = ~ours & ~board.men(kKing);  // theirs can be attacked after a pseudo-legal move
  const Square king = board.our_king();
  const bool king_moves = movers & bit(king);

  if (king_moves) {
    Bitboard safe = 0;
    for (Bitboard steps = kGeometry.king[king] & enterable; steps;) {
      const Square to = pop_lowest(steps);
      if (!board.attackers(to, occupied ^ bit(king))) safe |= bit(to);
    }
    sink.piece(king, safe);
  }

  const Threats threats = threats_to_king(board);
  const Bitboard checkers = threats.checkers, pinned = threats.pinned;
  if (checkers & (checkers - 1)) return;
  const Bitboard allowed = enterable & (checkers ? kGeometry.between[king][lowest(checkers)] | checkers : ~Bitboard{0});

  for (Bitboard rest = board.ours(kKnight) & movers & ~pinned; rest;) {
    const Square from = pop_lowest(rest);
    sink.piece(from, kGeometry.knight[from] & allowed);
  }
  const auto pin_line = [&](Square from) { return pinned & bit(from) ? kGeometry.through[king][from] : ~Bitboard{0}; };
  for (Bitboard rest = (board.ours(kBishop) | board.ours(kQueen)) & movers; rest;) {
    const Square from = pop_lowest(rest);
    sink.piece(from, diagonal_attacks(from, occupied) & allowed & pin_line(from));
  }
  for (Bitboard rest = (board.ours(kRook) | board.ours(kQueen)) & movers; rest;) {
    const Square from = pop_lowest(rest);
    sink.piece(from, straight_attacks(from, occupied) & allowed & pin_line(from));
  }

  generate_pawns(board, sink, board.ours(kPawn) & movers, pinned, allowed);

  if (checkers || !king_moves) return;
  for (Bitboard rooks = board.castling() & kRank1; rooks;) {
    const Square rook = pop_lowest(rooks);
    if (can_castle(board, king, rook)) sink.piece(king, bit(rook));
  }
}

}  // namespace

Board::Board(const std::array<Bitboard, 6>& men, Bitboard ours, Bitboard theirs, Bitboard castling, int en_passant_file,
             bool black)
    : sets_{men[0], men[1], men[2], men[3], men[4], men[5], ours, theirs},
      castling_(castling),
      en_passant_file_(static_cast<std::int8_t>(en_passant_file)),
      black_(black) {}

PieceType Board::type_at(Square s) const {
  int type = kPawn;
  while (type != kNoPiece && !(sets_[type] & bit(s))) ++type;
  return static_cast<PieceType>(type);
}

Bitboard Board::attackers(Square s, Bitboard occupied) const {
  const Bitboard queens = men(kQueen);
  return theirs() & ((kGeometry.knight[s] & men(kKnight)) | (kGeometry.king[s] & men(kKing)) |
                     (our_pawn_attacks(bit(s)) & men(kPawn)) |
                     (diagonal_attacks(s, occupied) & (men(kBishop) | queens)) |
                     (straight_attacks(s, occupied) & (men(kRook) | queens)));
}

void Board::legal_moves(MoveList& list, Bitboard movers) const {
  Lister lister{list};
  generate(*this, lister, movers);
}

int Board::count_legal_moves() const {
  Counter counter;
  generate(*this, counter);
  return counter.count;
}

bool Board::insufficient_material() const {
  constexpr Bitboard kDarkSquares = 0xaa55aa55aa55aa55;
  if (men(kPawn) | men(kRook) | men(kQueen)) return false;
  if (std::popcount(occupied()) < 4) return true;
  const Bitboard bishops = men(kBishop);
  return !men(kKnight) && (!(bishops & kDarkSquares) || !(bishops & ~kDarkSquares));
}

Board Board::without_threats() const {
  Board harmless = *this;
  for (int type = kPawn; type < kKing; ++type) harmless.sets_[type] &= ours();
  return harmless;
}

Board Board::after(Move move) const {
  const Square from = move.from(), to = move.to();
  const Bitboard vacated = bit(from) | bit(to);
  Board next = *this;
  next.en_passant_file_ = -1;
  next.castling_ &= ~vacated;
  if (men(kKing) & bit(from)) next.castling_ &= ~kRank1;

  if (is_castling(move)) {
    const CastlingTargets target = castling_targets(from, to);
    next.sets_[kKing] = (men(kKing) & ~vacated) | bit(target.king);
    next.sets_[kRook] = (men(kRook) & ~vacated) | bit(target.rook);
    next.sets_[kOurs] = (ours() & ~vacated) | bit(target.king) | bit(target.rook);
  } else {
    for (Bitboard& set : next.sets_) set = (set & ~vacated) | (set >> from & 1) << to;
    if (men(kPawn) & bit(from)) {
      if (move.promotion() != kNoPiece) {
        next.sets_[kPawn] ^= bit(to);
        next.sets_[move.promotion()] |= bit(to);
      } else if (to - from == 16) {
        const bool takeable = our_pawn_attacks(bit(from + 8)) & theirs(kPawn);
        if (takeable) next.en_passant_file_ = static_cast<std::int8_t>(file_of(to));
      } else if (file_of(from) != file_of(to) && !(theirs() & bit(to))) {
        next.sets_[kPawn] ^= bit(to - 8);
        next.sets_[kTheirs] ^= bit(to - 8);
      }
    }
  }

  for (Bitboard& set : next.sets_) set = flip_ranks(set);
  std::swap(next.sets_[kOurs], next.sets_[kTheirs]);
  next.castling_ = flip_ranks(next.castling_);
  next.black_ = !black_;
  return next;
}

std::uint64_t Board::hash() const {
  std::uint64_t hash = black_ ? kKeys.black : 0;
  for (int type = kPawn; type <= kKing; ++type) {
    for (Bitboard rest = men(static_cast<PieceType>(type)); rest;) {
      const Square s = pop_lowest(rest);
      hash ^= kKeys.men[theirs() >> s & 1][type][s];
    }
  }
  for (Bitboard rest = castling_; rest;) hash ^= kKeys.castling[pop_lowest(rest)];
  return en_passant_file_ < 0 ? hash : hash ^ kKeys.en_passant[en_passant_file_];
}

std::uint64_t perft(const Board& board, int depth) {
  if (depth <= 0) return 1;
  if (depth == 1) return board.count_legal_moves();
  MoveList moves;
  board.legal_moves(moves);
  std::uint64_t leaves = 0;
  for (Move move : moves) leaves += perft(board.after(move), depth - 1);
  return leaves;
}

}  // namespace chess
