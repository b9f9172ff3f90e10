// One search thread: gather a batch, evaluate it, back it up, again (docs/spec/engine.md 4.5, 4.6). The tree lock is held from the backup
// of one batch to the first descent of the next and let go while positions are replayed, encoded and evaluated.
#pragma once
#include <mutex>

#include "search/batch.h"
#include "search/select.h"
#include "search/shared.h"

namespace search {

class Worker {
 public:
  Worker(Shared& shared, nn::Evaluator::Lease& session)
      : shared_(shared), session_(session), selector_(shared.situation), batch_(shared.evaluation, shared.game) {}
  void work();  // until the search stops; throws what the back end throws, with nothing left in flight

 private:
  void lock();
  void iterate();
  void gather();
  bool has_room() const;
  std::uint32_t out_of_order_cap() const;
  void expand();
  bool may_go_ahead();
  void settle();
  bool backend_is_idle() const;
  void prefetch();
  void evaluate();
  void finish(Leaf& leaf);
  void grow(Leaf& leaf);
  void abandon();
  void throttle();
  void stock_up();

  Shared& shared_;
  nn::Evaluator::Lease& session_;
  Selector selector_;
  Batch batch_;
  std::unique_lock<std::mutex> lock_{shared_.lock, std::defer_lock};
  Picks picks_;                 // of the latest descent, until it is settled
  std::size_t first_ = 0;       // leaf of it
  std::int64_t allowance_ = 0;  // collision visits left to this iteration
  int barren_ = 0;              // its descents that found nothing but collisions
  std::uint32_t target_ = 1;    // leaves of this batch
  std::uint32_t waiting_ = 0;   // leaves to be backed up at its end
  std::uint32_t out_of_order_ = 0;
  int max_prefetch_ = 0;        // of this iteration: read under the lock, used without it
};

}  // namespace search
