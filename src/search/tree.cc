#include "search/tree.h"

#include <algorithm>
#include <bit>
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
  in_use_ += units * kUnit;
  if (Free* found = free_[units]) {
    free_[units] = found->next;
    return found;
  }
  // Nodes start at multiples of 64 bytes, so that none lies in two cache lines.
  if (units % 4 == 0) used_ = (used_ + 63) / 64 * 64;
  if (used_ + units * kUnit > kBlock) {
    if (next_ == blocks_.size()) blocks_.push_back(blocks_.empty() ? nn::allocate_pages(kBlock, false) : make_block());
    ++next_;
    used_ = 0;
  }
  void* memory = blocks_[next_ - 1].get() + used_;
  used_ += units * kUnit;
  return memory;
}

void Pool::release(void* memory, std::size_t bytes) {
  const std::size_t units = (bytes + kUnit - 1) / kUnit;
  in_use_ -= units * kUnit;
  free_[units] = new (memory) Free{free_[units]};
}

void Pool::clear() {
  blocks_.clear();
  next_ = 0;
  used_ = kBlock;
  in_use_ = 0;
  free_.fill(nullptr);
}

void Positions::clear() {
  lists_.assign(1, nullptr);
  size_ = 0;
}

std::size_t Positions::list_of(std::uint64_t key) const {
  const std::size_t mask = std::bit_ceil(lists_.size()) - 1, list = key & mask;
  return list < lists_.size() ? list : list & mask >> 1;  // not yet divided in two
}

Node* Positions::find(std::uint64_t key, int edge_count) const {
  for (Node* position = lists_[list_of(key)]; position; position = position->identity()->next)
    if (position->identity()->key == key && position->edge_count == edge_count) return position;
  return nullptr;
}

void Positions::insert(Node* position) {
  if (++size_ > lists_.size()) {  // one list becomes two
    const std::size_t old = lists_.size() - std::bit_floor(lists_.size());
    Node* next = lists_[old];
    lists_[old] = nullptr;
    lists_.push_back(nullptr);
    for (Node* moved = next; moved; moved = next) {
      next = moved->identity()->next;
      Node*& list = lists_[list_of(moved->identity()->key)];
      moved->identity()->next = list;
      list = moved;
    }
  }
  Node*& list = lists_[list_of(position->identity()->key)];
  position->identity()->next = list;
  list = position;
}

Node** Positions::pointer_to(Node* position) {
  Node** link = &lists_[list_of(position->identity()->key)];
  while (*link != position) link = &(*link)->identity()->next;
  return link;
}

void Positions::replace(Node* position, Node* by) { *pointer_to(position) = by; }

void Positions::erase(Node* position) {
  Node** link = pointer_to(position);
  *link = position->identity()->next;
  --size_;
}

void Tree::clear() {
  garbage_.clear();
  cursor_ = nullptr;
  positions_.clear();
  pool_.clear();
  root_ = make_position();
  if (is_graph_) root_->links = 1;
}

void Tree::become(bool graph) {
  if (graph == is_graph_) return;
  is_graph_ = graph;
  clear();
}

void Tree::drop() {
  if (is_graph_) return clear();  // else the positions would be found again
  garbage_.push_back(root_);
  root_ = make_position();
}

void Tree::go_to(std::uint64_t key, int edge_count) {
  Node* known = root_->edges && root_->identity()->key == key ? root_ : positions_.find(key, edge_count);
  if (known && known == root_) return;
  known = known ? share(known) : make_position();
  ++known->links;
  known->parent = nullptr;
  if (known->is_terminal()) reopen(known);
  garbage_.push_back(root_);
  root_ = known;
}

void Tree::advance(chess::Move move) {
  Node* kept = nullptr;
  for (Children c(root_); c; ++c)
    if (root_->edges[c.index()].move == move) kept = c.get();
  Node* old = root_;
  root_ = make_position();
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

void Tree::set_edges(Node* node, const Edge* edges, int count, std::uint64_t key) {
  auto* memory = static_cast<std::byte*>(pool_.allocate(identity_bytes() + edge_bytes(count)));
  node->edges = reinterpret_cast<Edge*>(memory + identity_bytes());
  node->edge_count = static_cast<std::uint16_t>(count);
  std::copy_n(edges, count, node->edges);
  if (!is_graph_) return;
  new (memory) Identity{key, nullptr};
  positions_.insert(node);
}

// A position is found no more once what it has is going.
void Tree::release_edges(Node* node) {
  if (is_graph_) positions_.erase(node);
  pool_.release(reinterpret_cast<std::byte*>(node->edges) - identity_bytes(), identity_bytes() + edge_bytes(node->edge_count));
  node->edges = nullptr;
}

Node* Tree::make_position() {
  Node* position = new (pool_.allocate(sizeof(Node))) Node;
  if (is_graph_) {
    position->is_shared = true;
    position->links = 0;
  }
  return position;
}

Node* Tree::share(Node* node) {
  if (node->is_shared || node->is_link) return node->position();
  Node* position = new (pool_.allocate(sizeof(Node))) Node(*node);
  position->is_shared = true;
  position->parent = node;
  position->links = 1;
  for (Children c(position); c; ++c) c->parent = position;
  positions_.replace(node, position);
  node->is_link = true;
  node->children = position;
  return position;
}

void Tree::link(Node* leaf, Node* position) {
  leaf->is_link = true;
  leaf->children = position;
  leaf->edges = position->edges;
  leaf->edge_count = position->edge_count;
  ++position->links;
}

void Tree::unlink(Node* link) {
  Node* position = link->children;
  if (position->parent == link) position->parent = nullptr;
  link->is_link = false;
  link->children = nullptr;
  link->edges = nullptr;
  garbage_.push_front(position);
}

void Tree::reclaim(int steps) {
  if (is_graph_ && pool_.in_use() < kept_) return;
  for (; steps > 0; --steps) {
    if (!cursor_) {
      if (garbage_.empty()) return;
      cursor_ = garbage_.front();
      garbage_.pop_front();
      if (cursor_->is_shared && --cursor_->links > 0) cursor_ = nullptr;
      continue;
    }
    Node* node = cursor_;
    if (node->is_link) unlink(node);
    if (node->edges) release_edges(node);
    if (node->children) {
      cursor_ = node->children;
      continue;
    }
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
