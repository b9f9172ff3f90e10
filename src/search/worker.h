// One search thread: gather a batch, evaluate it, back it up, again (engine.md 4.5, 4.6).
#pragma once
#include "search/batch.h"
#include "search/select.h"
#include "search/shared.h"

namespace search {

class Worker {
 public:
  Worker(Shared& shared, nn::Session& session)
      : shared_(shared), session_(session), selector_(shared.situation), batch_(shared.evaluation, shared.game) {}
  void work();  // until the search stops; throws what the back end throws, with nothing left in flight

 private:
  void iterate();
  void gather();
  void descend(std::uint32_t budget);
  bool back_up_ready(std::size_t first);
  void keep_collisions();
  bool backend_is_idle() const;
  void prefetch();
  void finish();
  void finish(Leaf& leaf);
  void abandon();
  void throttle();

  Shared& shared_;
  nn::Session& session_;
  Selector selector_;
  Batch batch_;
  std::vector<Pick> picks_;       // of the latest descent, until they are in the batch or among the collisions
  std::vector<Pick> collisions_;  // of this iteration
  std::int64_t allowance_ = 0;    // collision visits left to this iteration
  std::uint32_t waiting_ = 0;     // leaves to be backed up at its end
  std::uint32_t out_of_order_ = 0;
};

}  // namespace search
