#include "search/tree.h"

#include <algorithm>
#include <new>

namespace search {
namespace {

constexpr int kReclaimSteps = 32;  // for each allocation: far more than a chunk holds on average

std::size_t edge_bytes(int count) { return sizeof(Edge) * static_cast<std::size_t>(count); }

// Nodes of the chunk that starts at this child.
int chunk_size(int start, int edge_count) { return std::min(std::max(start, 1), edge_count - start); }

}  // namespace

nn::Pages Pool::make_block() {
  nn::Pages block = nn::allocate_pages(kBlock);
  nn::touch_pages(reinterpret_cast<std::uint64_t*>(block.get()), kBlock / sizeof(std::uint64_t));
  return block;
}

void* Pool::allocate(std::size_t bytes) {
  const std::size_t units = (bytes + kUnit - 1) / kUnit;
  if (Free* found = free_[units]) {
    free_[units] = found->next;
    return found;
  }
  // Nodes start at multiples of 64 bytes, so that none lies in two cache lines.
  if (units % 4 == 0) used_ = (used_ + 63) / 64 * 64;
  if (used_ + units * kUnit > kBlock) {
    if (next_ == blocks_.size()) blocks_.push_back(make_block());
    ++next_;
    used_ = 0;
  }
  void* memory = blocks_[next_ - 1].get() + used_;
  used_ += units * kUnit;
  return memory;
}

void Pool::release(void* memory, std::size_t bytes) {
  Free*& list = free_[(bytes + kUnit - 1) / kUnit];
  list = new (memory) Free{list};
}

void Pool::clear() {
  blocks_.clear();
  next_ = 0;
  used_ = kBlock;
  free_.fill(nullptr);
}

void Tree::clear() {
  garbage_.clear();
  cursor_ = nullptr;
  pool_.clear();
  root_ = new (pool_.allocate(sizeof(Node))) Node;
}

void Tree::drop() {
  garbage_.push_back(root_);
  root_ = new (pool_.allocate(sizeof(Node))) Node;
}

void Tree::advance(chess::Move move) {
  Node* kept = nullptr;
  for (Children c(root_); c; ++c)
    if (root_->edges[c.index()].move == move) kept = c.get();
  Node* old = root_;
  root_ = new (pool_.allocate(sizeof(Node))) Node;
  if (kept) {
    std::swap(*root_, *kept);
    std::swap(root_->index, kept->index);  // the old tree stays walkable
    std::swap(root_->parent, kept->parent);
    std::swap(root_->next_chunk, kept->next_chunk);
    for (Children c(root_); c; ++c) c->parent = root_;
    if (root_->is_terminal()) reopen(root_);
  }
  garbage_.push_back(old);
}

// A proven root would end every search at once: its result is forgotten, its children's stay.
void Tree::reopen(Node* root) {
  root->terminal = Terminal::kNone;
  root->lower = -1;
  root->upper = 1;
  double wl = 0, d = 0, m = 0;
  std::uint32_t n = 0;
  for (Children c(root); c; ++c) {
    wl -= c->wl * c->n;
    d += static_cast<double>(c->d) * c->n;
    m += (c->m + 1.0) * c->n;
    n += c->n;
  }
  root->n = root->edges ? n + 1 : 0;  // its own visit has left no value: it counts as an average one
  root->wl = n ? wl / n : 0;
  root->d = static_cast<float>(n ? d / n : 0);
  root->m = static_cast<float>(n ? m / n : 0);
}

Node* Tree::child(Node* parent, int index) {
  int start = 0;
  Node** link = &parent->children;
  while (true) {
    const int size = chunk_size(start, parent->edge_count);
    if (!*link) {
      reclaim(kReclaimSteps);
      Node* chunk = static_cast<Node*>(pool_.allocate(sizeof(Node) * static_cast<std::size_t>(size)));
      for (int i = 0; i < size; ++i) {
        Node* node = new (chunk + i) Node;
        node->parent = parent;
        node->index = static_cast<std::uint16_t>(start + i);
      }
      *link = chunk;
    }
    if (index < start + size) return *link + (index - start);
    link = &(*link)[size - 1].next_chunk;
    start += size;
  }
}

void Tree::set_edges(Node* node, const Edge* edges, int count) {
  node->edges = static_cast<Edge*>(pool_.allocate(edge_bytes(count)));
  node->edge_count = static_cast<std::uint16_t>(count);
  std::copy_n(edges, count, node->edges);
}

void Tree::reclaim(int steps) {
  for (; steps > 0; --steps) {
    if (!cursor_) {
      if (garbage_.empty()) return;
      cursor_ = garbage_.back();
      garbage_.pop_back();
    }
    Node* node = cursor_;
    if (node->children) {
      cursor_ = node->children;
      continue;
    }
    if (node->edges) pool_.release(node->edges, edge_bytes(node->edge_count));
    node->edges = nullptr;
    Node* parent = node->parent;
    if (!parent) {
      pool_.release(node, sizeof(Node));
      cursor_ = nullptr;
      continue;
    }
    const int next = node->index + 1;
    Node* sibling = Children::starts_chunk(next) ? node->next_chunk : node + 1;
    if (next < parent->edge_count && sibling) {
      cursor_ = sibling;
      continue;
    }
    for (int start = 0; Node* chunk = parent->children;) {  // the last child is done: so are all
      const int size = chunk_size(start, parent->edge_count);
      parent->children = chunk[size - 1].next_chunk;
      pool_.release(chunk, sizeof(Node) * static_cast<std::size_t>(size));
      start += size;
    }
    cursor_ = parent;
  }
}

}  // namespace search
