// A tree or graph as bytes, and back. Little endian:
//   tree      uint8 1 if it is a graph, then the root, a body
//   body      stats, uint16 edges, uint16 edges started, uint16 children; the edges: uint16 move, uint16 prior; the children, of the first
//             edges: uint8 kind, and then
//               0 leaf              stats
//               1 position          body
//               2 link              stats, and the body of a shared position that has not come yet
//               3 link              stats, uint32 which of the shared positions that have come, in the order of their ends
//   stats     uint32 visits, float64 win - loss, float32 draw, float32 plies left, uint8 terminal, int8 lower and upper bound
// The caller holds the tree lock.
#pragma once
#include <string>
#include <string_view>

#include "chess/history.h"
#include "search/tree.h"

namespace search {

std::string save(const Tree& tree);

// Throws Error for bytes that are no tree of this game's latest position; then `tree` is empty.
void load(Tree& tree, const chess::History& game, std::string_view bytes);

}  // namespace search
