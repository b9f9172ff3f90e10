// Positions the search is likely to want soon, to fill up a small batch (engine.md 4.5). The caller holds the tree lock.
#pragma once
#include <vector>

#include "search/select.h"

namespace search {

struct Wish {
  const Node* parent;
  chess::Move move;
};

// At most `budget` unvisited children, those with the best scores first.
std::vector<Wish> prefetch_wishes(const Situation& situation, int budget);

}  // namespace search
