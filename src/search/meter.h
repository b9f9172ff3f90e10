// How long at least one thread was in the back end, since the first one was: the rest of that time the back end was idle. Thread-safe.
#pragma once
#include <chrono>
#include <mutex>

namespace search {

class Meter {
 public:
  using Clock = std::chrono::steady_clock;
  struct Reading {
    double busy_ms = 0, span_ms = 0;  // span: to the last return, or to now while a thread is there
  };

  void enter() {
    const std::scoped_lock guard(mutex_);
    if (inside_++ > 0) return;
    since_ = Clock::now();
    if (first_ == Clock::time_point{}) first_ = since_;
  }
  void leave() {
    const std::scoped_lock guard(mutex_);
    if (--inside_ > 0) return;
    last_ = Clock::now();
    busy_ += last_ - since_;
  }
  Reading read() const {
    const std::scoped_lock guard(mutex_);
    const auto now = inside_ > 0 ? Clock::now() : last_;
    return {ms(busy_ + (inside_ > 0 ? now - since_ : Clock::duration{})), ms(now - first_)};
  }

 private:
  static double ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

  mutable std::mutex mutex_;
  int inside_ = 0;
  Clock::time_point first_{}, since_{}, last_{};
  Clock::duration busy_{};
};

}  // namespace search
