// The back ends rocm (fp32), rocm-fp16, rocm-int8 and rocm-fp8 (fp16 with the products of encoders in 8 bits): one GPU, weights shared by all sessions,
// a stream a session.
#include "nn/backend.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "backends/rocm/linear/libraries.h"
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
  check_alive(device);
  check(hipSetDevice(device.index), "choosing GPU " + std::to_string(device.index));
  return device;
}

// Whether weights are stored in 8 bits.
bool weights_in_8_bits(const nn::Options& options) {
  const std::string weights = options.text("weights", "full");
  if (weights != "full" && weights != "int8") throw Error("back-end option weights is " + weights + ", expected full or int8");
  return weights == "int8";
}

// What the products of encoders are in, which `fp8` says or else whole numbers. Throws Error where there are none of such.
Numbers products_in(const Device& device, const nn::Description& description, bool fp8) {
  const std::string name = fp8 ? "rocm-fp8" : "rocm-int8", on = ", which " + device.name + " (" + device.architecture + ") has not: take ";
  const std::optional<Numbers> floating = fp8_of(device.architecture);
  if (fp8 && !floating) throw Error(name + " needs matrix instructions for floating-point numbers of 8 bits" + on + "rocm-int8 or rocm-fp16");
  if (!has_matrix_instructions(device.architecture)) throw Error(name + " needs matrix instructions" + on + "rocm-fp16");
  if (description.encoders.empty())
    throw Error(name + " computes the products of encoders in 8 bits, and this network has no encoders: take rocm-fp16");
  return fp8 ? *floating : Numbers::kInt8;
}

nn::Description described(std::shared_ptr<const nn::Network> network, bool with_moves_left) {
  nn::Description description = nn::describe(std::move(network));
  if (!with_moves_left) description.moves_left.reset();
  return description;
}

enum class Products { kInFull, kInInt8, kInFp8 };  // of encoders

// Options: gpu (index), max_batch, streams (search threads that keep the GPU busy), mlh (moves left), graphs (capture passes), warm_up
// (run all batch sizes at start), weights (full, int8), int8_batch (of rocm-int8 and rocm-fp8: the smallest whose products are all
// computed so; 0: which of them was measured), without, plans, measure (seconds; see planner.h).
//
// All sessions on the GPU are made at the start, one more than `streams`: while they are at work, another thread gathers. Each batch
// borrows one, so that threads may be as many as they like and nothing has to be made in a game.
template <class T>
class RocmBackend final : public nn::Backend {
 public:
  RocmBackend(std::shared_ptr<const nn::Network> network, const nn::Options& options, Products products)
      : device_(device_of(options)),
        gpu_(make_gpu(described(std::move(network), options.flag("mlh", true)), options, products), Forsake{device_.index}) {
    const bool graphs = options.flag("graphs", true);
    const double measure_s = options.number("measure", 0);
    if (!(measure_s >= 0 && measure_s <= kMostMeasureS))
      throw Error("back-end option measure must be 0 to " + std::to_string(kMostMeasureS) + " seconds");
    gpu_->planner.measure_for(measure_s);
    const int wanted = count(options, "max_batch", 1024, 1, kMaxBatch);
    const nn::Description& description = gpu_->model.description();
    info_.input_format = description.input_format;
    info_.wdl = description.wdl;
    info_.half = sizeof(T) == 2;
    info_.moves_left = description.moves_left.has_value();
    info_.threads = count(options, "streams", device_.integrated ? 1 : 2, 1, kMaxStreams);
    while (static_cast<int>(gpu_->sessions.size()) <= info_.threads)
      gpu_->sessions.emplace_back(new GpuSession<T>(gpu_->model, device_, gpu_->planner, graphs), Forsake{device_.index});
    const std::string shrunk = reserve(wanted, options.flag("warm_up", true));
    for (const auto& session : gpu_->sessions) {
      session->begin_play();
      idle_.push_back(session.get());
    }
    info_.threads = std::min(info_.threads, static_cast<int>(idle_.size()));
    info_.best_batch = std::min(info_.max_batch, 256);
    for (int size = 0; size < info_.max_batch;) info_.sizes.push_back(size = ladder_step(size + 1, info_.max_batch));
    info_.device = device_.name + " (" + device_.architecture + "), " + (sizeof(T) == 4 ? "fp32" : "fp16") +
                   (products == Products::kInInt8 ? ", int8 products" : products == Products::kInFp8 ? ", fp8 products" : "") +
                   (weights_in_8_bits(options) ? ", int8 weights" : "") +
                   (graphs ? ", graphs" : "") + shrunk;
  }

