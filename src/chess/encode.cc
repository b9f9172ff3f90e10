// The planes of docs/spec/networks.md section 3. A few hundred register operations and 1.3 KB of stores a position.
#include "chess/encode.h"

#include <algorithm>

#include "chess/notation.h"

namespace chess {

namespace {

constexpr int kHistoryBoards = 8, kPlanesPerBoard = 13;
constexpr Bitboard kAllSquares = ~Bitboard{0};

constexpr bool is_canonical(InputFormat format) { return format >= InputFormat::kCanonical; }
constexpr bool is_armageddon(InputFormat format) { return format >= InputFormat::kCanonicalHectopliesArmageddon; }
constexpr bool is_v2(InputFormat format) {
  return format == InputFormat::kCanonicalV2 || format == InputFormat::kCanonicalV2Armageddon;
}
constexpr bool is_hectoplies(InputFormat format) { return format >= InputFormat::kCanonicalHectoplies; }

constexpr Bitboard swap_bits(Bitboard b, Bitboard low, int distance) {
  return (b & low) << distance | (b >> distance & low) | (b & ~(low | low << distance));
}
constexpr Bitboard mirror_files(Bitboard b) {
  b = swap_bits(b, 0x5555555555555555, 1);
  b = swap_bits(b, 0x3333333333333333, 2);
  return swap_bits(b, 0x0f0f0f0f0f0f0f0f, 4);
}
constexpr Bitboard reflect(Bitboard b) {  // in h1-a8: (rank, file) to (7 - file, 7 - rank)
  b = swap_bits(b, 0x0055005500550055, 9);
  b = swap_bits(b, 0x0000333300003333, 18);
  return swap_bits(b, 0x000000000f0f0f0f, 36);
}
constexpr Bitboard transformed(Bitboard b, int transform) {
  if (transform & 1) b = mirror_files(b);
  if (transform & 2) b = flip_ranks(b);
  if (transform & 4) b = reflect(b);
  return b;
}

// Which rights are left, in the view of the board's side to move or, with flip, of the other side. Bits in the order of
// planes 104 to 107: our queenside, our kingside, theirs.
int rights(const Board& board, bool flip) {
  const Bitboard queenside = board.queenside_castling(), kingside = board.kingside_castling();
  const int ours = ((queenside & kRank1) != 0) + 2 * ((kingside & kRank1) != 0);
  const int theirs = ((queenside & kRank8) != 0) + 2 * ((kingside & kRank8) != 0);
  return flip ? theirs + 4 * ours : ours + 4 * theirs;
}

void write_board(Bitboard* planes, const Position& position, bool flip) {
  Bitboard* const ours = planes;
  Bitboard* const theirs = planes + 6;
  for (int type = kPawn; type <= kKing; ++type) {
    const auto men = static_cast<PieceType>(type);
    ours[type] = flip ? flip_ranks(position.board.theirs(men)) : position.board.ours(men);
    theirs[type] = flip ? flip_ranks(position.board.ours(men)) : position.board.theirs(men);
  }
  planes[12] = position.repetitions ? kAllSquares : 0;
}

// A position that is repeated below the start of the game stood there before its last double step.
void undo_double_step(Bitboard* planes, const Board& board, bool flip) {
  const Bitboard step = bit(32 + board.en_passant_file()) | bit(48 + board.en_passant_file());
  planes[flip ? 0 : 6] ^= flip ? flip_ranks(step) : step;
}

bool is_start(const Board& board) {
  static const Board start = parse_fen(kStartFen).board;
  return board == start;
}

void write_history(Planes& planes, const History& history, InputFormat format, HistoryFill fill) {
  const bool canonical = is_canonical(format);
  const int last = history.size() - 1;
  const int current_rights = rights(history.last().board, false);
  bool flip = false;
  for (int index = last, slot = 0; slot < kHistoryBoards; --index) {
    const Position& position = history[std::max(index, 0)];
    const bool en_passant = position.board.en_passant_file() >= 0;
    if (canonical && rights(position.board, flip) != current_rights) return;
    if (canonical && index != last && en_passant) return;
    if (index < 0) {
      if (fill == HistoryFill::kNo && (index < -1 || !en_passant)) return;
      if (fill == HistoryFill::kFenOnly && is_start(position.board)) return;
    }
    const bool skip = is_v2(format) && slot > 0 && position.repetitions == 0;
    if (skip && index < 0) return;  // the oldest position stays unrepeated for ever
    if (!skip) {
      Bitboard* const slot_planes = &planes.mask[kPlanesPerBoard * slot++];
      write_board(slot_planes, position, flip);
      if (index < 0 && en_passant) undo_double_step(slot_planes, position.board, flip);
    }
    if (index > 0) flip = !flip;
    if (canonical && position.rule50 == 0) return;
  }
}

}  // namespace

int canonical_transform(const Position& position, InputFormat format) {
  const Board& board = position.board;
  if (!is_canonical(format) || board.castling()) return 0;
  const Square king = board.our_king();
  int transform = 0, file = file_of(king), rank = rank_of(king);
  if (file <= 3) transform |= 1, file = 7 - file;
  if (board.men(kPawn)) return transform;
  if (rank >= 4) transform |= 2, rank = 7 - rank;
  if (rank + file > 7) return transform | 4;
  if (rank + file < 7) return transform;
  for (Bitboard set : {board.occupied(), board.ours(), board.men(kKing), board.men(kQueen), board.men(kRook),
                       board.men(kKnight), board.men(kBishop)}) {
    const Bitboard plain = transformed(set, transform), reflected = reflect(plain);
    if (plain != reflected) return plain < reflected ? transform : transform | 4;
  }
  return transform;
}

Planes encode(const History& history, InputFormat format, HistoryFill fill) {
  Planes planes;
  planes.value.fill(1);
  write_history(planes, history, format, fill);

  const Position& current = history.last();
  const Board& board = current.board;
  const Bitboard if_black = board.black_to_move() ? kAllSquares : 0;
  if (format == InputFormat::kClassical) {
    const int bits = rights(board, false);
    for (int i = 0; i < 4; ++i) planes.mask[104 + i] = bits >> i & 1 ? kAllSquares : 0;
  } else {
    planes.mask[104] = board.queenside_castling();
    planes.mask[105] = board.kingside_castling();
  }
  if (!is_canonical(format)) {
    planes.mask[108] = if_black;
  } else if (board.en_passant_file() >= 0) {
    planes.mask[108] = bit(56 + board.en_passant_file());
  }
  planes.mask[109] = kAllSquares;
  planes.value[109] = static_cast<float>(current.rule50) / (is_hectoplies(format) ? 100.0f : 1.0f);
  if (is_armageddon(format)) planes.mask[110] = if_black;
  planes.mask[111] = kAllSquares;

  if (const int transform = canonical_transform(current, format)) {
    for (int i = 0; i <= 108; ++i) planes.mask[i] = transformed(planes.mask[i], transform);
  }
  return planes;
}

void expand_plane(Bitboard mask, float value, float* squares) {
  const auto value_bits = std::bit_cast<std::uint32_t>(value);
  for (int half = 0; half < 2; ++half) {  // 32-bit shifts: twice the lanes of 64-bit ones
    const auto bits = static_cast<std::uint32_t>(mask >> 32 * half);
    for (std::uint32_t s = 0; s < 32; ++s) squares[32 * half + s] = std::bit_cast<float>(-(bits >> s & 1) & value_bits);
  }
}

}  // namespace chess
