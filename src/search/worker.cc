#include "search/worker.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <thread>

#include "search/backup.h"
#include "search/prefetch.h"

namespace search {
namespace {

// Collisions are cheap for a big tree and ruinous for a small one.
std::int64_t collision_allowance(const Situation& situation) {
  const Params& params = situation.params;
  const double most = params.max_collision_visits;
  const double start = params.max_collision_visits_scaling_start, end = params.max_collision_visits_scaling_end;
  const auto n = static_cast<double>(std::min<std::int64_t>(situation.tree->root()->n, situation.remaining_playouts));
  if (n >= end) return params.max_collision_visits;
  if (n <= start) return 1;
  const double grown = std::pow((n - start) / (end - start), static_cast<double>(params.max_collision_visits_scaling_power));
  return std::llround(1 + (most - 1) * grown);
}

}  // namespace

void Worker::work() {
  while (!shared_.stop) {
    try {
      iterate();
    } catch (...) {
      abandon();
      throw;
    }
  }
}

void Worker::iterate() {
  gather();
  if (waiting_ == 0 && out_of_order_ == 0) {  // every leaf is in another worker's hands
    abandon();
    std::unique_lock lock(shared_.lock);
    if (!shared_.stop) shared_.progress.wait_for(lock, std::chrono::milliseconds(10));
    return;
  }
  if (shared_.stop) return abandon();
  if (batch_.queued() > 0) {
    ++shared_.evaluating;
    try {
      batch_.evaluate(session_);
    } catch (...) {
      --shared_.evaluating;
      throw;
    }
    --shared_.evaluating;
  }
  finish();
  throttle();
}

void Worker::gather() {
  batch_.clear();
  collisions_.clear();
  waiting_ = out_of_order_ = 0;
  const Params& params = shared_.situation.params;
  const auto cap = static_cast<std::uint32_t>(
      std::max(1.0f, params.max_out_of_order_evals_factor * static_cast<float>(shared_.target)));
  allowance_ = -1;
  while (waiting_ < shared_.target && out_of_order_ < cap && allowance_ != 0) {
    if (waiting_ > 0 && (batch_.queued() == 0 || backend_is_idle())) break;
    descend(std::min(shared_.target - waiting_, cap - out_of_order_));
    const std::size_t first = batch_.leaves().size();
    for (Pick& pick : picks_) {
      if (pick.is_collision) continue;
      const Pick taken = pick;
      pick.node = nullptr;  // now the batch answers for it
      batch_.add(taken);
      ++waiting_;
    }
    if (!params.out_of_order_eval || !back_up_ready(first)) keep_collisions();
    picks_.clear();
    if (shared_.stop) break;
  }
  prefetch();
}

void Worker::descend(std::uint32_t budget) {
  picks_.clear();
  const std::lock_guard lock(shared_.lock);
  if (allowance_ < 0) allowance_ = collision_allowance(shared_.situation);
  selector_.descend(static_cast<std::uint32_t>(std::min<std::int64_t>(budget, allowance_)), picks_);
}

// Out-of-order evaluation: what needs no network counts at once. True if there was any; then the collisions of this descent are
// void, for the tree has changed.
bool Worker::back_up_ready(std::size_t first) {
  const auto is_ready = [](const Leaf& leaf) {
    return leaf.state == Leaf::State::kRevisit || leaf.state == Leaf::State::kTerminal || leaf.state == Leaf::State::kEvaluated;
  };
  const auto leaves = std::span(batch_.leaves()).subspan(first);
  if (std::ranges::none_of(leaves, is_ready)) return false;
  const std::lock_guard lock(shared_.lock);
  for (Leaf& leaf : leaves) {
    if (!is_ready(leaf)) continue;
    finish(leaf);
    --waiting_;
    ++out_of_order_;
  }
  for (const Pick& pick : picks_)
    if (pick.is_collision) cancel(pick.node->parent, pick.visits);
  return true;
}

// A collision that took the whole descent would take the next ones too: it is enlarged as far as that is certain.
void Worker::keep_collisions() {
  const std::lock_guard lock(shared_.lock);
  for (Pick& pick : picks_) {
    if (!pick.is_collision) continue;
    const auto most = static_cast<std::uint32_t>(std::min<std::int64_t>(pick.limit, allowance_));
    if (most > pick.visits) {
      for (Node* node = pick.node->parent; node; node = node->parent) node->in_flight += most - pick.visits;
      pick.visits = most;
    }
    allowance_ = std::max<std::int64_t>(0, allowance_ - pick.visits);
    collisions_.push_back(pick);
  }
}

bool Worker::backend_is_idle() const {
  const Params& params = shared_.situation.params;
  return shared_.workers > 1 && batch_.queued() > params.idling_minimum_work &&
         shared_.workers - shared_.evaluating > params.thread_idling_threshold;
}

void Worker::prefetch() {
  std::vector<Wish> wishes;
  {
    const std::lock_guard lock(shared_.lock);
    shared_.collisions.insert(shared_.collisions.end(), collisions_.begin(), collisions_.end());
    collisions_.clear();
    const int most = std::min(shared_.situation.params.max_prefetch, shared_.evaluation.info.max_batch);
    if (batch_.queued() > 0 && batch_.queued() < most && !shared_.stop)
      wishes = prefetch_wishes(shared_.situation, most - batch_.queued());
  }
  for (const Wish& wish : wishes) batch_.prefetch(wish.parent, wish.move);
}

void Worker::finish() {
  const std::lock_guard lock(shared_.lock);
  shared_.stats.evaluations += static_cast<std::uint64_t>(batch_.queued());
  shared_.stats.evaluated_batches += batch_.queued() > 0;
  for (Leaf& leaf : batch_.leaves())
    if (leaf.node && leaf.state != Leaf::State::kDone) finish(leaf);
  shared_.after_batch();
}

void Worker::finish(Leaf& leaf) {
  Situation& situation = shared_.situation;
  Node* node = leaf.node;
  if (leaf.state == Leaf::State::kTerminal) {
    make_terminal(node, leaf.kind, leaf.outcome);
  } else if (leaf.state == Leaf::State::kEvaluated) {
    situation.tree->set_edges(node, batch_.edges(leaf), leaf.edge_count);
    if (leaf.depth == 0) situation.apply_root_filter();
  }
  back_up(node, leaf.outcome, situation.params.sticky_endgames);
  leaf.state = Leaf::State::kDone;
  Stats& stats = shared_.stats;
  ++stats.playouts;
  stats.depth_sum += static_cast<std::uint64_t>(leaf.depth) + 1;
  stats.max_depth = std::max(stats.max_depth, leaf.depth + 1);
}

// Gives back everything this iteration has in flight.
void Worker::abandon() {
  const std::lock_guard lock(shared_.lock);
  for (Leaf& leaf : batch_.leaves())
    if (leaf.node && leaf.state != Leaf::State::kDone) cancel(leaf.node, 1);
  for (const Pick& pick : picks_)
    if (pick.node) cancel(pick.is_collision ? pick.node->parent : pick.node, pick.visits);
  for (const Pick& pick : collisions_) cancel(pick.node->parent, pick.visits);
  batch_.clear();
  picks_.clear();
  collisions_.clear();
}

void Worker::throttle() {
  const float limit = shared_.situation.params.nodes_per_second_limit;
  const auto is_too_fast = [&] {
    const std::lock_guard lock(shared_.lock);
    const std::chrono::duration<double> elapsed = Clock::now() - shared_.first_batch;
    return static_cast<double>(shared_.stats.playouts) > limit * elapsed.count();
  };
  while (limit > 0 && !shared_.stop && is_too_fast()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace search
