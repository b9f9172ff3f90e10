// What a result does to the tree: averages up to the root, proven bounds, and the undoing of visits (docs/spec/engine.md 4.7 - 4.9).
// The caller holds the tree lock.
#pragma once
#include "search/node.h"

namespace search {

struct Outcome {
  double wl = 0;  // seen by the player who moved into the node
  float d = 0;
  float m = 0;
};

void make_terminal(Node* node, Terminal kind, const Outcome& outcome);

// A draw by repetition on the way to a leaf of a graph, which is none on other ways to the same positions.
struct Repetition {
  int height = -1;  // plies from the leaf up to the node that repeats; -1: there is none
  float m = 0;
};

// Ends a visit in flight at `leaf` with this result, which counts at the leaf and, sign flipping and plies growing, above it. A link
// takes over the value of its position and passes on what is new in it, for all its visits: so a mean above it is that of
// its children's values as they are known. From a repetition up the visit counts as a draw.
// With sticky_endgames the first visit of a terminal node also proves what it can of its ancestors.
void back_up(Node* leaf, Ascent way, Outcome outcome, const Repetition& repetition, bool sticky_endgames);

// Takes back visits that were selected and not made: from `node` and all above it.
void cancel(Node* node, Ascent way, std::uint32_t count);

// Un-makes a two-fold draw that is none any more because the first occurrence has left the tree: takes its visits out of every
// average. Returns how many there were.
std::uint32_t revert_two_fold(Node* node);

}  // namespace search
