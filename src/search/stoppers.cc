#include "search/stoppers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "search/rank.h"

namespace search {
namespace {

constexpr double kMostVisits = 4e9;

// Root visits, those of earlier searches included, or new playouts.
class Visits : public Stopper {
 public:
  Visits(double limit, bool new_only) : limit_(limit), new_only_(new_only) {}
  StopReason check(const Situation& situation, const Stats& stats, Hints& hints) override {
    const double left = visits_left(situation, stats);
    hints.remaining_playouts = std::min(hints.remaining_playouts, std::max(left, 0.0));
    return left <= 0 ? StopReason::kNodes : StopReason::kNone;
  }
  double visits_left(const Situation& situation, const Stats& stats) const override {
    const std::uint32_t visits = situation.tree->root()->n;
    const double left = limit_ - (new_only_ ? static_cast<double>(stats.playouts) : visits);
    return visits == 0 ? std::max(left, 1.0) : left;  // without one there is no move
  }

 private:
  double limit_;
  bool new_only_;
};

// Whether the root's most visited move may yet be another.
class Unsettled {
 public:
  explicit Unsettled(const Bank& bank) : bank_(bank) {}

  bool operator()(const Situation& situation, const Stats& stats, double left_ms) {
    const Node* root = situation.tree->root();
    const float draw_score = situation.draw_score.at(0);
    const MovesLeftUtility moves_left(situation.params, *root, situation.has_moves_left);
    std::vector<double> now;
    std::size_t most_visited = 0, best = 0;
    float best_utility = -std::numeric_limits<float>::infinity();
    for (Children c(root); c; ++c) {
      const bool counts = c->n > 0 && situation.is_allowed(c.index());
      now.push_back(counts ? c->n : 0);
      if (!counts) continue;
      if (now.back() > now[most_visited]) most_visited = now.size() - 1;
      const auto q = static_cast<float>(c->q(draw_score));
      if (const float utility = q + moves_left(*c, q); utility > best_utility) {
        best_utility = utility;
        best = now.size() - 1;
      }
    }
    if (recent_.visits.empty()) older_ = recent_ = {stats.elapsed_ms, now};
    if (stats.elapsed_ms - recent_.ms >= bank_.trend_ms) older_ = std::exchange(recent_, {stats.elapsed_ms, now});
    if (stats.since_first_batch_ms < bank_.force_ms || most_visited != best) return true;
    const double window = stats.elapsed_ms - older_.ms;
    const auto expected = [&](std::size_t i, double optimism) {
      const double before = i < older_.visits.size() ? older_.visits[i] : 0;
      return now[i] + (window > 0 ? optimism * (now[i] - before) / window * left_ms : 0);
    };
    for (std::size_t i = 0; i < now.size(); ++i)
      if (i != best && expected(i, bank_.overtaker_optimism) > expected(best, bank_.best_optimism)) return true;
    return false;
  }

 private:
  struct Snapshot {
    double ms = 0;
    std::vector<double> visits;  // of the root's children
  };
  Bank bank_;
  Snapshot older_, recent_;
};

class Time : public Stopper {
 public:
  Time(double limit_ms, const Bank& bank) : limit_ms_(limit_ms), bank_ms_(bank.ms), is_unsettled_(bank) {}
  StopReason check(const Situation& situation, const Stats& stats, Hints& hints) override {
    const double most = limit_ms_ + bank_ms_;
    hints.time_limit_ms = bank_ms_ > 0 && is_unsettled_(situation, stats, most - stats.elapsed_ms) ? most : limit_ms_;
    const double left = hints.time_limit_ms - stats.elapsed_ms;
    hints.remaining_ms = std::min(hints.remaining_ms, std::max(left, 0.0));
    return left <= 0 ? StopReason::kTime : StopReason::kNone;
  }

 private:
  double limit_ms_, bank_ms_;
  Unsettled is_unsettled_;
};

// Gives smart pruning the caller's guess of the time left; stops nothing.
class TimeGuess : public Stopper {
 public:
  explicit TimeGuess(double end_ms) : end_ms_(end_ms) {}
  StopReason check(const Situation&, const Stats& stats, Hints& hints) override {
    hints.remaining_ms = std::min(hints.remaining_ms, std::max(end_ms_ - stats.elapsed_ms, 0.0));
    return StopReason::kNone;
  }

