#include "backends/rocm/linear/gemm.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/choices.h"
#include "backends/rocm/linear/gemm_library.h"
#include "backends/rocm/linear/gemm_trial.h"
#include "backends/rocm/linear/libraries.h"
#include "error.h"

namespace rocm {
namespace {

using nn::Activation;

constexpr int kSplits[] = {1, 2, 4, 8};
constexpr int kWidestTile = 128;   // a side begins with a tile of any width
constexpr int kLibraryRanks = 12;  // of hipBLASLt's algorithms

template <class T>
GemmShape shape_of(const Product<T>& p) {
  GemmShape s{.rows = p.rows, .cols = p.cols, .depth = p.depth, .batch = p.batch, .half = sizeof(T) == 2, .one_w = p.one_w || p.batch == 1};
  if (p.norm) s.norm = true;
  else s.bias = p.bias, s.activation = p.activation, s.side = p.side_cols, s.y8 = bool(p.y8);
  s.w8 = bool(p.w8), s.kind = p.w8 ? p.w8.kind : p.y8.kind, s.quantise = p.quantise, s.x8 = p.quantise || p.x8, s.or_half = s.x8 && p.w;
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

// "int8x8", "fp8x8"
std::string rows8_name(Numbers kind) { return kind == Numbers::kInt8 ? "int8x8" : "fp8x8"; }

std::string key_of(Stream& stream, const GemmShape& s) {
  std::string key = device_prefix(stream) + (s.half ? "/half/gemm" : "/float/gemm");
  for (const auto& [letter, size] : {std::pair{'b', bucket(s.batch)}, {'r', bucket(s.rows)}, {'c', s.cols}, {'d', s.depth}})
    key += std::string("/") + letter + std::to_string(size);
  key += s.one_w ? "/w1" : "/w";
  if (s.norm) key += "/norm";
  if (s.bias) key += "/bias";
  if (s.side) key += "/side" + std::to_string(s.side);
  if (s.w8) key += '/' + (s.x8 ? rows8_name(s.kind) : "int8");
  if (s.quantise) key += "q";
  if (s.or_half) key += "/half";
  if (s.y8) key += s.kind == Numbers::kInt8 ? "/yint8" : "/yfp8";
  return key + '/' + nn::kActivationNames[static_cast<int>(s.activation)];
}

std::string own_name(int tile, int splits) {
  return "own:" + std::to_string(kGemmTiles[tile].rows) + 'x' + std::to_string(kGemmTiles[tile].cols) + ":k" + std::to_string(splits);
}

std::size_t parts_bytes(const GemmShape& s, int splits) {
  return s.half ? gemm_parts_bytes<half>(s.batch, s.rows, s.cols, splits) : gemm_parts_bytes<float>(s.batch, s.rows, s.cols, splits);
}

// What our kernel would take, in clock cycles: a guess to start from and to leave out of an auction what cannot win. A unit holds some blocks
// at once, which take what their multiply-adds or loads take together, or what each waits for alone. Of the 20 ways through each of 25 shapes on
// an H200 (scripts/tiles_h200.json, to which it was fitted) the least takes 1.8 % more than the best, at most 22 %. For AMD's cards its rates are theirs,
// and docs/amd_verification.md has what a model of their times, made from their machine code, says of what it chooses.
double cost(const Device& device, const GemmShape& s, int tile, int splits) {
  constexpr int kHeld[] = {8, 4, 4, 3, 1}, kDeep[] = {64, 64, 32, 32, 32};  // of each tile: blocks of a unit; depth of a step
  constexpr double kLoad = 1.0 / 12, kStart = 3000, kStep = 500, kLaunch = 4500, kPart = 0.5;  // cycles: of a number loaded, and of one of a part
  const auto [parts_of_unit, multiply_adds] = rates_of(device.architecture);
  const double multiply = 1.0 / (parts_of_unit * (s.half ? multiply_adds : 128)), load = kLoad / parts_of_unit;
  const auto [tile_rows, tile_cols] = kGemmTiles[tile];
  const auto count = [](double size, double part) { return std::ceil(size / part); };
  const int units = std::max(device.compute_units, 1);
  const double blocks = count(count(s.rows, tile_rows) * count(s.cols, tile_cols) * s.batch * splits, units);  // of a unit
  const double depth = count(s.depth, splits);
  const double busy = depth * std::max(tile_rows * tile_cols * multiply, (tile_rows + tile_cols) * load);
  const double alone = kStart + kStep * depth / kDeep[tile];
  const double turns = std::floor(blocks / kHeld[tile]), rest = blocks - turns * kHeld[tile];
  const double parts = splits > 1 ? (s.norm ? 0 : kLaunch) + kPart * splits * s.batch * s.rows * s.cols / units : 0;
  return turns * std::max(kHeld[tile] * busy, alone) + (rest > 0 ? std::max(rest * busy, alone) : 0) + parts;
}

constexpr std::size_t kMostParts = std::size_t{128} << 20;  // bytes
bool sensible(const GemmShape& s, int splits, std::size_t most_parts) {
  return splits == 1 || (s.depth >= 64 * splits && parts_bytes(s, splits) <= most_parts);
}

struct Own {
  std::string name;
  double cost;
};
std::vector<Own> own_ways(const Device& device, const GemmShape& s, std::size_t most_parts = kMostParts) {
  std::vector<Own> ways;
  for (int tile = 0; tile < int(std::size(kGemmTiles)); ++tile)
    for (int splits : kSplits)
      if (sensible(s, splits, most_parts)) ways.push_back({own_name(tile, splits), cost(device, s, tile, splits)});
  return ways;
}

Own least_own(const Device& device, const GemmShape& s, std::size_t most_parts = kMostParts) {
  return std::ranges::min(own_ways(device, s, most_parts), {}, &Own::cost);
}

// The same of products by 8-bit weights, in halves; of 32-bit numbers there is no kernel.
constexpr int kFewRows = 512;  // up to which a product is likely bound by its weights: the guess is our kernel

std::string int8_name(int tile, int splits) {
  return "int8:" + std::to_string(kInt8Tiles[tile].rows) + 'x' + std::to_string(kInt8Tiles[tile].cols) + ":k" + std::to_string(splits);
}

// The tile that fits the rows, and parts until each unit has a block.
std::string untried_int8_way(const Device& device, const GemmShape& s, std::size_t most_parts) {
  int tile = 0, splits = 1;
  while (tile + 1 < int(std::size(kInt8Tiles)) && kInt8Tiles[tile].rows < s.rows) ++tile;
  const auto [tile_rows, tile_cols] = kInt8Tiles[tile];
  const int blocks = ((s.rows - 1) / tile_rows + 1) * ((s.cols - 1) / tile_cols + 1);
  for (int more : kSplits)
    if (blocks * splits < device.compute_units && sensible(s, more, most_parts)) splits = more;
  return int8_name(tile, splits);
}

// And of products of 8-bit rows by 8-bit weights, for which there is one kernel, without parts.
std::string own_rows8_name(Numbers kind, int tile) {
  return rows8_name(kind) + ':' + std::to_string(kRows8Tiles[tile].rows) + 'x' + std::to_string(kRows8Tiles[tile].cols);
}

// The largest tile that leaves no unit without a block, else the smallest.
std::string untried_rows8_way(const Device& device, const GemmShape& s) {
  int tile = std::size(kRows8Tiles) - 1;
  const auto blocks = [&](GemmTile t) { return ((s.rows - 1) / t.rows + 1) * ((s.cols - 1) / t.cols + 1); };
  while (tile > 0 && blocks(kRows8Tiles[tile]) < device.compute_units) --tile;
  return own_rows8_name(s.kind, tile);
}

std::size_t expanded_bytes(const GemmShape& s) { return std::size_t(s.cols) * s.depth * sizeof(half); }

// plans -----------------------------------------------------------------------

struct Way {  // "own:64x64:k2", "rocblas", "hipblaslt:0", "apart"; by 8-bit weights "int8:64x64:k2", "expanded"; of 8-bit rows
            // "int8x8:64x64", "fp8x8:64x64", "hipblaslt:0", "half"
  std::unique_ptr<LibraryProduct> library;  // or
  bool apart = false;                       // as two products, each in its own way; or
  bool expanded = false;                    // by weights expanded for it, in the way of such a product; or
  bool in_half = false;                     // by rows and weights in halves, likewise; or our own kernel:
  int tile = 0, splits = 1;
};

std::optional<Way> make_way(Stream& stream, const GemmShape& s, const std::string& name) {
  Way way;
  if (name == "apart") {
    way.apart = true;
    return way;
  }
  if (s.x8 && !name.starts_with("hipblaslt:")) {
    way.in_half = s.or_half && name == "half";
    if (way.in_half) return way;
    for (way.tile = 0; way.tile < int(std::size(kRows8Tiles)); ++way.tile)
      if (own_rows8_name(s.kind, way.tile) == name) return way;
    return std::nullopt;
  }
  if (s.w8 && !s.x8) {
    way.expanded = name == "expanded";
    for (way.tile = 0; !way.expanded && way.tile < int(std::size(kInt8Tiles)); ++way.tile)
      for (int splits : kSplits)
        if (way.splits = splits, s.half && int8_name(way.tile, splits) == name) return way;
    return way.expanded ? std::optional(std::move(way)) : std::nullopt;
  }
  if (s.side && !name.starts_with("own:")) return std::nullopt;
  if (name == "rocblas") {
    if (stream.planner().may_call(name)) way.library = LibraryProduct::rocblas(stream, s);
  } else if (name.starts_with("hipblaslt:")) {
    if (stream.planner().may_call("hipblaslt") && (!s.x8 || s.kind != Numbers::kInt8))
      way.library = LibraryProduct::hipblaslt(stream, s, std::atoi(name.c_str() + name.find(':') + 1));
  } else {
    for (way.tile = 0; way.tile < int(std::size(kGemmTiles)); ++way.tile)
      for (int splits : kSplits)
        if (way.splits = splits, own_name(way.tile, splits) == name) return way;
  }
  return way.library ? std::optional(std::move(way)) : std::nullopt;
}

// Queues what is left to do when the sums of p are there, in `parts` (splits, batch, rows, ld).
template <class Part, class T>
void finish(Stream& stream, const Product<T>& p, const Part* parts, int splits, int ld) {
  const std::size_t rows = std::size_t(p.batch) * p.rows;
  if (p.norm) {
    launch_layer_norm<Part, T>(stream, p.y, parts, splits, ld, p.bias, p.norm->skip, p.norm->gain, p.norm->shift, rows, p.cols, p.norm->alpha,
                               p.activation, p.norm->eps, p.y8);
    return;
  }
  if constexpr (sizeof(Part) == 2)
    if (p.y8) return launch_activate_rows(stream, p.y8, p.y, parts, p.bias, rows, p.cols, p.activation);
  launch_gemm_finish<Part, T>(stream, p.y, p.side, p.side_cols, parts, splits, p.bias, rows, p.cols, ld, p.activation);
}

// The products for y and for side.
template <class T>
void queue_apart(Stream& stream, const Product<T>& p) {
  Product<T> y = p, side = p;
  y.cols -= p.side_cols, y.side_cols = 0, y.side = nullptr;
  side.y = p.side, side.cols = p.side_cols, side.side_cols = 0, side.side = nullptr;
  if (p.w8) side.w8 = p.w8.from(y.cols, p.depth);
  if (p.w) side.w += std::size_t(y.cols) * p.depth;
  if (p.bias) side.bias += y.cols;
  gemm(stream, y);
  gemm(stream, side);
}

template <class T>
void queue_expanded(Stream& stream, const Product<T>& p) {
  Product<T> by = p;
  T* const w = static_cast<T*>(stream.workspace(sizeof(T) * p.cols * p.depth, Stream::Room::kWeights));
  launch_expand_weights<T>(stream, w, static_cast<const std::int8_t*>(p.w8.numbers), p.w8.scales, p.cols, p.depth);
  by.w = w, by.w8 = {};
  gemm(stream, by);
}

template <class T>
void queue_in_half(Stream& stream, const Product<T>& p) {
  Product<T> by = p;
  by.w8 = by.x8 = {}, by.quantise = false;
  gemm(stream, by);
}

// Queues the product; false if the way's library refuses it.
template <class T>
bool run(Stream& stream, const GemmShape& s, const Way& way, const Product<T>& p) {
  if (way.apart) {
    queue_apart(stream, p);
    return true;
  }
  if (way.expanded) {
    queue_expanded(stream, p);
    return true;
  }
  if (way.in_half) {
    queue_in_half(stream, p);
    return true;
  }
  const Arena::Scope scope(stream.arena());
  T* whole = p.y;  // where the product goes if it is not left in parts
  if (p.norm && p.norm->skip == p.y) whole = stream.arena().take<T>(std::size_t(s.batch) * s.rows * s.cols);
  Rows8 x8 = p.x8;
  if constexpr (sizeof(T) == 2) {
    if (s.quantise) {
      Arena& arena = stream.arena();
      x8 = {arena.take(std::size_t(s.rows) * s.depth), arena.take<float>(s.rows), s.kind};
      launch_quantise_rows(stream, x8, p.x, s.rows, s.depth);
    }
  }
  if (!way.library) {
    const std::size_t bytes = parts_bytes(s, way.splits);
    auto* const parts = bytes ? static_cast<float*>(stream.workspace(bytes)) : nullptr;
    const T* const bias = s.bias ? p.bias : nullptr;
    if constexpr (sizeof(T) == 2) {
      if (s.x8)
        launch_gemm_rows8(stream, whole, p.side, s.side, x8, p.w8, bias, s.rows, s.cols, s.depth, s.activation, way.tile);
      else if (s.w8)
        launch_gemm_int8(stream, whole, p.side, s.side, p.x, static_cast<const std::int8_t*>(p.w8.numbers), p.w8.scales, bias, s.rows, s.cols, s.depth,
                         s.activation, way.tile, way.splits, parts);
    }
    if (!s.w8)
      launch_gemm<T>(stream, whole, p.side, s.side, p.x, p.w, bias, s.batch, s.rows, s.cols, s.depth, s.one_w, s.activation, way.tile, way.splits,
                     parts);
    if (parts) finish(stream, p, parts, way.splits, (s.cols + 7) / 8 * 8);
    else if (p.norm) finish(stream, p, whole, 1, s.cols);
    if constexpr (sizeof(T) == 2)
      if (s.y8) launch_quantise_rows(stream, p.y8, p.y, s.rows, s.cols);
  } else {
    LibraryProduct& library = *way.library;
    Product<T> rest = p;
    if (library.fuses_bias) rest.bias = nullptr;
    if (library.fuses_activation) rest.activation = Activation::kNone;
    const GemmPointers of = s.x8 ? GemmPointers{x8.numbers, p.w8.numbers, p.bias, x8.scales, p.w8.scales} : GemmPointers{p.x, p.w, p.bias, nullptr, nullptr};
    if (!library.run(stream, of, whole, stream.workspace(library.workspace))) return false;
    if (rest.norm || rest.bias || rest.activation != Activation::kNone || s.y8) finish(stream, rest, whole, 1, s.cols);
  }
  check(hipGetLastError(), "launching a matrix product");
  return true;
}

template <class T>
struct Gemm {
  using Shape = GemmShape;
  using Task = Product<T>;
  using Way = rocm::Way;

  static GemmTrial<T> trial(Stream& stream, const Shape& s, const Task&) { return {stream, s}; }
  static std::string key(Stream& stream, const Shape& s) { return key_of(stream, s); }
  static std::optional<Way> make(Stream& stream, const Shape& s, const std::string& name) { return make_way(stream, s, name); }

  static std::vector<std::string> defaults(Stream& stream, const Shape& s) {
    const bool hipblaslt = stream.planner().prefers("hipblaslt"), rocblas = stream.planner().prefers("rocblas") && stream.may_default_to_rocblas();
    if (s.x8) return {untried_rows8_way(stream.device(), s)};
    if (s.w8) {
      if (!s.half) return {"expanded"};
      const std::string ours = untried_int8_way(stream.device(), s, std::min(kMostParts, stream.most_default_workspace()));
      if (s.rows <= kFewRows || expanded_bytes(s) > stream.most_default_workspace(Stream::Room::kWeights)) return {ours};
      return {"expanded", ours};
    }
    std::vector<std::string> names;
    if (s.side && (hipblaslt || rocblas)) names.push_back("apart");
    if (hipblaslt) names.push_back("hipblaslt:0");
    if (rocblas) names.push_back("rocblas");
    names.push_back(least_own(stream.device(), s, std::min(kMostParts, stream.most_default_workspace())).name);
    return names;
  }

  static std::vector<std::string> candidates(Stream& stream, const Shape& s) {
    std::vector<std::string> names;
    names.reserve(kLibraryRanks + 16);  // GCC 16 takes a vector that grows from one element for an array of one
    if (s.x8) {
      for (int tile = 0; tile < int(std::size(kRows8Tiles)); ++tile) names.push_back(own_rows8_name(s.kind, tile));
      if (s.or_half) names.push_back("half");
      if (s.kind == Numbers::kInt8) return names;  // of which libraries make whole numbers, not halves
      if (s.side) names.push_back("apart");
      for (int rank = 0; rank < kLibraryRanks; ++rank) names.push_back("hipblaslt:" + std::to_string(rank));
      return names;
    }
    if (s.w8) {
      names.push_back("expanded");
      for (int tile = 0; s.half && tile < int(std::size(kInt8Tiles)); ++tile)
        for (int splits : kSplits)
          if (sensible(s, splits, kMostParts)) names.push_back(int8_name(tile, splits));
      return names;
    }
    names.push_back("rocblas");
    if (s.side) names.push_back("apart");
    for (int rank = 0; rank < kLibraryRanks; ++rank) names.push_back("hipblaslt:" + std::to_string(rank));
    const double most = 4 * least_own(stream.device(), s).cost;
    for (const Own& own : own_ways(stream.device(), s))
      if (own.cost <= most) names.push_back(own.name);
    return names;
  }

  static bool run(Stream& stream, const Shape& s, const Way& way, const Task& p) { return rocm::run(stream, s, way, p); }
};

}  // namespace

bool fits_rows8(int cols, int depth) { return cols % 8 == 0 && depth % 16 == 0 && depth <= kRows8MostDepth; }

std::string untried_own_way(const Device& device, const GemmShape& shape) { return least_own(device, shape).name; }

template <class T>
void gemm(Stream& stream, const Product<T>& product) {
  if (product.side_cols && (product.cols - product.side_cols) % kWidestTile) queue_apart(stream, product);
  else Choices<Gemm<T>>::queue(stream, shape_of(product), product);
}

template void gemm(Stream&, const Product<float>&);
template void gemm(Stream&, const Product<half>&);

}  // namespace rocm
