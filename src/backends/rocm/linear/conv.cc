#include "backends/rocm/linear/conv.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "backends/rocm/linear/auction.h"
#include "backends/rocm/linear/conv_library.h"
#include "backends/rocm/linear/conv_trial.h"
#include "backends/rocm/linear/conv_weights.h"
#include "backends/rocm/linear/gemm.h"
#include "backends/rocm/linear/plan_table.h"
#include "backends/rocm/kernels/winograd.h"

namespace rocm {

// weights ---------------------------------------------------------------------

// A pointer that several threads may find, each the same.
template <class T, class F>
static const T* once(const T*& known, F&& find) {
  const std::atomic_ref<const T*> shared(known);
  const T* p = shared.load(std::memory_order_acquire);
  if (!p) shared.store(p = find(), std::memory_order_release);
  return p;
}

template <class T>
Convolution<T>::Convolution(Weights& weights, const std::string& name) : weights_(&weights), name_(name) {
  const nn::Network& network = weights.network();
  out = network.size(name + (network.has(name + ".bn_means") ? ".bn_means" : ".biases"));
  if (out == 0) throw Error("the network has no convolution " + name);
  in = network.size(name + ".weights") / 9 / out;
}

template <class T>
const T* Convolution<T>::direct() {
  return once(direct_, [&] {
    return weights_->array<T>(name_ + ".direct", [&] { return direct_weights(weights_->network().convolution(name_).weights, out, in); });
  });
}

template <class T>
const T* Convolution<T>::winograd() {
  return once(winograd_, [&] {
    return weights_->array<T>(name_ + ".winograd", [&] { return winograd_weights(weights_->network().convolution(name_).weights, out, in); });
  });
}

template <class T>
const T* Convolution<T>::bias() {
  return once(bias_, [&] { return weights_->array<T>(name_ + ".bias", [&] { return weights_->network().convolution(name_).biases; }); });
}

namespace {

// ways ------------------------------------------------------------------------

struct Plan {
  enum class Way { kWinograd, kPatches, kLibrary };
  Way way = Way::kWinograd;
  std::unique_ptr<LibraryConvolution> library;
  bool settled = false;  // measured, or the last resort

