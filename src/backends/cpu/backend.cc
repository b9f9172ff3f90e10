// The back ends cpu (fp32), cpu-bf16 and cpu-int8. A session cuts a batch into one run of positions a thread and each thread its
// run into slices of at most kMaxSlice, which it takes through the whole network one after another: activations stay in
// its second-level cache, and no thread waits for another within a batch.
#include "nn/backend.h"

#include <algorithm>
#include <array>
#include <bit>
#include <deque>

#include "backends/cpu/network.h"
#include "backends/cpu/processors.h"
#include "backends/cpu/team.h"
#include "error.h"
#include "nn/pages.h"

namespace cpu {
namespace {

using Type = dnnl::memory::data_type;

constexpr int kMaxBatch = 1024;
// Positions of a thread: larger batches gain little here and cost the search its aim; in 8 bits they cost time, as fp32 between the
// products leaves the cache.
constexpr int kBestSlice = 4;
constexpr int kMaxThreads = 1024;

std::string where(int count, const char* unit) {
  const auto* version = dnnl::version();
  return "CPU, " + std::to_string(count) + " " + unit + (count == 1 ? "" : "s") + ", " + kCompiledFor + ", oneDNN " +
         std::to_string(version->major) + "." + std::to_string(version->minor);
}

// action(); what oneDNN throws becomes a sentence.
template <class Action>
auto explained(Action action) {
  try {
    return action();
  } catch (const dnnl::error& error) {
    throw Error(std::string("oneDNN failed, as it does without enough memory: ") + error.what());
  }
}

// oneDNN does not look whether its small allocations succeed, and faults: before it makes things there has to be room for them
// and for what the C library reserves for a thread.
void prove_room() {
  constexpr std::size_t kRoom = std::size_t{128} << 20;
  (void)nn::allocate_pages(kRoom);  // throws std::bad_alloc
}

// What one thread owns: memory, and a forward pass for each power of two.
struct Lane {
  Arena arena;
  std::array<std::unique_ptr<Forward>, std::bit_width(unsigned{kMaxSlice})> forwards;
};

class CpuSession final : public nn::Session {
 public:
  CpuSession(std::shared_ptr<Weights> weights, Precision precision, int threads, bool moves_left)
      : weights_(std::move(weights)), precision_(precision), moves_left_(moves_left), team_(threads), lanes_(team_.size()) {}

  void evaluate(const nn::Batch& batch) override {
    const int members = std::min<int>(static_cast<int>(lanes_.size()), batch.size);
    if (members > 0)
      team_.run(members, [&](int member) {
        const auto share = [&](int m) { return static_cast<int>(std::int64_t{batch.size} * m / members); };
        int first = share(member), left = share(member + 1) - first;
        while (left > 0) {
          const auto size = std::bit_floor(static_cast<unsigned>(std::min(left, precision_.int8 ? kBestSlice : kMaxSlice)));
          auto& forward = lanes_[member].forwards[std::bit_width(size) - 1];
          explained([&] {
            if (!forward) {
              prove_room();
              forward = std::make_unique<Forward>(*weights_, lanes_[member].arena, precision_, size, moves_left_);
            }
            forward->run(batch, first);
          });
          first += size;
          left -= size;
        }
      });
  }

  // All positions are taken from layer to layer together, each slice of them in memory of its own.
  void inspect(const nn::Batch& batch, const nn::Visit& visit) override {
    struct Slice {
      int first, size;
      Arena arena;
      std::unique_ptr<Forward> forward;
    };
    const int share = (batch.size + team_.size() - 1) / team_.size();
    std::deque<Slice> slices;
    for (int first = 0; first < batch.size;) {
      const int size = std::bit_floor(static_cast<unsigned>(std::min({share, batch.size - first, kMaxSlice})));
      slices.push_back({first, size, {}, {}});
      first += size;
    }
    if (slices.empty()) return;
    const int members = std::min<int>(team_.size(), static_cast<int>(slices.size()));
    const auto for_each = [&](const auto& work) {
      team_.run(members, [&](int member) {
        for (std::size_t i = member; i < slices.size(); i += members) explained([&] { work(slices[i]); });
      });
    };
    for_each([&](Slice& slice) {
      prove_room();
      slice.forward = std::make_unique<Forward>(*weights_, slice.arena, precision_, slice.size, moves_left_, &visit.wanted);
      slice.forward->begin(batch, slice.first);
    });
    std::vector<float> values;
    for (std::size_t v = 0; v < slices[0].forward->views().size(); ++v) {
      const Forward::View& view = slices[0].forward->views()[v];
      const std::size_t numbers = std::size_t(view.tensor.rows) * view.cols;
      values.resize(numbers * batch.size);
      for_each([&](Slice& slice) {
        slice.forward->stop_at(slice.forward->views()[v]);
        slice.forward->views()[v].read(values.data() + numbers * slice.first, slice.size);
      });
      if (visit.see(view.name, 0, batch.size, values.data()))
        for_each([&](Slice& slice) { slice.forward->views()[v].write(values.data() + numbers * slice.first, slice.size); });
    }
    for_each([&](Slice& slice) { slice.forward->finish(batch, slice.first); });
  }