  const nn::Info& info() const override { return info_; }
  std::string plans() const override { return gpu_->planner.plans(); }
  bool has_more_room() const override { return short_of_ > 0 && free_memory(device_) >= short_of_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Borrower>(*this); }
  std::vector<nn::Layer> layers() const override { return gpu_->model.layers(); }

 private:
  struct Gpu {
    Gpu(const Device& device, nn::Description description, EightBits eight_bits, const std::string& without, const std::string& plans)
        : planner(device, without, plans), model(std::move(description), eight_bits) {}
    Planner planner;
    Model<T> model;
    std::vector<std::unique_ptr<GpuSession<T>, Forsake>> sessions;
  };

  Gpu* make_gpu(nn::Description description, const nn::Options& options, Products products) const {
    EightBits eight_bits{.weights = weights_in_8_bits(options)};
    if (products != Products::kInFull) {
      eight_bits.products = products_in(device_, description, products == Products::kInFp8);
      eight_bits.always_from = count(options, "int8_batch", 0, 0, kMaxBatch);
    }
    return new Gpu(device_, std::move(description), eight_bits, options.text("without", ""), options.text("plans", ""));
  }

  class Borrower final : public nn::Session {
   public:
    explicit Borrower(RocmBackend& owner) : owner_(owner) {}
    void evaluate(const nn::Batch& batch) override {
      borrowed([&](GpuSession<T>& session) { session.evaluate(batch); });
    }
    void inspect(const nn::Batch& batch, const nn::Visit& visit) override {
      borrowed([&](GpuSession<T>& session) { session.inspect(batch, visit); });
    }

   private:
    template <class Work>
    void borrowed(Work work) {
      GpuSession<T>* const session = owner_.borrow();
      try {
        work(*session);
      } catch (...) {
        owner_.give_back(session);
        throw;
      }
      owner_.give_back(session);
    }

    RocmBackend& owner_;
  };

  // Memory for batches of up to `wanted`, or of as many as there is memory for; returns what a user should know of that.
  std::string reserve(int wanted, bool warm_up) {
    constexpr int kFew = 16;  // positions: rather fewer sessions than smaller batches
    const std::size_t before = free_memory(device_);
    const char* why = "";
    bool short_of_memory = false;
    for (info_.max_batch = wanted;;) {
      try {
        for (const auto& session : gpu_->sessions) session->reserve(info_.max_batch);
        for (const auto& session : gpu_->sessions)
          if (warm_up) session->warm_up();
        const std::size_t free = free_memory(device_);
        if (short_of_memory && before > free) short_of_ = before - free;  // a step takes twice what the one below it does, at most
        if (info_.max_batch == wanted) return "";
        return ", batches of up to " + std::to_string(info_.max_batch) + ": " + why + " " + std::to_string(wanted);
      } catch (const OutOfMemory& error) {
        short_of_memory = !dynamic_cast<const TooLarge*>(&error);
        why = short_of_memory ? "its memory does not suffice for" : "its kernels do not address the arrays of";
        if (info_.max_batch <= kFew && gpu_->sessions.size() > 1) gpu_->sessions.pop_back();
        else if (info_.max_batch > 1) info_.max_batch = step_below(info_.max_batch);
        else throw;
      }
    }
  }

  // A session that is idle, as soon as there is one.
  GpuSession<T>* borrow() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return !idle_.empty(); });
    GpuSession<T>* const session = idle_.back();
    idle_.pop_back();
    return session;
  }

  void give_back(GpuSession<T>* session) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(session);
    }
    returned_.notify_one();
  }

  Device device_;
  std::unique_ptr<Gpu, Forsake> gpu_;
  nn::Info info_;
  std::size_t short_of_ = 0;  // bytes that it would take beside those it has; 0: it has all
  std::mutex mutex_;  // of idle_
  std::condition_variable returned_;
  std::vector<GpuSession<T>*> idle_;
};

template <class T, Products kProducts = Products::kInFull>
std::unique_ptr<nn::Backend> create(std::shared_ptr<const nn::Network> network, const nn::Options& options) {
  return std::make_unique<RocmBackend<T>>(std::move(network), options, kProducts);
}

// ROCM_SUFFIX is "" but in the second module of an emulated build.
const nn::Registration kFloat("rocm" ROCM_SUFFIX, create<float>, why_no_device);
const nn::Registration kHalf("rocm-fp16" ROCM_SUFFIX, create<half>, why_no_device);
const nn::Registration kInt8("rocm-int8" ROCM_SUFFIX, create<half, Products::kInInt8>, why_no_device);
const nn::Registration kFp8("rocm-fp8" ROCM_SUFFIX, create<half, Products::kInFp8>, why_no_device);

}  // namespace
}  // namespace rocm
