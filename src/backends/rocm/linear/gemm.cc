#include "backends/rocm/linear/gemm.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/rocm/linear/auction.h"
#include "backends/rocm/linear/gemm_library.h"
#include "backends/rocm/linear/gemm_trial.h"
#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/plan_table.h"
#include "error.h"

namespace rocm {
namespace {

using nn::Activation;

constexpr const char* kActivationNames[] = {"none", "relu", "relu2", "mish", "swish", "selu", "tanh", "sigmoid"};
constexpr int kSplits[] = {1, 2, 4, 8};
constexpr int kLibraryRanks = 12;  // of hipBLASLt's algorithms

struct Plan {
  std::string name;  // "own:64x64:k2", "rocblas", "hipblaslt:0"
  std::unique_ptr<LibraryProduct> library;  // or our own kernel:
  int tile = 0, splits = 1;
  bool settled = false;  // by the table or a measurement; else the default, until somebody measures
};

struct ShapeHash {
  std::size_t operator()(const GemmShape& s) const {
    std::size_t hash = s.half | s.one_w << 1 | s.bias << 2 | s.skip << 3 | s.in_place << 4 | int(s.activation) << 5;
    for (int size : {s.rows, s.cols, s.depth, s.batch}) hash = (hash ^ unsigned(size)) * 0x9e3779b97f4a7c15u;
    return hash;
  }
};

template <class T>
GemmShape shape_of(const Product<T>& p) {
  GemmShape s{p.rows, p.cols, p.depth, p.batch, sizeof(T) == 2, p.one_w, p.bias != nullptr, p.skip != nullptr, p.y == p.skip, p.activation};
  s.one_w |= s.batch == 1;
  if (s.one_w) s.rows *= s.batch, s.batch = 1;  // the rows of all products lie one behind the other
  return s;
}

// keys and defaults -----------------------------------------------------------

// The nearest 2^i or 3 * 2^i, which are the steps of the batch ladder times 1 or 64.
int bucket(int size) {
  int low = 1;
  while (low * 2 <= size) low *= 2;
  const int middle = low + low / 2, high = 2 * low;
  return size * 2 < low + middle ? low : size * 2 < middle + high ? middle : high;
}

std::string device_prefix(Stream& stream) {
  const Device& device = stream.device();
  std::string prefix = device.kind();
  if (library_usable("rocblas", device.architecture)) {
    char version[64] = "?";
    if (rocblas_get_version_string(version, sizeof version) == rocblas_status_success) prefix += std::string("/rocblas") + version;
  }
  if (library_usable("hipblaslt", device.architecture)) {
    int version = 0;
    try {
      if (hipblasLtGetVersion(stream.hipblaslt(), &version) == HIPBLAS_STATUS_SUCCESS) prefix += "/hipblaslt" + std::to_string(version);
    } catch (const Error&) {  // then it is never a candidate
    }
  }
  std::replace(prefix.begin(), prefix.end(), ' ', '-');
  return prefix;
}

std::string key_of(const std::string& prefix, const GemmShape& s) {
  std::string key = prefix + (s.half ? "/half/gemm" : "/float/gemm");
  for (const auto& [letter, size] : {std::pair{'b', bucket(s.batch)}, {'r', bucket(s.rows)}, {'c', s.cols}, {'d', s.depth}})
    key += std::string("/") + letter + std::to_string(size);
  key += s.one_w ? "/w1" : "/w";
  if (s.bias) key += "/bias";
  if (s.skip) key += s.in_place ? "/in_place" : "/skip";
  return key + '/' + kActivationNames[static_cast<int>(s.activation)];
}

std::string own_name(int tile, int splits) {
  return "own:" + std::to_string(kGemmTiles[tile].rows) + 'x' + std::to_string(kGemmTiles[tile].cols) + ":k" + std::to_string(splits);
}

std::size_t parts_bytes(const GemmShape& s, int splits) {
  return s.half ? gemm_parts_bytes<half>(s.batch, s.rows, s.cols, splits) : gemm_parts_bytes<float>(s.batch, s.rows, s.cols, splits);
}

// What our kernel would take, in multiply-adds of a compute unit: a guess to start from and to leave out of an auction what cannot win.
double cost(const Device& device, const GemmShape& s, int tile, int splits) {
  constexpr double kSlowness[] = {2.2, 1.5, 1.15, 1.05, 1};  // of a tile's multiply-adds: LDS reads for each
  constexpr double kLatency = 3e5, kLaunch = 2e6;            // of a block's first loads; of another kernel
  const auto [tile_rows, tile_cols] = kGemmTiles[tile];
  const auto count = [](double size, double part) { return std::ceil(size / part); };
  const double blocks = count(s.rows, tile_rows) * count(s.cols, tile_cols) * s.batch * splits;
  const double block = kSlowness[tile] * tile_rows * tile_cols * count(s.depth, splits) + kLatency;
  const double parts = splits > 1 ? kLaunch + 16.0 * splits * s.batch * s.rows * s.cols / device.compute_units : 0;
  return count(blocks, std::max(device.compute_units, 1)) * block + parts;
}

constexpr std::size_t kMostParts = std::size_t{128} << 20;  // bytes
bool sensible(const GemmShape& s, int splits) { return splits == 1 || (s.depth >= 64 * splits && parts_bytes(s, splits) <= kMostParts); }

std::string default_own(const Device& device, const GemmShape& s) {
  double least = INFINITY;
  std::string best;
  for (int tile = 0; tile < int(std::size(kGemmTiles)); ++tile)
    for (int splits : kSplits)
      if (const double c = cost(device, s, tile, splits); sensible(s, splits) && c < least) least = c, best = own_name(tile, splits);
  return best;
}

// Libraries that are there but weak: only a measurement chooses them. gfx12: rocBLAS has no tuned kernels, gfx908: hipBLASLt one a layout.
bool weak(const std::string& library, const std::string& architecture) {
  return library == "rocblas" ? architecture == "gfx1200" || architecture == "gfx1201" : architecture == "gfx908";
}

bool prefers(const std::string& library, const Device& device) {
  return library_usable(library, device.architecture) && !weak(library, device.architecture);
}

// plans -----------------------------------------------------------------------

// A plan from its name; false if it cannot be had for this shape.
bool make_plan(Stream& stream, const GemmShape& s, const std::string& name, Plan& plan) {
  plan = {};
  plan.name = name;
  if (name == "rocblas") {
    if (library_usable(name, stream.device().architecture)) plan.library = LibraryProduct::rocblas(stream, s);
    return plan.library != nullptr;
  }
  if (name.starts_with("hipblaslt:")) {
    if (library_usable("hipblaslt", stream.device().architecture))
      plan.library = LibraryProduct::hipblaslt(stream, s, std::atoi(name.c_str() + name.find(':') + 1));
    return plan.library != nullptr;
  }
  for (plan.tile = 0; plan.tile < int(std::size(kGemmTiles)); ++plan.tile)
    for (int splits : kSplits)
      if (plan.splits = splits, own_name(plan.tile, splits) == name) return true;
  return false;
}

Plan default_plan(Stream& stream, const GemmShape& s) {
  Plan plan;
  const Device& device = stream.device();
  if (prefers("hipblaslt", device) && make_plan(stream, s, "hipblaslt:0", plan)) return plan;
  if (prefers("rocblas", device) && make_plan(stream, s, "rocblas", plan)) return plan;
  make_plan(stream, s, default_own(device, s), plan);
  return plan;
}

// Queues the product; false if the library that the plan names refuses it.
template <class T>
bool run(Stream& stream, const GemmShape& s, const Plan& plan, const Product<T>& p) {
  if (!plan.library) {
    auto* const parts = static_cast<float*>(stream.workspace(parts_bytes(s, plan.splits)));
    launch_gemm<T>(stream, p.y, p.x, p.w, p.bias, p.skip, s.batch, s.rows, s.cols, s.depth, s.one_w, s.activation, plan.tile, plan.splits,
                   parts);
    check(hipGetLastError(), "launching a matrix product");
    return true;
  }
  LibraryProduct& library = *plan.library;
  const bool finish = (s.bias && !library.fuses_bias) || (s.activation != Activation::kNone && !library.fuses_activation) ||
                      (s.skip && !library.fuses_skip);
  const bool aside = finish && s.in_place && !library.fuses_skip;  // the bare product must not overwrite the skip
  const std::size_t size = std::size_t(s.batch) * s.rows * s.cols, d_bytes = aside ? (size * sizeof(T) + 255) / 256 * 256 : 0;
  char* const workspace = static_cast<char*>(stream.workspace(d_bytes + library.workspace));
  T* const d = aside ? reinterpret_cast<T*>(workspace) : p.y;
  if (!library.run(stream, {p.y, p.x, p.w, p.bias, p.skip}, d, workspace + d_bytes)) return false;
  if (finish) {
    launch_gemm_finish<T, T>(stream, p.y, d, 1, library.fuses_bias ? nullptr : p.bias, library.fuses_skip ? nullptr : p.skip,
                             std::size_t(s.batch) * s.rows, s.cols, s.cols, library.fuses_activation ? Activation::kNone : s.activation);
    check(hipGetLastError(), "launching the end of a matrix product");
  }
  return true;
}

// The winner of the shape's auction among all ways to compute it; nothing if nobody could be measured.
template <class T>
std::optional<Winner> measure(Stream& stream, const GemmShape& s, const Plan& holder) {
  std::vector<std::string> names = {holder.name, "rocblas"};
  for (int rank = 0; rank < kLibraryRanks; ++rank) names.push_back("hipblaslt:" + std::to_string(rank));
  const std::string own = default_own(stream.device(), s);
  Plan plan;
  make_plan(stream, s, own, plan);
  const double most = 4 * cost(stream.device(), s, plan.tile, plan.splits);
  for (int tile = 0; tile < int(std::size(kGemmTiles)); ++tile)
    for (int splits : kSplits)
      if (sensible(s, splits) && cost(stream.device(), s, tile, splits) <= most) names.push_back(own_name(tile, splits));
  try {
    GemmTrial<T> trial(stream, s);
    std::vector<std::unique_ptr<Plan>> plans;
    std::vector<Contender> contenders;
    for (const std::string& name : names) {
      auto known = std::make_unique<Plan>();
      if ((!plans.empty() && name == holder.name) || !make_plan(stream, s, name, *known)) continue;
      const Plan* const p = plans.emplace_back(std::move(known)).get();
      contenders.push_back({name, !p->library, [&, p] { return run(stream, s, *p, trial.product()); },
                            [&, p] { return trial.good([&](const Product<T>& product) { return run(stream, s, *p, product); }); }});
    }
    return auction(stream, contenders);
  } catch (const OutOfMemory&) {
    return std::nullopt;
  }
}

template <class T>
Plan find_plan(Stream& stream, const GemmShape& s, std::string& prefix) {
  if (prefix.empty()) prefix = device_prefix(stream);
  const std::string key = key_of(prefix, s);
  Plan plan;
  if (const auto winner = planned(key); winner && make_plan(stream, s, *winner, plan)) {
    plan.settled = true;
    return plan;
  }
  plan = default_plan(stream, s);
  if (!measuring()) return plan;
  const auto winner = measure<T>(stream, s, plan);
  if (winner && make_plan(stream, s, winner->name, plan)) {
    plan.settled = true;
    rocm::plan(key, winner->name, winner->microseconds);
    return plan;
  }
  return default_plan(stream, s);
}

}  // namespace

// What a stream keeps of the products it has met.
class GemmPlans {
 public:
  std::unordered_map<GemmShape, Plan, ShapeHash> plans;
  std::string prefix;  // of this device's keys
};

GemmPlans& Stream::gemm_plans() {
  if (!gemm_plans_) gemm_plans_ = std::make_shared<GemmPlans>();
  return *gemm_plans_;
}

template <class T>
void gemm(Stream& stream, const Product<T>& p) {
  const GemmShape s = shape_of(p);
  GemmPlans& known = stream.gemm_plans();
  auto found = known.plans.find(s);
  if (found == known.plans.end() || (!found->second.settled && measuring()))
    found = known.plans.insert_or_assign(s, find_plan<T>(stream, s, known.prefix)).first;
  if (run(stream, s, found->second, p)) return;
  make_plan(stream, s, default_own(stream.device(), s), found->second);  // the library failed: ours from now on
  found->second.settled = true;
  run(stream, s, found->second, p);
}

template void gemm(Stream&, const Product<float>&);
template void gemm(Stream&, const Product<half>&);

}  // namespace rocm
