// Which moves of a root position the tables leave to choose from. docs/spec/engine.md 4.15 and docs/spec/syzygy.md 12.
#pragma once
#include <vector>

#include "chess/history.h"
#include "syzygy/tables.h"

namespace syzygy {

struct RootMoves {
  std::vector<chess::Move> best;  // those of the highest rank; empty: the tables say nothing
  bool by_distance = false;       // ranked by the distance to the next capture or pawn move, so that play makes progress without the search
  int rank = 0;                   // 1000 a sure win, 0 a draw, -1000 a sure loss, see the specification
};

// fast: of won positions only the shortest way to the next capture or pawn move.
RootMoves rank_root(const Tables& tables, const chess::History& history, bool fast);

}  // namespace syzygy