 private:
  double end_ms_;
};

// The moves that may be searched.
int count_moves(const Situation& situation) {
  int moves = 0;
  for (int i = 0; i < situation.tree->root()->edge_count; ++i) moves += situation.is_allowed(i);
  return moves;
}

// A move wins, or what comes of every move is known: visits go no deeper, and find nothing.
bool is_solved(const Situation& situation) {
  const Node* root = situation.tree->root();
  int open = count_moves(situation);
  for (Children c(root); c; ++c) {
    if (c->n == 0 || !c->is_terminal() || !situation.is_allowed(c.index())) continue;
    if (c->wl > 0) return true;
    --open;
  }
  return root->n > 0 && open == 0;
}

// The best line ends the game.
bool is_played_out(const Situation& situation) {
  const Node* node = situation.tree->root();
  for (int depth = 0; !node->is_terminal(); ++depth) {
    const Move move = best_move(situation, node, depth);
    if (move.n() == 0) return false;
    node = move.node;
  }
  return true;
}

// An average depth, or one that the search will not reach: its line ends before, and ten times as many visits went no deeper.
class Depth : public Stopper {
 public:
  explicit Depth(std::int64_t limit) : limit_(limit) {}
  StopReason check(const Situation& situation, const Stats& stats, Hints&) override {
    constexpr std::uint64_t kTimes = 10, kFew = 1000;
    if (stats.depth() > depth_) depth_ = stats.depth(), visits_ = std::max(stats.playouts, kFew);
    const bool stands = stats.playouts >= kTimes * visits_ && is_played_out(situation);
    return (stats.playouts && depth_ >= limit_) || stands || is_solved(situation) ? StopReason::kDepth : StopReason::kNone;
  }

 private:
  std::int64_t limit_, depth_ = 0;
  std::uint64_t visits_ = 0;  // with which it was reached
};

// A root move that mates in at most so many moves.
class Mate : public Stopper {
 public:
  explicit Mate(std::int64_t moves) : moves_(moves) {}
  StopReason check(const Situation& situation, const Stats&, Hints&) override {
    for (Children c(situation.tree->root()); c; ++c)
      if (c->n > 0 && c->terminal == Terminal::kEnd && c->wl == 1 && std::lround(c->m) / 2 + 1 <= moves_) return StopReason::kMate;
    return StopReason::kNone;
  }

 private:
  std::int64_t moves_;
};

// The memory of a tree is guessed from its visits, with 30 moves a position; that of a graph, where a visit may need none, is known.
class Ram : public Stopper {
 public:
  Ram(int limit_mb, std::size_t cache_size) : limit_(limit_mb * 1e6), cache_(static_cast<double>(cache_size) * 140) {}
  StopReason check(const Situation& situation, const Stats&, Hints& hints) override {
    constexpr double kNodeBytes = sizeof(Node) + 30 * sizeof(Edge);
    const Tree& tree = *situation.tree;
    const double used = tree.is_graph() ? static_cast<double>(tree.in_use()) / kNodeBytes : tree.root()->n;
    const double left = (limit_ - cache_) / kNodeBytes - used;
    hints.remaining_playouts = std::min(hints.remaining_playouts, std::max(left, 0.0));
    return left <= 0 ? StopReason::kRam : StopReason::kNone;
  }

 private:
  double limit_, cache_;
};

// The search has settled: its distribution of visits hardly changes.
class Kld : public Stopper {
 public:
  Kld(int interval, double minimum) : interval_(interval), minimum_(minimum) {}
  StopReason check(const Situation& situation, const Stats&, Hints&) override {
    std::vector<double> now;
    double sum = 0;
    for (Children c(situation.tree->root()); c; ++c) {
      now.push_back(c->n);
      sum += c->n;
    }
    if (sum < sum_ + interval_) return StopReason::kNone;
    double gain = 0;
    for (std::size_t i = 0; i < before_.size() && sum_ > 0; ++i)
      if (before_[i] > 0) gain += before_[i] / sum_ * std::log(before_[i] / sum_ / (now[i] / sum));
    const bool settled = sum_ > 0 && gain / (sum - sum_) < minimum_;
    before_ = std::move(now);
    sum_ = sum;
    return settled ? StopReason::kKld : StopReason::kNone;
  }