 private:
  std::shared_ptr<Weights> weights_;
  Precision precision_;
  bool moves_left_;
  Team team_;
  std::vector<Lane> lanes_;
};

class CpuBackend final : public nn::Backend {
 public:
  CpuBackend(std::shared_ptr<const nn::Network> network, const nn::Options& options, Precision precision)
      : precision_(precision),
        threads_(count(options, "threads", std::min(processors(), kMaxThreads), kMaxThreads)),
        moves_left_(options.flag("mlh", true)),
        weights_(std::make_shared<Weights>(std::move(network), dnnl::engine(dnnl::engine::kind::cpu, 0))) {
    info_.device = where(threads_, "thread") + (precision.int8 ? ", int8" : precision.type == Type::f32 ? ", fp32" : ", bf16");
    const nn::Description& net = weights_->description();
    info_.input_format = net.input_format;
    info_.wdl = net.wdl;
    info_.moves_left = moves_left_ && net.moves_left;
    info_.half = precision.type != Type::f32;
    info_.cpu = true;
    info_.max_batch = count(options, "max_batch", 256, kMaxBatch);
    info_.best_batch = std::min(info_.max_batch, kBestSlice * threads_);
  }

  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override {
    return std::make_unique<CpuSession>(weights_, precision_, threads_, moves_left_);
  }
  bool has_encoders() const { return !weights_->description().encoders.empty(); }
  std::vector<nn::Layer> layers() const override {
    nn::Description description = weights_->description();
    if (!moves_left_) description.moves_left.reset();
    return nn::layers(description);
  }

 private:
  static int count(const nn::Options& options, const std::string& key, int fallback, int most) {
    const auto value = options.integer(key, fallback);
    if (value < 1 || value > most)
      throw Error("back-end option " + key + " is " + std::to_string(value) + ", expected 1 to " +
                  std::to_string(most));
    return static_cast<int>(value);
  }

  Precision precision_;
  int threads_;
  bool moves_left_;
  nn::Info info_;
  std::shared_ptr<Weights> weights_;
};

template <Type type>
std::unique_ptr<nn::Backend> create(std::shared_ptr<const nn::Network> network, const nn::Options& options) {
  prove_room();
  return explained([&] { return std::make_unique<CpuBackend>(std::move(network), options, Precision{type}); });
}

std::unique_ptr<nn::Backend> create_int8(std::shared_ptr<const nn::Network> network, const nn::Options& options) {
  prove_room();
  auto made = explained([&] { return std::make_unique<CpuBackend>(std::move(network), options, Precision{Type::f32, true}); });
  if (!made->has_encoders()) throw Error("cpu-int8 multiplies in the encoders of a network, and this one has none; use the back end cpu");
  return made;
}

std::string why_no_bf16() {
  return have(dnnl::cpu_isa::avx512_core_bf16) ? "" : "this processor has no bfloat16 instructions (AMX or AVX512-BF16); use the back end cpu";
}

std::string why_no_int8() {
  return have(dnnl::cpu_isa::avx512_core_vnni) || have(dnnl::cpu_isa::avx2_vnni)
             ? "" : "this processor has no instructions for sums of 8-bit products (AVX-VNNI, AVX512-VNNI or AMX); use the back end cpu";
}

std::string where_here() { return where(processors(), "processor"); }

std::string where_bf16() { return where_here() + (have(dnnl::cpu_isa::avx512_core_amx) ? ", AMX" : ""); }

const nn::Registration kFloat("cpu", create<Type::f32>, nullptr, true, where_here);
const nn::Registration kInt8("cpu-int8", create_int8, why_no_int8, true, where_here);
const nn::Registration kBfloat16("cpu-bf16", create<Type::bf16>, why_no_bf16, true, where_bf16);

}  // namespace
}  // namespace cpu
