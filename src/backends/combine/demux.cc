// demux: every batch is split over all back ends, which work at the same time, each on a share by its option `weight` (its speed; 1 where
// none is given). One search thread keeps all busy. A back end that fails is left out, and the others do its share.
#include <algorithm>
#include <cmath>
#include <future>
#include <mutex>
#include <utility>

#include "backends/combine/children.h"
#include "error.h"

namespace {

struct Range {
  int begin, end;  // positions of a batch
};

class Demux final : public nn::Backend {
 public:
  Demux(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("demux", network, options)), info_(common_info("demux", children_)), states_(children_.size()) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const double weight = options.children[i].options.number("weight", 1);
      if (!(weight > 0 && weight < 1e12)) throw Error("back-end option weight must be a number above 0, the speed of its back end");
      states_[i].weight = weight;
    }
    double all = 0;
    for (const State& state : states_) all += state.weight;
    const auto together = [&](int nn::Info::*size) {  // the largest batch of which no share is above what its back end takes
      double least = 1e9;
      for (std::size_t i = 0; i < states_.size(); ++i)
        least = std::min(least, std::floor(children_[i]->info().*size * all / states_[i].weight * (1 + 1e-12)));
      return static_cast<int>(least);
    };
    info_.max_batch = together(&nn::Info::max_batch);
    info_.best_batch = together(&nn::Info::best_batch);
    info_.threads = 1;
  }
  const nn::Info& info() const override { return info_; }
  bool has_more_room() const override { return any_has_more_room(children_); }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Split>(*this); }
  std::vector<std::string> take_news() override {
    std::vector<std::string> news;
    {
      const std::lock_guard lock(mutex_);
      news.swap(news_);
    }
    for (const auto& child : children_)
      for (std::string& line : child->take_news()) news.push_back(std::move(line));
    return news;
  }

 private:
  struct State {
    double weight = 1;
    double due = 0;  // positions that it was short of its share up to now
    bool failed = false;
  };

  struct Task {
    std::size_t child;
    Range range;
  };

  // Who of those that have not failed evaluates which positions of `range`, with no more than they take at once; what is left over goes
  // to `rest`. Throws Error where nobody is left.
  std::vector<Task> share_out(Range range, std::vector<Range>& rest) {
    const std::lock_guard lock(mutex_);
    double all = 0;
    for (const State& state : states_) all += state.failed ? 0 : state.weight;
    if (all == 0) throw Error("all back ends of demux have failed, the last with: " + last_error_);
    const int size = range.end - range.begin;
    std::vector<int> counts(states_.size());
    int open = size;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].failed) continue;
      states_[i].due += size * states_[i].weight / all;
      counts[i] = std::clamp(static_cast<int>(states_[i].due), 0, std::min(open, children_[i]->info().max_batch));
      open -= counts[i];
    }
    while (open > 0) {  // of the fractions, to whom most is due
      std::size_t most = states_.size();
      for (std::size_t i = 0; i < states_.size(); ++i)
        if (!states_[i].failed && counts[i] < children_[i]->info().max_batch &&
            (most == states_.size() || states_[i].due - counts[i] > states_[most].due - counts[most]))
          most = i;
      if (most == states_.size()) break;
      ++counts[most];
      --open;
    }
    std::vector<Task> tasks;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (!states_[i].failed) states_[i].due = std::clamp(states_[i].due - counts[i], -1.0, 1.0);
      if (counts[i] == 0) continue;
      tasks.push_back({i, {range.begin, range.begin + counts[i]}});
      range.begin += counts[i];
    }
    if (range.begin < range.end) rest.push_back(range);
    return tasks;
  }

  void leave_out(std::size_t child, const std::string& error) {
    const std::lock_guard lock(mutex_);
    last_error_ = error;
    if (std::exchange(states_[child].failed, true)) return;
    news_.push_back(children_[child]->info().device + " has failed and is left out; the others go on: " + error);
  }

  class Split final : public nn::Session {
   public:
    explicit Split(Demux& owner) : owner_(owner), sessions_(owner.children_.size()) {}

    void evaluate(const nn::Batch& batch) override {
      std::vector<Range> open = {{0, batch.size}};
      while (!open.empty()) {
        const Range range = open.back();
        open.pop_back();
        if (range.begin == range.end) continue;
        const std::vector<Task> tasks = owner_.share_out(range, open);
        std::vector<char> good(tasks.size());  // not bool: each is written by its own thread
        {
          std::vector<std::future<void>> others;  // a future's destructor waits: no part outlives the batch
          for (std::size_t i = 1; i < tasks.size(); ++i)
            others.push_back(std::async(std::launch::async, [&, i] { good[i] = run(tasks[i], batch); }));
          good[0] = run(tasks[0], batch);
        }
        for (std::size_t i = 0; i < tasks.size(); ++i)
          if (!good[i]) open.push_back(tasks[i].range);
      }
      if (!owner_.info_.moves_left && batch.values)
        for (int i = 0; i < batch.size; ++i) batch.values[i].m = 0;
    }
    void rest() override { rest_all(sessions_); }

   private:
    bool run(const Task& task, const nn::Batch& batch) {
      try {
        auto& session = sessions_[task.child];
        if (!session) session = owner_.children_[task.child]->open();
        session->evaluate(batch.part(task.range.begin, task.range.end - task.range.begin));
        return true;
      } catch (const std::exception& error) {
        owner_.leave_out(task.child, error.what());
        return false;
      }
    }

    Demux& owner_;
    std::vector<std::unique_ptr<nn::Session>> sessions_;  // one a child, opened at its first share
  };

  Children children_;
  nn::Info info_;
  std::mutex mutex_;  // of the following
  std::vector<State> states_;
  std::vector<std::string> news_;
  std::string last_error_;
};

const nn::Registration kDemux(
    "demux", [](auto network, const nn::Options& options) { return std::make_unique<Demux>(std::move(network), options); },
    nullptr, false);

}  // namespace
