// Which move is best: by visits, proven results first (docs/spec/engine.md 4.10), or drawn by lot with a temperature (4.11).
#pragma once
#include <random>
#include <vector>

#include "search/select.h"

namespace search {

// An edge with what is known of it. `node` is null or has no visits for a move never tried.
struct Move {
  const Edge* edge = nullptr;
  const Node* node = nullptr;
  int index = 0;

  std::uint32_t n() const { return node ? node->n : 0; }
};

// All edges of a node, or for the root those the search may play; best first.
std::vector<Move> ranked_moves(const Situation& situation, const Node* node, int depth);
// The first of them without sorting the rest; edge is null if there is none.
Move best_move(const Situation& situation, const Node* node, int depth);

// The temperature for a move at this ply.
float temperature_at(const LiveParams& params, int ply);
// A root move by lot. `moves` as ranked_moves() gives it, not empty.
Move draw_move(const Situation& situation, const LiveParams& params, const std::vector<Move>& moves, float temperature,
               std::mt19937_64& random);

}  // namespace search
