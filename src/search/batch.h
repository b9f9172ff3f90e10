// The leaves of one iteration on their way through the network: position by replay from the root, terminal tests, cache, planes,
// evaluation, priors (docs/spec/engine.md 4.7). All of it runs outside the tree lock; this is where a search with a fast back end spends
// its time.
#pragma once
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "chess/encode.h"
#include "chess/history.h"
#include "nn/cache.h"
#include "nn/evaluator.h"
#include "search/backup.h"
#include "search/fresh_random.h"
#include "search/select.h"
#include "search/wdl.h"
#include "syzygy/tables.h"

namespace search {

// How positions are evaluated: fixed during a search.
struct Evaluation {
  nn::Info info;
  nn::Cache* cache = nullptr;
  chess::HistoryFill fill = chess::HistoryFill::kFenOnly;
  float policy_temperature = 1;
  bool two_fold_draws = true;
  bool graph = false;
  float noise_epsilon = 0, noise_alpha = 0;  // at the root
  bool rescale = false;                      // values from the network are transformed
  WdlTransform transform;
  int contempt_sign = 0;  // of the shift, for the root's side to move
  const syzygy::Tables* tables = nullptr;  // null: there are none, or the root's moves need none
};

// The game down to any leaf. Consecutive leaves share most of their moves, so little is replayed.
class Path {
 public:
  explicit Path(const chess::History& game) : history_(game) {}
  chess::History& to(std::span<const chess::Move> line);  // the moves from the root

 private:
  chess::History history_;
  std::vector<chess::Move> line_;
};

std::uint64_t cache_key(const chess::Position& position);
// Of a shared position. Its count of the 50-move rule is part of it: so the game ends there on all ways to it or on none, and since each
// move raises the count or cannot be undone, no way leads from a position back to itself. So is what the game has repeated, as long as no
// capture or pawn move lies between: only after such a game are those positions draws when they come again.
class GraphKey {
 public:
  explicit GraphKey(const chess::History& game);
  std::uint64_t of(const chess::Position& position, int depth) const;  // so many plies after the game

 private:
  std::uint64_t repeated_ = 0;  // positions that have occurred twice
};

struct Leaf {
  enum class State { kRevisit, kRepetition, kTerminal, kEvaluated, kQueued, kDone };
  Node* node = nullptr;  // null: prefetched for the cache alone
  int depth = 0;
  State state = State::kQueued;
  bool is_cached = false;       // the cache knew what the network says
  Terminal kind = Terminal::kNone;
  Outcome outcome;              // of kTerminal and kEvaluated
  Repetition repetition;        // of a graph
  std::vector<Node*> links;     // of the way to it, see Ascent
  std::uint64_t key = 0, graph_key = 0;
  std::size_t first_edge = 0;   // in Batch::edges
  int edge_count = 0;
};

class Batch {
 public:
  Batch(const Evaluation& evaluation, const chess::History& game) : evaluation_(evaluation), graph_key_(game), path_(game) {}

  void clear();
  void add(const Pick& pick, std::span<const chess::Move> line, std::span<Node* const> links);
  void prefetch(std::span<const chess::Move> line);  // into the cache, if it is not there
  int queued() const { return static_cast<int>(queue_.size()); }
  // Throws Error: from the back end, or for values that are no numbers.
  void evaluate(nn::Evaluator::Lease& session);

  std::vector<Leaf>& leaves() { return leaves_; }
  const Edge* edges(const Leaf& leaf) const { return edges_.data() + leaf.first_edge; }

 private:
  bool is_terminal(const chess::History& history, const chess::MoveList& moves, Leaf& leaf) const;
  std::optional<float> repetition(const chess::Position& position, int depth) const;
  Repetition first_repetition(const chess::History& history, int depth) const;
  bool look_up(Leaf& leaf);
  void enqueue(const chess::History& history, const chess::MoveList& moves, std::size_t leaf);
  void accept(Leaf& leaf, const nn::Value& value, const std::uint16_t* priors);
  void add_noise(Leaf& leaf);

  const Evaluation& evaluation_;
  const GraphKey graph_key_;
  Path path_;
  std::vector<Leaf> leaves_;
  std::vector<Edge> edges_;  // of all leaves

  // What the back end sees: position i of the queue is leaf queue_[i].
  std::vector<std::size_t> queue_;
  std::vector<chess::Planes> planes_;
  std::vector<std::uint16_t> moves_;       // policy indices
  std::vector<std::uint32_t> first_move_;
  std::vector<float> policy_;
  std::vector<nn::Value> values_;
  std::vector<std::uint64_t> keys_;
  std::vector<std::uint16_t> priors_;      // packed, in the order of moves_
  std::mt19937_64 random_ = fresh_random();
};

}  // namespace search
