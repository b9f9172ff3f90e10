// Positions the search is likely to want soon, to fill up a small batch (docs/spec/engine.md 4.5). The caller holds the tree lock.
#pragma once
#include <vector>

#include "search/select.h"

namespace search {

// The moves from the root to at most `budget` unvisited children, those with the best scores first.
std::vector<std::vector<chess::Move>> prefetch_wishes(const Situation& situation, int budget);

}  // namespace search
