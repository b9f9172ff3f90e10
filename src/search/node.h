// What the tree stores: 64 bytes a node, 4 bytes an edge.
//
// Values of a node are seen by the player who moved into it, so a parent compares its children's values directly. Children
// exist for a prefix of the edges, in chunks of 1, 1, 2, 4, 8, ... nodes: a node never moves, siblings lie side by side, and a
// walk over them finds the next one without waiting for the last one's memory.
//
// In a graph (docs/spec/engine.md 4.19) positions share what is below them. A node is both a position and the edge into it until a
// second edge reaches that position: then the position, with its edges and children, becomes a shared node of its own, and the nodes of its
// edges are links to it. A link counts the visits that came through it; its value is the position's, as of the last of them.
#pragma once
#include <cstdint>
#include <span>

#include "chess/types.h"
#include "nn/softmax.h"

namespace search {

struct Edge {
  chess::Move move;         // never changes once its node has children
  std::uint16_t prior = 0;  // packed

  float p() const { return nn::unpack_prior(prior); }
};

// What lies before the edges of a position of a graph.
struct Identity {
  std::uint64_t key;
  struct Node* next;  // with the same hash, in the table
};

enum class Terminal : std::uint8_t { kNone, kEnd, kTablebase, kTwoFold };

struct Node {
  double wl = 0;                // mean of win - loss
  Node* parent = nullptr;       // of a shared position the link that was the first to reach it, or null
  Edge* edges = nullptr;        // (edge_count), by descending prior; null until evaluated; a link's are the position's
  Node* children = nullptr;     // the first chunk; of a link the position it leads to
  union {
    Node* next_chunk = nullptr; // in the last node of a chunk
    std::uint64_t links;        // to a shared position, the root's pointer being one
  };
  float d = 0;                  // mean draw probability
  float m = 0;                  // mean plies left; of a two-fold draw the plies since the earlier occurrence
  std::uint32_t n = 0;          // visits backed up
  std::uint32_t in_flight = 0;  // visits under way
  std::uint16_t index = 0;      // of the edge that leads here
  std::uint16_t edge_count = 0;
  std::uint16_t started = 0;    // no child from this index on has ever been selected
  Terminal terminal = Terminal::kNone;
  std::int8_t lower : 2 = -1, upper : 2 = 1;  // proven bounds of the result
  bool is_link : 1 = false, is_shared : 1 = false;

  bool is_terminal() const { return terminal != Terminal::kNone; }
  bool is_leaf() const { return !edges && !is_terminal(); }  // to be evaluated
  Node* position() { return is_link ? children : this; }
  const Node* position() const { return is_link ? children : this; }
  Identity* identity() const { return reinterpret_cast<Identity*>(edges) - 1; }
  double q(float draw_score) const { return wl + draw_score * d; }
  Edge& edge() const { return parent->edges[index]; }
};
static_assert(sizeof(Node) == 64 && sizeof(Edge) == 4);

// Walks the children that have memory: for (Children c(node); c; ++c) ... c->n
class Children {
 public:
  explicit Children(const Node* parent) : node_(parent->position()->children), count_(parent->edge_count) {}
  explicit operator bool() const { return node_ && index_ < count_; }
  Node* operator->() const { return node_; }
  Node& operator*() const { return *node_; }
  Node* get() const { return node_; }
  int index() const { return index_; }
  void operator++() {
    ++index_;
    node_ = starts_chunk(index_) ? node_->next_chunk : node_ + 1;
  }
  static bool starts_chunk(int index) { return (index & (index - 1)) == 0; }

 private:
  Node* node_;
  int count_;
  int index_ = 0;
};

// The way from a node up to the root. To a shared position it is the link that its descent came through: `links` has those of the
// descent, from the root down, that are not their position's parent.
class Ascent {
 public:
  explicit Ascent(std::span<Node* const> links = {}) : links_(links) {}
  Node* above(const Node* node) {
    if (!node->is_shared || links_.empty() || links_.back()->children != node) return node->parent;
    Node* link = links_.back();
    links_ = links_.first(links_.size() - 1);
    return link;
  }
  bool is_root(const Node* node) const { return !node->parent && links_.empty(); }

 private:
  std::span<Node* const> links_;
};

}  // namespace search
