// The back ends rocm (fp32) and rocm-fp16: one GPU, weights shared by all sessions, a stream a session.
#include "nn/backend.h"

#include <algorithm>
#include <mutex>

#include "backends/rocm/linear/planner.h"
#include "backends/rocm/session.h"

namespace rocm {
namespace {

constexpr int kMaxBatch = 8192, kMaxStreams = 64, kMostMeasureS = 86400;

int count(const nn::Options& options, const std::string& key, int fallback, int least, int most) {
  const auto value = options.integer(key, fallback);
  if (value < least || value > most)
    throw Error("back-end option " + key + " is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " +
                std::to_string(most));
  return static_cast<int>(value);
}

Device device_of(const nn::Options& options) {
  const int devices = device_count();
  const Device device = read_device(count(options, "gpu", 0, 0, devices - 1));
  check(hipSetDevice(device.index), "choosing GPU " + std::to_string(device.index));
  return device;
}

nn::Description described(std::shared_ptr<const nn::Network> network, bool with_moves_left) {
  nn::Description description = nn::describe(std::move(network));
  if (!with_moves_left) description.moves_left.reset();
  return description;
}

// Options: gpu (index), max_batch, streams (search threads that keep the GPU busy), mlh (moves left), graphs (capture passes), warm_up
// (run all batch sizes up to the recommended one at start), without, plans, measure (seconds; see planner.h).
template <class T>
class RocmBackend final : public nn::Backend {
 public:
  RocmBackend(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : device_(device_of(options)),
        planner_(device_, options.text("without", ""), options.text("plans", "")),
        model_(described(std::move(network), options.flag("mlh", true))),
        graphs_(options.flag("graphs", true)) {
    const double measure_s = options.number("measure", 0);
    if (!(measure_s >= 0 && measure_s <= kMostMeasureS))
      throw Error("back-end option measure must be 0 to " + std::to_string(kMostMeasureS) + " seconds");
    planner_.measure_for(measure_s);
    const int wanted = count(options, "max_batch", 1024, 1, kMaxBatch);
    info_.input_format = model_.description().input_format;
    info_.wdl = model_.description().wdl;
    info_.moves_left = model_.description().moves_left.has_value();
    info_.threads = count(options, "streams", device_.integrated ? 1 : 2, 1, kMaxStreams);
    info_.max_batch = wanted;
    while (static_cast<int>(idle_.size()) < info_.threads) {
      try {
        idle_.push_back(make_session(info_.max_batch));
      } catch (const OutOfMemory&) {
        if (info_.max_batch == 1) throw;
        idle_.clear();  // all shall be alike
        info_.max_batch = ladder_step(info_.max_batch / 2, info_.max_batch);
      }
    }
    info_.best_batch = std::min(info_.max_batch, 256);
    if (options.flag("warm_up", true))
      for (const auto& session : idle_) session->warm_up(info_.best_batch);
    info_.device = device_.name + " (" + device_.architecture + "), " + (sizeof(T) == 4 ? "fp32" : "fp16") + (graphs_ ? ", graphs" : "");
    if (info_.max_batch < wanted)
      info_.device += ", batches of up to " + std::to_string(info_.max_batch) + ": its memory does not suffice for " + std::to_string(wanted);
  }

  const nn::Info& info() const override { return info_; }
  std::string plans() const override { return planner_.plans(); }

  std::unique_ptr<nn::Session> open() override {
    if (const std::lock_guard lock(mutex_); !idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      return session;
    }
    for (int most = info_.max_batch;; most = ladder_step(most / 2, most)) {
      try {
        return make_session(most);
      } catch (const OutOfMemory&) {
        if (most == 1) throw;
      }
    }
  }

 private:
  std::unique_ptr<GpuSession<T>> make_session(int max_batch) {
    return std::make_unique<GpuSession<T>>(model_, device_, planner_, max_batch, graphs_);
  }

  Device device_;
  Planner planner_;
  Model<T> model_;
  bool graphs_;
  nn::Info info_;
  std::mutex mutex_;  // of idle_
  std::vector<std::unique_ptr<GpuSession<T>>> idle_;  // at the start, for the first users
};

template <class T>
std::unique_ptr<nn::Backend> create(std::shared_ptr<const nn::Network> network, const nn::Options& options) {
  return std::make_unique<RocmBackend<T>>(std::move(network), options);
}

// ROCM_SUFFIX is "" but in the second module of an emulated build.
const nn::Registration kFloat("rocm" ROCM_SUFFIX, create<float>, why_no_device);
const nn::Registration kHalf("rocm-fp16" ROCM_SUFFIX, create<half>, why_no_device);

}  // namespace
}  // namespace rocm
