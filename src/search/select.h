// Descents: which leaves the next visits go to (docs/spec/engine.md 4.3, 4.4). One descent spends a whole budget of visits, dividing it
// at each node as that many single descents would, so upper nodes are scanned once a batch. Speed is that of the memory of the
// nodes passed. The caller holds the tree lock.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "search/params.h"
#include "search/puct.h"
#include "search/tree.h"

namespace search {

// What all descents of a search have in common. Under the tree lock, but for what is fixed.
struct Situation {
  const FixedParams params;
  Tree* const tree;
  const DrawScore draw_score;
  const bool has_moves_left;                     // the network tells m
  const std::vector<chess::Move> allowed_moves;  // at the root; empty: all

  std::vector<bool> allowed{};           // the same for the root's edges, once it has any
  std::int64_t remaining_playouts = std::numeric_limits<std::int64_t>::max();  // an estimate, published by the stoppers
  const Node* best = nullptr;            // the root's best child
  std::uint32_t initial_visits = 0;      // the root had when the search started

  bool is_allowed(int root_edge) const { return allowed.empty() || allowed[static_cast<std::size_t>(root_edge)]; }
  void apply_root_filter() {
    const Node* root = tree->root();
    for (int i = 0; i < root->edge_count && !allowed_moves.empty(); ++i)
      allowed.push_back(std::ranges::find(allowed_moves, root->edges[i].move) != allowed_moves.end());
  }
};

struct Pick {
  Node* node;
  int depth;                // root: 0
  std::uint32_t first_move; // of a new leaf
  std::uint32_t visits;     // 1 for a leaf; those that found it taken, for a collision
  std::uint32_t limit;      // a collision of up to this many would have come the same way; 0: do not enlarge
  bool is_collision;
  bool is_new;              // a leaf to be evaluated: this descent alone may expand it
  std::uint32_t first_link, link_count;  // of the way
};

// What a descent found. It has the moves to leaves, because reading them off the tree later, when other threads work on it,
// would fetch node after node from another core's cache.
struct Picks {
  std::vector<Pick> all;
  std::vector<chess::Move> moves;
  std::vector<Node*> links;  // see Ascent

  void clear() {
    all.clear();
    moves.clear();
    links.clear();
  }
  std::span<Node* const> links_of(const Pick& pick) const { return std::span(links).subspan(pick.first_link, pick.link_count); }
  Ascent way(const Pick& pick) const { return Ascent(links_of(pick)); }
  void take(Pick pick, std::span<Node* const> its_links) {
    pick.first_link = static_cast<std::uint32_t>(links.size());
    pick.link_count = static_cast<std::uint32_t>(its_links.size());
    links.insert(links.end(), its_links.begin(), its_links.end());
    all.push_back(pick);
  }
  std::span<const chess::Move> line_to(const Pick& pick) const {
    return std::span(moves).subspan(pick.first_move, static_cast<std::size_t>(pick.depth));
  }
};

class Selector {
 public:
  explicit Selector(Situation& situation) : situation_(situation) {}

  // Leaves, each claimed with one visit in flight, and collisions, with theirs.
  void descend(std::uint32_t budget, Picks& picks);

 private:
  struct Share {
    int index;             // of the edge
    Node* child;
    std::uint32_t visits;
    std::uint32_t limit;
  };

  void visit(Node* node, std::uint32_t budget, std::uint32_t limit, bool whole);
  void divide(Node* node, int depth, std::uint32_t budget, std::uint32_t limit);  // appends to shares_
  bool skips(const Node& root, int index, std::uint32_t n) const;

  Situation& situation_;
  Picks* picks_ = nullptr;
  std::vector<chess::Move> line_;  // to the node being visited
  std::vector<Node*> links_;       // on the way to it
  std::vector<Share> shares_;  // a stack: each level of the descent works through its own stretch

  // The candidates of the node being divided: its touched children, then untouched edges as they come into question.
  void resize_candidates(std::size_t most);
  std::vector<int> indices_;
  std::vector<float> utility_, numerator_, started_, score_;
  std::vector<std::uint32_t> given_, first_limit_;
};

}  // namespace search
