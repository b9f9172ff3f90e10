// multiplexing: many sessions share its back ends. What they ask for at the same time is evaluated as one batch: small batches of many
// searches cost a GPU hardly more than that of one.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "backends/combine/children.h"
#include "chess/policy.h"
#include "error.h"

namespace {

using Clock = std::chrono::steady_clock;

// A session's batch. All but the batch's own arrays is guarded by the owner's mutex; the session keeps it until it is done.
struct Request {
  nn::Batch batch;
  bool done = false;
  std::string error;
  std::condition_variable finished;
};

bool wants_all_moves(const nn::Batch& batch) { return batch.policy && !batch.moves; }

// Requests of one kind as one batch, and its answers back to them.
class Merged {
 public:
  nn::Batch join(const std::vector<Request*>& requests) {
    planes_.clear();
    moves_.clear();
    first_move_.assign(1, 0);
    bool policy = false;
    for (const Request* request : requests) {
      const nn::Batch& batch = request->batch;
      planes_.insert(planes_.end(), batch.planes, batch.planes + batch.size);
      policy |= batch.policy != nullptr;
      const bool moves = batch.policy && batch.moves;
      if (moves) moves_.insert(moves_.end(), batch.moves + batch.first_move[0], batch.moves + batch.first_move[batch.size]);
      const std::uint32_t before = first_move_.back();
      for (int i = 1; i <= batch.size; ++i) first_move_.push_back(before + (moves ? batch.first_move[i] - batch.first_move[0] : 0));
    }
    nn::Batch whole;
    whole.size = static_cast<int>(planes_.size());
    whole.planes = planes_.data();
    values_.resize(planes_.size());
    whole.values = values_.data();
    if (!policy) return whole;
    if (wants_all_moves(requests[0]->batch)) {
      policy_.resize(planes_.size() * chess::kPolicySize);
    } else {
      moves_.reserve(1);  // a pointer, also where no move is asked for
      policy_.resize(moves_.size() + 1);
      whole.moves = moves_.data();
      whole.first_move = first_move_.data();
    }
    whole.policy = policy_.data();
    return whole;
  }

  void hand_out(const std::vector<Request*>& requests) const {
    std::size_t position = 0, logit = 0;
    for (const Request* request : requests) {
      const nn::Batch& batch = request->batch;
      if (batch.values) std::copy_n(&values_[position], batch.size, batch.values);
      position += batch.size;
      if (!batch.policy) continue;
      const std::size_t first = batch.moves ? batch.first_move[0] : 0;
      const std::size_t logits = batch.moves ? batch.first_move[batch.size] - first : std::size_t{chess::kPolicySize} * batch.size;
      std::copy_n(&policy_[logit], logits, batch.policy + first);
      logit += logits;
    }
  }

 private:
  std::vector<chess::Planes> planes_;
  std::vector<std::uint16_t> moves_;
  std::vector<std::uint32_t> first_move_;
  std::vector<float> policy_;
  std::vector<nn::Value> values_;
};

// Option wait_ms: how long a batch waits for more at most, once somebody has asked.
class Multiplexing final : public nn::Backend {
 public:
  Multiplexing(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("multiplexing", network, options)),
        info_(common_info("multiplexing", children_)),
        patience_(options.number("wait_ms", 0.5)) {
    if (!(patience_.count() >= 0 && patience_.count() <= 1000)) throw Error("back-end option wait_ms must be a number from 0 to 1000");
    int workers = 0;
    for (const auto& child : children_) workers += child->info().threads;
    info_.threads = 2 * workers;  // some gather while others are evaluated
    try {
      for (const auto& child : children_)
        for (int i = 0; i < child->info().threads; ++i) workers_.emplace_back([this, &child] { work(*child); });
    } catch (...) {
      close();
      throw;
    }
  }
  ~Multiplexing() override { close(); }
  const nn::Info& info() const override { return info_; }
  bool has_more_room() const override { return any_has_more_room(children_); }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Client>(*this); }
  std::vector<std::string> take_news() override {
    std::vector<std::string> news;
    for (const auto& child : children_)
      for (std::string& line : child->take_news()) news.push_back(std::move(line));
    return news;
  }

