#include "search/worker.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <thread>

#include "search/backup.h"
#include "search/prefetch.h"

namespace search {
namespace {

constexpr int kMostBarren = 10000;  // descents of a batch that find no leaf, some 10 ms of them: MaxCollisionVisits may allow any number

// Collisions are cheap for a big tree and ruinous for a small one.
std::int64_t collision_allowance(const Situation& situation) {
  const FixedParams& params = situation.params;
  const double most = params.max_collision_visits;
  const double start = params.max_collision_visits_scaling_start, end = params.max_collision_visits_scaling_end;
  const auto n = static_cast<double>(std::min<std::int64_t>(situation.tree->root()->n, situation.remaining_playouts));
  if (n >= end) return params.max_collision_visits;
  if (n <= start) return 1;
  const double grown = std::pow((n - start) / (end - start), static_cast<double>(params.max_collision_visits_scaling_power));
  return std::llround(1 + (most - 1) * grown);
}

bool is_ready(const Leaf& leaf) {
  return leaf.state != Leaf::State::kQueued && leaf.state != Leaf::State::kDone;
}

}  // namespace

void Worker::work() {
  lock();
  while (!shared_.stop) {
    try {
      iterate();
    } catch (...) {
      abandon();
      lock_.unlock();
      throw;
    }
  }
  lock_.unlock();
}

// Another worker holds the lock for some ten microseconds: less than it may take to fall asleep and be woken.
void Worker::lock() {
  constexpr int kPatience = 200;
  for (int i = 0; i < kPatience; ++i) {
    if (lock_.try_lock()) return;
    std::this_thread::yield();
  }
  lock_.lock();
}

void Worker::iterate() {
  gather();
  if (batch_.leaves().empty()) {  // every leaf is in another worker's hands
    abandon();
    if (!shared_.stop) shared_.progress.wait_for(lock_, std::chrono::milliseconds(10));
    return;
  }
  if (shared_.stop) return abandon();
  evaluate();
  settle();
  for (Leaf& leaf : batch_.leaves())
    if (leaf.node && leaf.state != Leaf::State::kDone) finish(leaf);
  shared_.after_batch();
  throttle();
  stock_up();
}

void Worker::gather() {
  batch_.clear();
  waiting_ = out_of_order_ = 0;
  barren_ = 0;
  max_prefetch_ = shared_.live.max_prefetch;
  target_ = shared_.batch_target();
  allowance_ = collision_allowance(shared_.situation);
  while (has_room()) {
    const std::uint32_t budget = std::min({target_ - waiting_, out_of_order_cap() - out_of_order_, shared_.room()});
    selector_.descend(static_cast<std::uint32_t>(std::min<std::int64_t>(budget, allowance_)), picks_);
    for (const Pick& pick : picks_.all) shared_.on_their_way += !pick.is_collision;
    lock_.unlock();
    expand();
    if (may_go_ahead()) return;
    if (!lock_) lock();
    settle();
  }
  prefetch();
}

// Without the lock: true if the batch had better be evaluated as it is and its latest descent be settled later, because the back
// end is idle or because this worker would waste a processor's time on waiting for the lock, which may be held when it returns.
bool Worker::may_go_ahead() {
  if (shared_.workers == 1 || batch_.queued() == 0 || batch_.queued() < max_prefetch_) return false;
  return backend_is_idle() || (shared_.evaluation.info.cpu && !lock_.try_lock());
}

std::uint32_t Worker::out_of_order_cap() const {
  const float factor = shared_.situation.params.max_out_of_order_evals_factor;
  return static_cast<std::uint32_t>(std::max(1.0f, factor * static_cast<float>(shared_.target)));
}

bool Worker::has_room() const {
  if (shared_.stop || waiting_ >= target_ || out_of_order_ >= out_of_order_cap() || allowance_ == 0 || barren_ >= kMostBarren) return false;
  if (shared_.room() == 0) return false;
  return waiting_ == 0 || (batch_.queued() > 0 && !backend_is_idle());
}

// Without the lock: the new leaves go into the batch. Out-of-order evaluation: what needs no network counts at once.
void Worker::expand() {
  first_ = batch_.leaves().size();
  for (Pick& pick : picks_.all) {
    if (pick.is_collision) continue;
    const Pick taken = pick;
    pick.node = nullptr;  // now the batch answers for it
    batch_.add(taken, picks_.line_to(taken), picks_.links_of(taken));
  }
}

// The collisions of a descent that is followed by out-of-order backups are void, for the tree has changed. One that took
// the whole descent would take the next ones too: it is enlarged as far as that is certain.
void Worker::settle() {
  const auto leaves = std::span(batch_.leaves()).subspan(first_);
  waiting_ += static_cast<std::uint32_t>(leaves.size());
  barren_ += leaves.empty();
  bool are_void = false;
  for (Leaf& leaf : leaves) {
    if (!shared_.situation.params.out_of_order_eval || !is_ready(leaf)) continue;
    finish(leaf);
    are_void = true;
    --waiting_;
    ++out_of_order_;
  }
  for (Pick& pick : picks_.all) {
    if (!pick.is_collision) continue;
    if (are_void) {
      cancel(pick.node->parent, picks_.way(pick), pick.visits);
      continue;
    }
    const auto most = static_cast<std::uint32_t>(std::min<std::int64_t>(pick.limit, allowance_));
    if (most > pick.visits) {
      Ascent way = picks_.way(pick);
      for (Node* node = pick.node->parent; node; node = way.above(node)) node->in_flight += most - pick.visits;
      pick.visits = most;
    }
    allowance_ = std::max<std::int64_t>(0, allowance_ - pick.visits);
    shared_.collisions.take(pick, picks_.links_of(pick));
  }
  picks_.clear();
  first_ = batch_.leaves().size();
}

bool Worker::backend_is_idle() const {
  const FixedParams& params = shared_.situation.params;
  return shared_.workers > 1 && batch_.queued() > params.idling_minimum_work &&
         shared_.workers - shared_.evaluating > params.thread_idling_threshold;
}

// A GPU fills a small batch for nothing; a processor pays for each position, and most that are wished are not visited.
void Worker::prefetch() {
  const nn::Info& info = shared_.evaluation.info;
  const int most = info.cpu ? 0 : std::min(max_prefetch_, info.max_batch);
  if (batch_.queued() == 0 || batch_.queued() >= most || shared_.stop) return;
  const auto wishes = prefetch_wishes(shared_.situation, most - batch_.queued());
  lock_.unlock();
  for (const auto& line : wishes) batch_.prefetch(line);
  lock();
}

// While a worker is in the back end.
struct Inside {
  explicit Inside(Shared& shared) : shared(shared) {
    ++shared.evaluating;
    shared.meter.enter();
  }
  ~Inside() {
    shared.meter.leave();
    --shared.evaluating;
  }
  Shared& shared;
};

void Worker::evaluate() {
  if (batch_.queued() == 0) return;
  const auto start = Clock::now();
  {
    const Inside inside(shared_);
    if (lock_) lock_.unlock();
    batch_.evaluate(session_);
  }
  const auto took = Clock::now() - start;
  lock();
  shared_.keep_pace(batch_.queued(), took);
  shared_.stats.evaluations += static_cast<std::uint64_t>(batch_.queued());
  ++shared_.stats.evaluated_batches;
}

void Worker::finish(Leaf& leaf) {
  Situation& situation = shared_.situation;
  Node* node = leaf.node;
  if (leaf.state == Leaf::State::kTerminal) {
    if (leaf.kind == Terminal::kTablebase) {
      leaf.outcome.m = std::max(0.0f, node->parent->m - 1);
      ++shared_.stats.tb_hits;
    }
    make_terminal(node, leaf.kind, leaf.outcome);
  } else if (leaf.state == Leaf::State::kEvaluated) {
    grow(leaf);
    if (leaf.depth == 0) situation.apply_root_filter();
  }
  if (leaf.repetition.height > 0) {  // what counts for this way alone counts for the edge, not for the position
    Ascent way(leaf.links);
    Node* above = node;
    for (int height = 0; height < leaf.repetition.height; height += !above->is_shared) above = way.above(above);
    situation.tree->share(above);
  }
  back_up(node, Ascent(leaf.links), leaf.outcome, leaf.repetition, situation.params.sticky_endgames);
  leaf.state = Leaf::State::kDone;
  --shared_.on_their_way;
  Stats& stats = shared_.stats;
  ++stats.playouts;
  stats.cache_hits += leaf.is_cached;
  stats.depth_sum += static_cast<std::uint64_t>(leaf.depth) + 1;
  stats.max_depth = std::max(stats.max_depth, leaf.depth + 1);
}

// Gives an evaluated leaf its moves, or what is known of its position. A leaf with visits was a repetition on other ways: they are not
// the position's.
void Worker::grow(Leaf& leaf) {
  Tree& tree = *shared_.situation.tree;
  const auto set_edges = [&](Node* node) { tree.set_edges(node, batch_.edges(leaf), leaf.edge_count, leaf.graph_key); };
  Node* known = shared_.situation.params.graph == Graph::kOn ? tree.find(leaf.graph_key, leaf.edge_count) : nullptr;
  if (!known && leaf.node->n == 0) return set_edges(leaf.node);
  if (!known) {
    known = tree.make_position();
    set_edges(known);
    known->n = 1;
    known->wl = leaf.outcome.wl;
    known->d = leaf.outcome.d;
    known->m = leaf.outcome.m;
  }
  tree.link(leaf.node, tree.share(known));
}

// Gives back everything this iteration has in flight.
void Worker::abandon() {
  if (!lock_) lock();
  for (Leaf& leaf : batch_.leaves()) {
    if (!leaf.node || leaf.state == Leaf::State::kDone) continue;
    cancel(leaf.node, Ascent(leaf.links), 1);
    --shared_.on_their_way;
  }
  for (const Pick& pick : picks_.all) {
    if (!pick.node) continue;
    cancel(pick.is_collision ? pick.node->parent : pick.node, picks_.way(pick), pick.visits);
    shared_.on_their_way -= !pick.is_collision;
  }
  batch_.clear();
  picks_.clear();
}

void Worker::throttle() {
  const float limit = shared_.situation.params.nodes_per_second_limit;
  const auto is_too_fast = [&] {
    const std::chrono::duration<double> elapsed = Clock::now() - shared_.first_batch;
    return static_cast<double>(shared_.stats.playouts) > limit * elapsed.count();
  };
  while (limit > 0 && !shared_.stop && is_too_fast()) {
    lock_.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock();
  }
}

// Memory for the tree, made ready before it is needed under the lock.
void Worker::stock_up() {
  Pool& pool = shared_.situation.tree->pool();
  if (!pool.wants_block()) return;
  lock_.unlock();
  nn::Pages block = Pool::make_block();
  lock();
  pool.add_block(std::move(block));
}

}  // namespace search
