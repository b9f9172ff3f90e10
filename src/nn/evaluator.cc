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
  in_parts(batch, between, [&](const Batch& part, int) { session_->evaluate(part); });
}

void Evaluator::Lease::inspect(const Batch& batch, const Visit& visit) {
  in_parts(batch, nullptr, [&](const Batch& part, int first) {
    session_->inspect(part, {visit.wanted, [&](const std::string& name, int at, int count, float* values) {
                               return visit.see(name, first + at, count, values);
                             }});
  });
}

void Evaluator::Lease::in_parts(const Batch& batch, const std::function<void()>& between,
                                const std::function<void(const Batch& part, int first)>& work) {
  owner_->home_.check("network");
  const int most = owner_->info().max_batch;
  try {
    for (int begin = 0; begin < batch.size; begin += most) {
      if (begin > 0 && between) between();
      const process::Work busy;
      work(batch.part(begin, std::min(most, batch.size - begin)), begin);
    }
  } catch (...) {
    session_.reset();
    throw;
  }
}

}  // namespace nn
