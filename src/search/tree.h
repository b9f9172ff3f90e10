// The memory of the tree and its root: nodes and edges come from a pool; what the game has left behind is reclaimed a few
// nodes at a time whenever new memory is wanted, so that dropping a big tree stalls nobody. Not thread-safe: the search holds
// its tree lock.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include "nn/pages.h"
#include "search/node.h"

namespace search {

// Memory in multiples of 16 bytes up to a chunk of 256 nodes; one free list a size. It grows by blocks, whose first touch may take
// the system milliseconds: the owner can do that beforehand where nobody waits.
class Pool {
 public:
  static nn::Pages make_block();  // touched; at any time
  bool wants_block() const { return !blocks_.empty() && next_ == blocks_.size(); }
  void add_block(nn::Pages block) { blocks_.push_back(std::move(block)); }
  void* allocate(std::size_t bytes);
  void release(void* memory, std::size_t bytes);
  void clear();

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kUnit = 16, kLargest = 256 * sizeof(Node), kBlock = nn::kHugePage;

  std::vector<nn::Pages> blocks_;
  std::size_t next_ = 0;       // block to be used
  std::size_t used_ = kBlock;  // bytes of the one before
  std::array<Free*, kLargest / kUnit + 1> free_{};
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

  Pool& pool() { return pool_; }
  Node* child(Node* parent, int index);  // created if need be
  void set_edges(Node* node, const Edge* edges, int count);

 private:
  void set_root(Node* root);
  void reopen(Node* root);
  void reclaim(int steps);

  Pool pool_;
  Node* root_ = nullptr;
  std::vector<Node*> garbage_;  // roots of abandoned trees
  Node* cursor_ = nullptr;      // in the tree being reclaimed: all before it in post-order is gone
};

}  // namespace search
