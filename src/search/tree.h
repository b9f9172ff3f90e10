// The memory of the tree or graph and its root: nodes and edges come from a pool; what the game has left behind is reclaimed a few
// nodes at a time whenever new memory is wanted, so that dropping a big tree stalls nobody. A graph keeps it for a while: analysis
// may come back to it. Not thread-safe: the search holds its tree lock.
#pragma once
#include <array>
#include <cstddef>
#include <deque>
#include <vector>

#include "nn/pages.h"
#include "search/node.h"

namespace search {

// Memory in multiples of 16 bytes up to a chunk of 256 nodes; one free list a size. It grows by blocks, whose first touch may take
// the system milliseconds: the owner can do that beforehand where nobody waits. The first is touched as it is used, since many small
// searches at once need little of it.
class Pool {
 public:
  static nn::Pages make_block();  // touched; at any time
  bool wants_block() const { return !blocks_.empty() && next_ == blocks_.size() && used_ > kBlock / 2; }
  void add_block(nn::Pages block) { blocks_.push_back(std::move(block)); }
  void* allocate(std::size_t bytes);
  void release(void* memory, std::size_t bytes);
  void clear();
  std::size_t in_use() const { return in_use_; }  // bytes

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kUnit = 16, kLargest = 256 * sizeof(Node), kBlock = nn::kHugePage;

  std::vector<nn::Pages> blocks_;
  std::size_t next_ = 0;       // block to be used
  std::size_t used_ = kBlock;  // bytes of the one before
  std::size_t in_use_ = 0;
  std::array<Free*, kLargest / kUnit + 1> free_{};
};

// Positions of a graph by key. It grows by one list at a time (linear hashing), so that no search waits for all of it to be moved.
class Positions {
 public:
  Positions() { clear(); }
  Node* find(std::uint64_t key, int edge_count) const;  // null if it is not known
  void insert(Node* position);
  void replace(Node* position, Node* by);  // its edges are those of `by`
  void erase(Node* position);
  void clear();

 private:
  std::size_t list_of(std::uint64_t key) const;
  Node** pointer_to(Node* position);

  std::deque<Node*> lists_;  // their first positions
  std::size_t size_ = 0;
};

class Tree {
 public:
  Tree() { clear(); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Node* root() { return root_; }
  const Node* root() const { return root_; }

  void clear();                      // back to a fresh root; frees everything at once
  void advance(chess::Move move);    // the root's child by this move becomes the root
  void drop();                       // a fresh root; the old tree is reclaimed as memory is needed

  bool is_graph() const { return is_graph_; }
  void become(bool graph);                        // a change drops everything
  void go_to(std::uint64_t key, int edge_count);  // of a graph: this position becomes the root, with what is known of it
  void keep(std::size_t bytes) { kept_ = bytes; } // a graph reclaims nothing before it has grown to this size

  Pool& pool() { return pool_; }
  std::size_t in_use() const { return pool_.in_use(); }  // bytes
  Node* child(Node* parent, int index);  // created if need be; `parent` is no link
  void set_edges(Node* node, const Edge* edges, int count, std::uint64_t key = 0);

  // Of a graph.
  Node* find(std::uint64_t key, int edge_count) const { return positions_.find(key, edge_count); }
  Node* share(Node* node);                // its position, apart from the edge into it
  Node* make_position();                  // shared, without links
  void link(Node* leaf, Node* position);  // `position` is shared

 private:
  void set_root(Node* root);
  void reopen(Node* root);
  void reclaim(int steps);
  void unlink(Node* link);
  std::size_t identity_bytes() const { return is_graph_ ? sizeof(Identity) : 0; }
  void release_edges(Node* node);

  Pool pool_;
  Node* root_ = nullptr;
  std::deque<Node*> garbage_;  // roots of abandoned trees; of a graph links to them that are to be dropped
  Node* cursor_ = nullptr;     // in the tree being reclaimed: all before it in post-order is gone
  bool is_graph_ = false;
  std::size_t kept_ = 0;
  Positions positions_;
};

}  // namespace search
