#include "nn/evaluator.h"

#include <algorithm>

namespace nn {

Evaluator::~Evaluator() {
  if (home_.is_here()) return;
  for (auto& session : idle_) session.release();  // its threads cannot be joined here
  backend_.release();
}

Evaluator::Lease Evaluator::open() {
  home_.check("network");
  const process::Work work;
  if (const std::lock_guard lock(mutex_); !idle_.empty()) {
    auto session = std::move(idle_.back());
    idle_.pop_back();
    return {*this, std::move(session)};
  }
  return {*this, backend_->open()};
}

Evaluator::Lease::~Lease() {
  if (!session_) return;
  session_->rest();
  const std::lock_guard lock(owner_->mutex_);
  owner_->idle_.push_back(std::move(session_));
}

void Evaluator::Lease::evaluate(const Batch& batch, const std::function<void()>& between) {
  owner_->home_.check("network");
  const int most = owner_->info().max_batch;
  try {
    for (int begin = 0; begin < batch.size; begin += most) {
      if (begin > 0 && between) between();
      const process::Work work;
      session_->evaluate(batch.part(begin, std::min(most, batch.size - begin)));
    }
  } catch (...) {
    session_.reset();
    throw;
  }
}

}  // namespace nn
