// When a search ends (docs/spec/engine.md 3.5, 4.17). Stoppers are asked after every batch and by the watchdog, under the tree lock.
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "search/results.h"
#include "search/select.h"

namespace search {

struct Stats {
  std::uint64_t playouts = 0;
  std::uint64_t depth_sum = 0;      // of the leaves, root = 1
  int max_depth = 0;
  std::uint64_t evaluations = 0;    // by the network
  std::uint64_t evaluated_batches = 0;  // that held some
  std::uint64_t cache_hits = 0;     // playouts whose evaluation the cache had
  std::uint64_t tb_hits = 0;        // probes of tables that answered; the ranking of the root's moves is one
  std::uint64_t batches = 0;        // those of cached and terminal leaves too
  double elapsed_ms = 0;            // since the clock start
  double since_first_batch_ms = 0;  // 0 before it

  int depth() const { return playouts ? std::max<int>(1, static_cast<int>(depth_sum / playouts)) : 1; }
};

// What stoppers tell each other and the search.
struct Hints {
  double remaining_ms = std::numeric_limits<double>::infinity(), time_limit_ms = std::numeric_limits<double>::infinity();
  double remaining_playouts = std::numeric_limits<double>::infinity();
  double published_playouts = std::numeric_limits<double>::infinity();  // smart pruning's estimate, for gathering
};

class Stopper {
 public:
  virtual ~Stopper() = default;
  virtual StopReason check(const Situation& situation, const Stats& stats, Hints& hints) = 0;
  virtual double visits_left(const Situation&, const Stats&) const { return std::numeric_limits<double>::infinity(); }
};

class Stoppers {
 public:
  Stoppers(const FixedParams& params, const Limits& limits, std::size_t cache_size);
  // Also publishes the remaining playouts in the situation.
  StopReason check(Situation& situation, const Stats& stats);
  double remaining_ms() const { return remaining_ms_; }
  double time_limit_ms() const { return time_limit_ms_; }  // since the clock start, with the bank if that is in use; infinity without one
  double visits_left(const Situation& situation, const Stats& stats) const;  // to the nearest limit of visits

 private:
  std::vector<std::unique_ptr<Stopper>> stoppers_;
  double remaining_ms_ = std::numeric_limits<double>::infinity(), time_limit_ms_ = std::numeric_limits<double>::infinity();
};

}  // namespace search
