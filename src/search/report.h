// The state of a search as numbers. The caller holds the tree lock.
#pragma once
#include "search/results.h"
#include "search/shared.h"

namespace search {

Update make_update(const Shared& shared, Castling castling);
std::vector<MoveStats> make_move_stats(const Shared& shared);  // ascending by (visits, Q + U), then the root

}  // namespace search