 private:
  double interval_, minimum_;
  std::vector<double> before_;
  double sum_ = 0;
};

// No other move can catch up, or nothing is left to find out.
class SmartPruning : public Stopper {
 public:
  explicit SmartPruning(const FixedParams& params) : params_(params) {}

  StopReason check(const Situation& situation, const Stats& stats, Hints& hints) override {
    const Node* root = situation.tree->root();
    if (root->n == 0) return StopReason::kNone;
    const int moves = count_moves(situation);
    int lost = 0;
    bool won = false, hopeless = true;
    std::uint32_t first = 0, second = 0;
    for (Children c(root); c; ++c) {
      if (c->n == 0 || !situation.is_allowed(c.index())) continue;
      if (c->is_terminal() && c->wl > 0) won = true;
      if (c->is_terminal() && c->wl < 0) ++lost;
      if (c->q(situation.draw_score.at(0)) > -0.98) hopeless = false;
      if (c->n > first) {
        second = first;
        first = c->n;
      } else {
        second = std::max(second, c->n);
      }
    }
    // A lost position is searched on, for the longest defence.
    if (moves == 1 || won || moves <= lost + (hopeless ? 0 : 1)) return StopReason::kSmartPruning;

    constexpr double kPatienceMs = 200, kHeadStart = 300;
    if (stats.since_first_batch_ms < kPatienceMs) return StopReason::kNone;
    const double nps = params_.nodes_per_second_limit > 0
                           ? params_.nodes_per_second_limit
                           : 1000 * (static_cast<double>(stats.playouts) + kHeadStart) / stats.since_first_batch_ms + 1;
    const double remaining =
        std::min(hints.remaining_ms / 1000 * nps, hints.remaining_playouts) / params_.smart_pruning_factor;
    hints.published_playouts = remaining;
    const bool warm = stats.batches >= static_cast<std::uint64_t>(params_.smart_pruning_minimum_batches);
    return warm && remaining < static_cast<double>(first - second) ? StopReason::kSmartPruning : StopReason::kNone;
  }

 private:
  FixedParams params_;
};

}  // namespace

Stoppers::Stoppers(const FixedParams& params, const Limits& limits, std::size_t cache_size) {
  const auto add = [this](auto stopper) { stoppers_.push_back(std::make_unique<decltype(stopper)>(std::move(stopper))); };
  if (limits.time_ms) add(Time(time_limit_ms_ = static_cast<double>(*limits.time_ms), limits.bank));
  if (limits.remaining_ms) add(TimeGuess(static_cast<double>(limits.elapsed_ms + *limits.remaining_ms)));
  if (params.ram_limit_mb > 0) add(Ram(params.ram_limit_mb, cache_size));
  if (limits.nodes) add(Visits(static_cast<double>(*limits.nodes), params.nodes_as_playouts));
  if (limits.playouts) add(Visits(static_cast<double>(*limits.playouts), true));
  add(Visits(kMostVisits, false));
  if (limits.depth) add(Depth(*limits.depth));
  if (limits.mate) add(Mate(*limits.mate));
  if (limits.infinite || limits.mate) return;
  if (params.minimum_kld_gain > 0) add(Kld(params.kld_interval, params.minimum_kld_gain));
  // Who asks for visits alone wants that many, also where they cannot change the move any more.
  const bool visits_alone = (limits.nodes || limits.playouts) && !limits.time_ms && !limits.remaining_ms && !limits.depth;
  if (params.smart_pruning_factor > 0 && !visits_alone) add(SmartPruning(params));
}

double Stoppers::visits_left(const Situation& situation, const Stats& stats) const {
  double left = std::numeric_limits<double>::infinity();
  for (const auto& stopper : stoppers_) left = std::min(left, stopper->visits_left(situation, stats));
  return left;
}

StopReason Stoppers::check(Situation& situation, const Stats& stats) {
  Hints hints;
  StopReason reason = StopReason::kNone;
  for (const auto& stopper : stoppers_)
    if (const StopReason answer = stopper->check(situation, stats, hints); reason == StopReason::kNone) reason = answer;
  remaining_ms_ = hints.remaining_ms;
  time_limit_ms_ = hints.time_limit_ms;
  constexpr double kFar = 1e18;
  situation.remaining_playouts = static_cast<std::int64_t>(std::min(hints.published_playouts, kFar));
  return reason;
}

}  // namespace search
