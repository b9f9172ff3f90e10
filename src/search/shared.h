// What the threads of one search share.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "search/batch.h"
#include "search/meter.h"
#include "search/stoppers.h"

namespace search {

using Clock = std::chrono::steady_clock;

// Milliseconds that a position has lately taken a thread in the back end, as the machine is loaded; 0 before it is known. It goes on from
// search to search.
using Pace = double;

struct Shared {
  Shared(std::mutex& lock, std::condition_variable& changed, const chess::History& game, Situation situation, const Params& params,
         const Limits& limits, const Evaluation& evaluation, Pace& pace);

  // Fixed.
  const chess::History& game;
  const Limits limits;
  const Evaluation evaluation;
  const Clock::time_point clock_start;
  const std::uint32_t target;        // leaves of a batch

  // Under the tree lock, the parameters that the user may change meanwhile and the progress of the search.
  std::mutex& lock;
  LiveParams live;
  std::condition_variable& changed;  // news, or the end
  std::condition_variable progress;  // a backup: idle workers may find work again
  Situation situation;
  Stats stats;
  Pace& pace;
  Clock::time_point first_batch{};   // when it was backed up
  Stoppers stoppers;
  Picks collisions;                  // in flight until the next backup
  std::uint32_t on_their_way = 0;    // visits that workers have claimed and not yet backed up
  StopReason reason = StopReason::kNone;
  const Edge* chosen = nullptr;      // the move at the root, once the search has ended
  std::string error;
  bool news = false;                 // worth an info line
  bool stop_asked = false;           // by the user
  bool done = false;

  // At any time.
  std::atomic<bool> stop{false};     // workers leave
  std::atomic<int> workers;          // that search; fewer than were wished where no more can be had
  std::atomic<int> evaluating{0};    // workers in the back end
  Meter meter;                       // how long there were any

  // The caller of these holds the tree lock.
  void end(StopReason why);          // the first reason counts; the root gets its first visit all the same
  void abort(StopReason why);        // at once
  void check_limits();
  std::uint32_t room() const;        // visits that may still be claimed before a limit of visits is exceeded
  std::uint32_t batch_target() const;  // leaves of the next batch: `target`, on a processor no more than there is time for
  double time_left_ms() const;       // of a limit of time; infinite without one
  double positions_in_time() const;  // that a thread can still evaluate; infinity where that is not known
  void keep_pace(int positions, Clock::duration took);
  void after_batch();
  void cancel_collisions();

 private:
  void take_times();
  void look_for_news();

  const Node* told_best_ = nullptr;
  int told_depth_ = 0, told_max_depth_ = 0;
  double told_ms_ = 0;
};

}  // namespace search