 private:
  class Client final : public nn::Session {
   public:
    explicit Client(Multiplexing& owner) : owner_(owner) {}
    ~Client() override { rest(); }
    void rest() override {
      if (!std::exchange(is_active_, false)) return;
      const std::lock_guard lock(owner_.mutex_);
      --owner_.clients_;
      owner_.tell_workers(false);  // nobody need wait for it any more
    }
    void evaluate(const nn::Batch& batch) override {
      ask(batch);
      if (!owner_.info_.moves_left && batch.values)
        for (int i = 0; i < batch.size; ++i) batch.values[i].m = 0;
    }

   private:
    void ask(const nn::Batch& batch) {
      Request request;
      request.batch = batch;
      std::unique_lock lock(owner_.mutex_);
      if (!std::exchange(is_active_, true)) ++owner_.clients_;
      owner_.queue_.push_back(&request);
      owner_.queued_ += batch.size;
      owner_.tell_workers(owner_.queue_.size() == 1);
      request.finished.wait(lock, [&] { return request.done; });
      if (!request.error.empty()) throw Error(request.error);
    }

    Multiplexing& owner_;
    bool is_active_ = false;  // has asked, and will again
  };

  // With the lock. Wakes them where there is something to do, not for each request of a batch that is being gathered.
  void tell_workers(bool is_first) {
    if (is_first || (!queue_.empty() && is_enough(info_.max_batch))) arrived_.notify_all();
  }

  // With the lock: a batch is full, or whoever may ask has asked.
  bool is_enough(int most) const { return closing_ || queued_ >= most || static_cast<int>(queue_.size()) + working_ >= clients_; }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    arrived_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  // A thread's loop: it has a session of `child` to itself.
  void work(nn::Backend& child) {
    std::unique_ptr<nn::Session> session;
    Merged merged;
    const int most = child.info().max_batch;
    std::unique_lock lock(mutex_);
    while (true) {
      arrived_.wait(lock, [&] { return closing_ || !queue_.empty(); });
      if (closing_) return;  // sessions do not outlive their back end: nobody waits
      arrived_.wait_until(lock, Clock::now() + std::chrono::duration_cast<Clock::duration>(patience_), [&] { return is_enough(most); });
      const std::vector<Request*> requests = take(most);
      if (requests.empty()) continue;  // another worker was faster
      working_ += static_cast<int>(requests.size());
      lock.unlock();
      std::string error;
      try {
        if (!session) session = child.open();
        if (requests.size() == 1) {
          session->evaluate(requests[0]->batch);
        } else {
          session->evaluate(merged.join(requests));
          merged.hand_out(requests);
        }
      } catch (const std::exception& failure) {
        error = sentence(failure);
      }
      lock.lock();
      working_ -= static_cast<int>(requests.size());
      for (Request* request : requests) {
        request->error = error;
        request->done = true;
        request->finished.notify_one();  // under the lock: the request may be gone after it
      }
    }
  }

  // The first request and those after it that go into one batch with it. With the lock.
  std::vector<Request*> take(int most) {
    std::vector<Request*> taken;
    int size = 0;
    for (auto it = queue_.begin(); it != queue_.end();) {
      const nn::Batch& batch = (*it)->batch;
      const bool fits = taken.empty() || (size + batch.size <= most && wants_all_moves(batch) == wants_all_moves(taken[0]->batch));
      if (!fits) {
        ++it;
        continue;
      }
      size += batch.size;
      taken.push_back(*it);
      it = queue_.erase(it);
    }
    queued_ -= size;
    return taken;
  }

  Children children_;
  nn::Info info_;
  const std::chrono::duration<double, std::milli> patience_;
  std::mutex mutex_;  // of the following
  std::condition_variable arrived_;
  std::deque<Request*> queue_;
  int queued_ = 0;   // positions in it
  int working_ = 0;  // requests that are being evaluated
  int clients_ = 0;  // active sessions
  bool closing_ = false;
  std::vector<std::thread> workers_;
};

const nn::Registration kMultiplexing(
    "multiplexing",
    [](auto network, const nn::Options& options) { return std::make_unique<Multiplexing>(std::move(network), options); }, nullptr, false);

}  // namespace
