#include "search/shared.h"

#include <algorithm>
#include <limits>

#include "search/rank.h"

namespace search {
namespace {

constexpr double kSilenceMs = 5000;  // news are due after this long whatever happened

double ms_since(Clock::time_point start, Clock::time_point now) {
  return start == Clock::time_point{} ? 0 : std::chrono::duration<double, std::milli>(now - start).count();
}

int workers_of(const Params& params, const nn::Info& info) {
  return params.threads > 0 ? params.threads : std::max(1, info.threads + (info.cpu ? 0 : 1));
}

std::uint32_t target_of(const Params& params, const nn::Info& info) {
  const int target = params.minibatch_size > 0 ? params.minibatch_size : info.best_batch;
  return static_cast<std::uint32_t>(std::clamp(target, 1, std::max(1, info.max_batch)));
}

}  // namespace

Shared::Shared(std::mutex& lock, std::condition_variable& changed, const chess::History& game, Situation situation,
               const Params& params, const Limits& limits, const Evaluation& evaluation, Pace& pace)
    : game(game), limits(limits), evaluation(evaluation),
      clock_start(Clock::now() - std::chrono::milliseconds(limits.elapsed_ms)),
      target(target_of(params, evaluation.info)), lock(lock), live(params), changed(changed), situation(std::move(situation)), pace(pace),
      stoppers(this->situation.params, limits, evaluation.cache->capacity()), workers(workers_of(params, evaluation.info)) {}

void Shared::end(StopReason why) {
  if (reason == StopReason::kNone) reason = why;
  if (situation.tree->root()->n == 0) return;
  stop = true;
  changed.notify_all();
  progress.notify_all();
}

void Shared::abort(StopReason why) {
  if (reason == StopReason::kNone || why == StopReason::kError) reason = why;
  stop = true;
  changed.notify_all();
  progress.notify_all();
}

double Shared::time_left_ms() const { return stoppers.time_limit_ms() - ms_since(clock_start, Clock::now()); }

double Shared::positions_in_time() const {
  if (!evaluation.info.cpu || pace == 0) return std::numeric_limits<double>::infinity();
  return time_left_ms() / pace;
}

std::uint32_t Shared::batch_target() const {
  return static_cast<std::uint32_t>(std::clamp(positions_in_time(), 1.0, static_cast<double>(target)));
}

// A slower one counts at once, a faster one by and by: what was late once may be late again.
void Shared::keep_pace(int positions, Clock::duration took) {
  const double now = std::chrono::duration<double, std::milli>(took).count() / positions;
  pace = now > pace ? now : pace + (now - pace) / 4;
}

void Shared::check_limits() {
  take_times();
  if (situation.tree->root()->n > 0) {
    const StopReason why = stoppers.check(situation, stats);
    if (why != StopReason::kNone || reason != StopReason::kNone) end(why);
  }
  look_for_news();
}

void Shared::after_batch() {
  const auto now = Clock::now();
  ++stats.batches;
  if (first_batch == Clock::time_point{}) first_batch = now;
  cancel_collisions();
  const Move best = best_move(situation, situation.tree->root(), 0);
  situation.best = best.n() > 0 ? best.node : nullptr;
  check_limits();
  if (positions_in_time() < 0.5) end(StopReason::kTime);  // the next one would be late
  progress.notify_all();
}

void Shared::cancel_collisions() {
  for (const Pick& pick : collisions.all) cancel(pick.node->parent, collisions.way(pick), pick.visits);
  collisions.clear();
}

std::uint32_t Shared::room() const {
  return static_cast<std::uint32_t>(std::max(0.0, std::min(stoppers.visits_left(situation, stats) - on_their_way, 4e9)));
}

void Shared::take_times() {
  const auto now = Clock::now();
  stats.elapsed_ms = ms_since(clock_start, now);
  stats.since_first_batch_ms = ms_since(first_batch, now);
}

void Shared::look_for_news() {
  if (situation.tree->root()->n == 0) return;
  if (situation.best == told_best_ && stats.depth() == told_depth_ && stats.max_depth == told_max_depth_ &&
      stats.elapsed_ms - told_ms_ < kSilenceMs)
    return;
  told_best_ = situation.best;
  told_depth_ = stats.depth();
  told_max_depth_ = stats.max_depth;
  told_ms_ = stats.elapsed_ms;
  news = true;
  changed.notify_all();
}

}  // namespace search
