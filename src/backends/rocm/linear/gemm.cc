#include "backends/rocm/linear/gemm.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/choices.h"
#include "backends/rocm/linear/gemm_library.h"
#include "backends/rocm/linear/gemm_trial.h"
#include "error.h"

namespace rocm {
namespace {

using nn::Activation;

constexpr int kSplits[] = {1, 2, 4, 8};
constexpr int kLibraryRanks = 12;  // of hipBLASLt's algorithms

template <class T>
GemmShape shape_of(const Product<T>& p) {
  GemmShape s{p.rows, p.cols, p.depth, p.batch, sizeof(T) == 2, p.one_w, p.bias != nullptr, p.skip != nullptr, p.y == p.skip, p.activation};
  s.one_w |= s.batch == 1;
  if (s.one_w) s.rows *= s.batch, s.batch = 1;  // the rows of all products lie one behind the other
  return s;
}

// keys and guesses ------------------------------------------------------------

// The nearest 2^i or 3 * 2^i, which are the steps of the batch ladder times 1 or 64.
int bucket(int size) {
  int low = 1;
  while (low * 2 <= size) low *= 2;
  const int middle = low + low / 2, high = 2 * low;
  return size * 2 < low + middle ? low : size * 2 < middle + high ? middle : high;
}

std::string device_prefix(Stream& stream) {
  std::string prefix = stream.device().kind();
  if (stream.planner().may_call("rocblas")) {
    char version[64] = "?";
    if (rocblas_get_version_string(version, sizeof version) == rocblas_status_success) prefix += std::string("/rocblas") + version;
  }
  if (stream.planner().may_call("hipblaslt")) {
    int version = 0;
    try {
      if (hipblasLtGetVersion(stream.hipblaslt(), &version) == HIPBLAS_STATUS_SUCCESS) prefix += "/hipblaslt" + std::to_string(version);
    } catch (const Error&) {  // then it is never a candidate
    }
  }
  std::replace(prefix.begin(), prefix.end(), ' ', '-');
  return prefix;
}

std::string key_of(Stream& stream, const GemmShape& s) {
  std::string key = device_prefix(stream) + (s.half ? "/half/gemm" : "/float/gemm");
  for (const auto& [letter, size] : {std::pair{'b', bucket(s.batch)}, {'r', bucket(s.rows)}, {'c', s.cols}, {'d', s.depth}})
    key += std::string("/") + letter + std::to_string(size);
  key += s.one_w ? "/w1" : "/w";
  if (s.bias) key += "/bias";
  if (s.skip) key += s.in_place ? "/in_place" : "/skip";
  return key + '/' + nn::kActivationNames[static_cast<int>(s.activation)];
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

struct Own {
  std::string name;
  double cost;
};
std::vector<Own> own_ways(const Device& device, const GemmShape& s) {
  std::vector<Own> ways;
  for (int tile = 0; tile < int(std::size(kGemmTiles)); ++tile)
    for (int splits : kSplits)
      if (sensible(s, splits)) ways.push_back({own_name(tile, splits), cost(device, s, tile, splits)});
  return ways;
}

Own least_own(const Device& device, const GemmShape& s) { return std::ranges::min(own_ways(device, s), {}, &Own::cost); }

// plans -----------------------------------------------------------------------

struct Way {  // "own:64x64:k2", "rocblas", "hipblaslt:0"
  std::unique_ptr<LibraryProduct> library;  // or our own kernel:
  int tile = 0, splits = 1;
};

std::optional<Way> make_way(Stream& stream, const GemmShape& s, const std::string& name) {
  Way way;
  if (name == "rocblas") {
    if (stream.planner().may_call(name)) way.library = LibraryProduct::rocblas(stream, s);
  } else if (name.starts_with("hipblaslt:")) {
    if (stream.planner().may_call("hipblaslt"))
      way.library = LibraryProduct::hipblaslt(stream, s, std::atoi(name.c_str() + name.find(':') + 1));
  } else {
    for (way.tile = 0; way.tile < int(std::size(kGemmTiles)); ++way.tile)
      for (int splits : kSplits)
        if (way.splits = splits, own_name(way.tile, splits) == name) return way;
  }
  return way.library ? std::optional(std::move(way)) : std::nullopt;
}

// Queues the product; false if the way's library refuses it.
template <class T>
bool run(Stream& stream, const GemmShape& s, const Way& way, const Product<T>& p) {
  if (!way.library) {
    auto* const parts = static_cast<float*>(stream.workspace(parts_bytes(s, way.splits)));
    launch_gemm<T>(stream, p.y, p.x, p.w, p.bias, p.skip, s.batch, s.rows, s.cols, s.depth, s.one_w, s.activation, way.tile, way.splits,
                   parts);
    check(hipGetLastError(), "launching a matrix product");
    return true;
  }
  LibraryProduct& library = *way.library;
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

template <class T>
struct Gemm {
  using Shape = GemmShape;
  using Task = Product<T>;
  using Way = rocm::Way;
  using Trial = GemmTrial<T>;

  static std::string key(Stream& stream, const Shape& s) { return key_of(stream, s); }
  static std::optional<Way> make(Stream& stream, const Shape& s, const std::string& name) { return make_way(stream, s, name); }

  static std::vector<std::string> defaults(Stream& stream, const Shape& s) {
    std::vector<std::string> names;
    if (stream.planner().prefers("hipblaslt")) names.push_back("hipblaslt:0");
    if (stream.planner().prefers("rocblas")) names.push_back("rocblas");
    names.push_back(least_own(stream.device(), s).name);
    return names;
  }

  static std::vector<std::string> candidates(Stream& stream, const Shape& s) {
    std::vector<std::string> names = {"rocblas"};
    for (int rank = 0; rank < kLibraryRanks; ++rank) names.push_back("hipblaslt:" + std::to_string(rank));
    const double most = 4 * least_own(stream.device(), s).cost;
    for (const Own& own : own_ways(stream.device(), s))
      if (own.cost <= most) names.push_back(own.name);
    return names;
  }

  static bool run(Stream& stream, const Shape& s, const Way& way, const Task& p) { return rocm::run(stream, s, way, p); }
};

}  // namespace

template <class T>
void gemm(Stream& stream, const Product<T>& product) {
  Choices<Gemm<T>>::queue(stream, shape_of(product), product);
}

template void gemm(Stream&, const Product<float>&);
template void gemm(Stream&, const Product<half>&);

}  // namespace rocm