  bool winograd() const { return way == Way::kWinograd; }
};

template <class T>
struct Task {
  T* y;
  const T* x;
  const T* w;  // in the layout of the plan's way
  const T* bias;
  const SqueezeExcitation<T>* se;
  const T* skip;
  int batch, in, out;
  nn::Activation activation;
};

template <class T>
T* take(Stream& stream, std::size_t size) {
  return static_cast<T*>(stream.arena().take(size * sizeof(T)));
}

// What follows the bare convolution z; bias may be null.
template <class T>
void finish(Stream& stream, const Task<T>& t, const T* z, const T* bias) {
  if (t.se) launch_squeeze_excitation<T>(stream, t.y, z, bias, t.skip, *t.se, t.batch, t.out, t.activation);
  else launch_bias_activation<T>(stream, t.y, z, bias, t.skip, nullptr, nullptr, t.batch * 64, t.out, t.activation);
}

template <class T>
void run_winograd(Stream& stream, const Task<T>& t) {
  const int tiles = t.batch * kTiles;
  T *v = take<T>(stream, std::size_t(kPoints) * tiles * t.in), *m = take<T>(stream, std::size_t(kPoints) * tiles * t.out);
  launch_winograd_input(stream, v, t.x, t.batch, t.in);
  Product<T> product{m, v, t.w};
  product.rows = tiles, product.cols = t.out, product.depth = t.in, product.batch = kPoints, product.one_w = false;
  gemm(stream, product);
  launch_winograd_output(stream, t.y, m, t.bias, t.skip, t.se, t.batch, t.out, t.activation);
}

template <class T>
void run_patches(Stream& stream, const Task<T>& t) {
  const std::size_t squares = std::size_t(t.batch) * 64;
  const bool fused = !t.se && !t.skip;
  T *rows = take<T>(stream, squares * 9 * t.in), *z = fused ? t.y : take<T>(stream, squares * t.out);
  launch_patches(stream, rows, t.x, t.batch, t.in);
  Product<T> product{z, rows, t.w, t.bias};
  product.rows = squares, product.cols = t.out, product.depth = 9 * t.in;
  if (fused) product.activation = t.activation;
  gemm(stream, product);
  if (!fused) finish<T>(stream, t, z, nullptr);
}

template <class T>
bool run_library(Stream& stream, LibraryConvolution& library, const Task<T>& t) {
  T* const z = take<T>(stream, std::size_t(t.batch) * 64 * t.out);
  if (!library.run(stream, z, t.x, t.w)) return false;
  finish<T>(stream, t, z, t.bias);
  return true;
}

// Queues the convolution; false if the library refuses.
template <class T>
bool run(Stream& stream, const Plan& plan, const Task<T>& task) {
  const Arena::Scope scope(stream.arena());
  switch (plan.way) {
    case Plan::Way::kWinograd: run_winograd(stream, task); break;
    case Plan::Way::kPatches: run_patches(stream, task); break;
    case Plan::Way::kLibrary:
      if (!run_library(stream, *plan.library, task)) return false;
  }
  check(hipGetLastError(), "launching a convolution");
  return true;
}

// plans -----------------------------------------------------------------------

bool make_plan(Stream& stream, const ConvolutionShape& s, const std::string& name, Plan& plan) {
  plan = {};
  if (name == "winograd") return true;
  if (name == "patches") {
    plan.way = Plan::Way::kPatches;
    return true;
  }
  if (name != "miopen") return false;
  plan.way = Plan::Way::kLibrary;
  plan.library = LibraryConvolution::make(stream, s.half, s.batch, s.in, s.out);
  return plan.library != nullptr;
}

// Winograd reads 36 weights where patches read 9, and has a quarter of their multiplications: it loses while weights are most of the traffic. Where
// that ends is a guess until it was measured.
std::array<const char*, 2> own_ways(const ConvolutionShape& s) {  // the default first
  if (s.batch <= 2) return {"patches", "winograd"};
  return {"winograd", "patches"};
}

std::string key_of(Stream& stream, const ConvolutionShape& s) {
  std::size_t major = 0, minor = 0, patch = 0;
  (void)miopenGetVersion(&major, &minor, &patch);
  const auto word = [](auto number) { return std::to_string(number); };
  return stream.device().kind() + "/miopen" + word(major) + '.' + word(minor) + '.' + word(patch) +
         (s.half ? "/half" : "/float") + "/conv3x3/b" + word(s.batch) + "/i" + word(s.in) + "/o" + word(s.out) +
         (s.se ? "/se" + word(s.se) : "") + (s.skip ? "/skip" : "");
}

// The winner of the shape's auction; nothing if nobody could be measured.
template <class T>
std::optional<Winner> measure(Stream& stream, const ConvolutionShape& s) {
  const auto [usual, other] = own_ways(s);
  const std::string names[] = {usual, other, "miopen"};
  try {
    ConvolutionTrial<T> trial(stream, s);
    Plan plans[std::size(names)];
    std::vector<Contender> contenders;
    for (std::size_t i = 0; i < std::size(names); ++i) {
      Plan& plan = plans[i];
      if (!measuring()) return std::nullopt;
      if (!make_plan(stream, s, names[i], plan)) continue;
      const auto task = [&](bool whole) {
        return Task<T>{trial.y(), trial.x(), trial.weights(plan.winograd()), trial.bias(), whole ? trial.se() : nullptr,
                       whole ? trial.skip() : nullptr, s.batch, s.in, s.out, nn::Activation::kNone};
      };
      contenders.push_back({names[i], !plan.library, [&, task] { return run(stream, plan, task(true)); },
                            [&, task] { return trial.clear(), run(stream, plan, task(false)) && trial.good(); }});
    }
    return auction(stream, contenders);
  } catch (const OutOfMemory&) {
    return std::nullopt;
  }
}

template <class T>
Plan find_plan(Stream& stream, const ConvolutionShape& s) {
  const std::string key = key_of(stream, s);
  Plan plan;
  if (const auto winner = planned(key); winner && make_plan(stream, s, *winner, plan)) {
    plan.settled = true;
    return plan;
  }
  if (measuring())
    if (const auto winner = measure<T>(stream, s); winner && make_plan(stream, s, winner->name, plan)) {
      plan.settled = true;
      rocm::plan(key, winner->name, winner->microseconds);
      return plan;
    }
  make_plan(stream, s, own_ways(s)[0], plan);
  return plan;
}

}  // namespace

class ConvolutionPlans {
 public:
  std::map<ConvolutionShape, Plan> plans;
};

ConvolutionPlans& Stream::convolution_plans() {
  if (!convolution_plans_) convolution_plans_ = std::make_shared<ConvolutionPlans>();
  return *convolution_plans_;
}

template <class T>
void conv3x3(Stream& stream, T* y, const T* x, Convolution<T>& convolution, const SqueezeExcitation<T>* se, const T* skip, int batch,
             nn::Activation activation) {
  const ConvolutionShape s{batch, convolution.in, convolution.out, se ? se->width : 0, sizeof(T) == 2, skip != nullptr};
  auto& plans = stream.convolution_plans().plans;
  auto found = plans.find(s);
  if (found == plans.end() || (!found->second.settled && measuring()))
    found = plans.insert_or_assign(s, find_plan<T>(stream, s)).first;
  Plan& plan = found->second;
  Task<T> task{y, x, nullptr, convolution.bias(), se, skip, batch, s.in, s.out, activation};
  const auto run_plan = [&] {
    task.w = plan.winograd() ? convolution.winograd() : convolution.direct();
    return run(stream, plan, task);
  };
  if (run_plan()) return;
  make_plan(stream, s, own_ways(s)[0], plan);  // the library failed: ours from now on
  plan.settled = true;
  run_plan();
}

template class Convolution<float>;
template class Convolution<half>;
template void conv3x3(Stream&, float*, const float*, Convolution<float>&, const SqueezeExcitation<float>*, const float*, int, nn::Activation);
template void conv3x3(Stream&, half*, const half*, Convolution<half>&, const SqueezeExcitation<half>*, const half*, int, nn::Activation);

}  // namespace rocm
