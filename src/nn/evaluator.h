// A back end as its users hold it: batches of any size, sessions that serve the next user. Thread-safe.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "nn/backend.h"
#include "process.h"

namespace nn {

class Evaluator {
 public:
  explicit Evaluator(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  const Info& info() const { return backend_->info(); }
  std::vector<std::string> take_news() { return backend_->take_news(); }
  std::string plans() const { return backend_->plans(); }
  std::vector<Layer> layers() const { return backend_->layers(); }
  bool has_more_room() const { return backend_->has_more_room(); }

  // A session, for one thread at a time. One that has not failed goes back to the evaluator, which has to be there still.
  class Lease {
   public:
    Lease(Evaluator& owner, std::unique_ptr<Session> session) : owner_(&owner), session_(std::move(session)) {}
    Lease(Lease&&) = default;
    ~Lease();
    // In parts of at most max_batch, `between` being called before each but the first. Throws Error: from the back end, in a forked
    // process, and at the process's end.
    void evaluate(const Batch& batch, const std::function<void()>& between = nullptr);
    void inspect(const Batch& batch, const Visit& visit);  // likewise

   private:
    void in_parts(const Batch& batch, const std::function<void()>& between, const std::function<void(const Batch& part, int first)>& work);

    Evaluator* owner_;
    std::unique_ptr<Session> session_;
  };
  Lease open();

 private:
  const process::Home home_;
  std::unique_ptr<Backend> backend_;
  std::mutex mutex_;  // of idle_
  std::vector<std::unique_ptr<Session>> idle_;
};

}  // namespace nn
