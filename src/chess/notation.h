// Text <-> positions and moves: FEN and UCI.
#pragma once
#include <string>
#include <string_view>

#include "chess/history.h"

namespace chess {

inline constexpr std::string_view kStartFen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1";

// FEN with standard, X-FEN or Shredder-FEN castling rights. Fields missing at the end are read as "w - - 0 1". What says nothing that
// could be played is left out, and `remarks` says so in one sentence, else it is empty: a castling right without its rook or king (with
// chess960 off: unless they stand on e and on a or h), an en-passant square that no pawn has just passed, clocks that are no numbers,
// text after the end. Throws Error for text that is no FEN and for a position that no rules apply to: a side without its one king or
// with more than 16 men or 8 pawns, a pawn on the first or last rank, the side that has just moved in check.
Position parse_fen(std::string_view fen, bool chess960 = true, std::string* remarks = nullptr);
std::string to_fen(const Position& position);  // castling rights in X-FEN

// A legal move from UCI text in small or capital letters. Castling is the king taking its rook or, for a king on the e-file, moving to
// g or c. Throws Error if the text is no legal move, or a promotion without its letter.
Move parse_move(const Board& board, std::string_view text);

// Castling is the king taking its rook; without chess960, a king on e castling with a rook on a or h moves to c or g.
std::string to_uci(const Board& board, Move move, bool chess960 = true);

}  // namespace chess
