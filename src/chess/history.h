// A game as the network and the search need it: every position since the start, with its repetition count.
#pragma once
#include <string_view>
#include <vector>

#include "chess/board.h"

namespace chess {

struct Position {
  Board board;                // seen by the side to move
  int rule50 = 0;             // plies since the last capture or pawn move
  int ply = 0;                // plies since the start of the game: 0 = White's first move
  int repetitions = 0;        // earlier occurrences of this position
  int repetition_distance = 0;  // plies back to the latest of them, 0 without one
};

class History {
 public:
  // Throws Error for a bad FEN. See parse_fen.
  explicit History(std::string_view fen, bool chess960 = true, std::string* remarks = nullptr);
  void restart(const Position& start);
  void push(Move move);  // the move must be legal or pseudo-legal
  void pop();            // undoes the latest push
  const Position& last() const { return positions_.back(); }
  const Position& operator[](int i) const { return positions_[i]; }
  int size() const { return static_cast<int>(positions_.size()); }

 private:
  std::vector<Position> positions_;  // oldest first
};

}  // namespace chess
