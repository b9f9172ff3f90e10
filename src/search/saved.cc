#include "search/saved.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "error.h"
#include "search/batch.h"

namespace search {
namespace {

static_assert(std::endian::native == std::endian::little);

enum class Kind : std::uint8_t { kLeaf, kPosition, kNewLink, kKnownLink };

class Writer {
 public:
  std::string bytes;

  void tree(const Tree& tree) {
    put(static_cast<std::uint8_t>(tree.is_graph()));
    body(*tree.root());
  }

 private:
  template <class T>
  void put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void stats(const Node& node) {
    put(node.n);
    put(node.wl);
    put(node.d);
    put(node.m);
    put(node.terminal);
    put(static_cast<std::int8_t>(node.lower));
    put(static_cast<std::int8_t>(node.upper));
  }
  void body(const Node& position) {
    stats(position);
    put(position.edge_count);
    put(position.started);
    std::uint16_t children = 0;
    for (Children c(&position); c; ++c) ++children;
    put(children);
    for (int i = 0; i < position.edge_count; ++i) {
      put(position.edges[i].move.bits());
      put(position.edges[i].prior);
    }
    for (Children c(&position); c; ++c) child(*c);
  }
  void child(const Node& node) {
    if (!node.is_link) {
      put(node.edges ? Kind::kPosition : Kind::kLeaf);
      return node.edges ? body(node) : stats(node);
    }
    const auto known = known_.find(node.children);
    const bool is_new = known == known_.end();
    put(is_new ? Kind::kNewLink : Kind::kKnownLink);
    stats(node);
    if (!is_new) return put(known->second);
    body(*node.children);
    known_.emplace(node.children, static_cast<std::uint32_t>(known_.size()));
  }

  std::unordered_map<const Node*, std::uint32_t> known_;  // shared positions by the order of their ends
};

// Takes nothing on trust: what it makes is a tree of legal moves whose numbers fit together.
class Reader {
 public:
  Reader(Tree& tree, const chess::History& game, std::string_view bytes) : tree_(tree), graph_key_(game), history_(game), bytes_(bytes) {}

  void read() {
    const bool graph = get<std::uint8_t>() == 1;
    tree_.become(graph);
    tree_.clear();
    body(tree_.root(), 0);
    check(bytes_.empty());
  }

 private:
  static constexpr int kDeepest = 5000;  // plies: a game has no more without a draw by the 50-move rule

  static void check(bool good) {
    if (!good) throw Error("the saved tree is damaged");
  }
  template <class T>
  T get() {
    T value;
    check(bytes_.size() >= sizeof value);
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  void stats(Node& node) {
    node.n = get<std::uint32_t>();
    node.wl = get<double>();
    node.d = get<float>();
    node.m = get<float>();
    const auto terminal = get<std::uint8_t>();
    const auto lower = get<std::int8_t>(), upper = get<std::int8_t>();
    constexpr double kOne = 1.01;  // and some rounding
    check(std::abs(node.wl) <= kOne && std::abs(node.d) <= kOne && std::abs(node.m) < 1e6f);
    check(terminal <= static_cast<int>(Terminal::kTwoFold) && lower >= -1 && upper <= 1 && lower <= upper);
    check(!(tree_.is_graph() && terminal == static_cast<int>(Terminal::kTwoFold)) && (terminal == 0 || node.n > 0));
    node.terminal = static_cast<Terminal>(terminal);
    node.lower = lower;
    node.upper = upper;
  }
  void body(Node* node, int depth) {
    check(depth < kDeepest);
    stats(*node);
    const auto count = get<std::uint16_t>(), started = get<std::uint16_t>(), children = get<std::uint16_t>();
    if (count == 0) return check(depth == 0 && node->n == 0 && children == 0);  // a root that was never visited
    check(started <= children && children <= count && node->n > 0);
    edges(node, count, depth);
    node->started = started;
    std::uint64_t visits = 1;
    for (int i = 0; i < children; ++i) {
      Node* at = tree_.child(node, i);
      history_.push(node->edges[i].move);
      child(at, depth + 1);
      history_.pop();
      visits += at->n;
    }
    check(node->is_terminal() || node->n == visits);
  }
  // Apart from body(), which calls itself as often as the tree is deep and had better take little of the stack.
  [[gnu::noinline]] void edges(Node* node, int count, int depth) {
    std::vector<Edge> edges(static_cast<std::size_t>(count));
    std::vector<std::uint16_t> found, wanted;
    chess::MoveList legal;
    history_.last().board.legal_moves(legal);
    for (const chess::Move move : legal) wanted.push_back(move.bits());
    for (Edge& edge : edges) {
      found.push_back(get<std::uint16_t>());
      const auto move = std::ranges::find(legal, found.back(), &chess::Move::bits);
      check(move != legal.end());
      edge = {*move, get<std::uint16_t>()};
    }
    std::ranges::sort(found);
    std::ranges::sort(wanted);
    check(found == wanted);
    tree_.set_edges(node, edges.data(), count, graph_key_.of(history_.last(), depth));
  }
  void child(Node* node, int depth) {
    const auto kind = static_cast<Kind>(get<std::uint8_t>());
    if (kind == Kind::kPosition) return body(node, depth);
    stats(*node);
    if (kind == Kind::kLeaf) return check(tree_.is_graph() || node->is_terminal() || node->n == 0);
    check(tree_.is_graph() && node->n > 0);
    if (kind == Kind::kNewLink) {
      Node* position = tree_.make_position();
      body(position, depth);
      known_.push_back(position);
      return tree_.link(node, position);
    }
    check(kind == Kind::kKnownLink);
    const auto index = get<std::uint32_t>();
    check(index < known_.size() && known_[index]->identity()->key == graph_key_.of(history_.last(), depth) &&
          known_[index]->edge_count == history_.last().board.count_legal_moves());
    tree_.link(node, known_[index]);
  }

  Tree& tree_;
  const GraphKey graph_key_;
  chess::History history_;
  std::string_view bytes_;
  std::vector<Node*> known_;  // shared positions
};

}  // namespace

std::string save(const Tree& tree) {
  Writer writer;
  writer.tree(tree);
  return std::move(writer.bytes);
}

void load(Tree& tree, const chess::History& game, std::string_view bytes) {
  try {
    Reader(tree, game, bytes).read();
  } catch (...) {
    tree.clear();
    throw;
  }
}

}  // namespace search
