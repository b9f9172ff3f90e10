#include "backends/rocm/linear/tower.h"

#include <algorithm>
#include <random>

#include "backends/rocm/kernels/winograd.h"
#include "backends/rocm/linear/choices.h"
#include "backends/rocm/linear/conv.h"
#include "backends/rocm/linear/conv_weights.h"
#include "backends/rocm/linear/libraries.h"
#include "backends/rocm/linear/shapes.h"
#include "chess/encode.h"

namespace rocm {
namespace {

constexpr int kSquares = 64;

template <class T>
struct TowerTask {
  T* y;
  const nn::Tower* tower;
  Weights* weights;
  const std::uint64_t* masks;
  const float* values;
};

template <class T>
void convolve(Stream& stream, const TowerShape& s, const TowerTask<T>& task, T* y, const T* x, const nn::Convolution& c,
              const SqueezeExcitation<T>* se = nullptr, const T* skip = nullptr) {
  conv3x3<T>(stream, *task.weights, y, x, c, se, skip, s.batch, s.activation);
}

template <class T>
void convolve_planes(Stream& stream, const TowerShape& s, const TowerTask<T>& task) {
  const Arena::Scope scope(stream.arena());
  T* const planes = stream.arena().take<T>(std::size_t(s.batch) * kSquares * chess::kPlanes);
  launch_expand_tokens<T>(stream, planes, task.masks, task.values, nullptr, s.batch, 0, true, chess::kPlanes);
  convolve<T>(stream, s, task, task.y, planes, task.tower->input);
}

template <class T>
void run_layers(Stream& stream, const TowerShape& s, const TowerTask<T>& task) {
  convolve_planes(stream, s, task);
  T* const inner = stream.arena().take<T>(std::size_t(s.batch) * kSquares * s.channels);
  for (const nn::Residual& block : task.tower->blocks) {
    const SqueezeExcitation<T> se = on_device<T>(*task.weights, block.se);
    convolve<T>(stream, s, task, inner, task.y, block.conv1);
    convolve<T>(stream, s, task, task.y, inner, block.conv2, block.se ? &se : nullptr, task.y);
  }
}

// By Winograd's products, between which there is one launch each.
template <class T>
void run_chained(Stream& stream, const TowerShape& s, const TowerTask<T>& task) {
  const nn::Tower& tower = *task.tower;
  Weights& weights = *task.weights;
  const std::size_t size = std::size_t(kPoints) * s.batch * kTiles * s.channels;
  T *v = stream.arena().take<T>(size), *m = stream.arena().take<T>(size);
  convolve_planes(stream, s, task);
  launch_winograd_input(stream, v, task.y, s.batch, s.channels);
  const auto multiply = [&](const nn::Convolution& c) {
    multiply_winograd(stream, m, v, weights.array<T>(winograd_weights(c.w)), s.batch, s.channels, s.channels);
  };
  for (const nn::Residual& block : tower.blocks) {
    const SqueezeExcitation<T> se = on_device<T>(weights, block.se);
    multiply(block.conv1);
    launch_winograd_between<T>(stream, v, nullptr, m, weights.array<T>(block.conv1.b), nullptr, nullptr, s.batch, s.channels, s.activation);
    multiply(block.conv2);
    launch_winograd_between<T>(stream, &block == &tower.blocks.back() ? nullptr : v, task.y, m, weights.array<T>(block.conv2.b), task.y,
                               block.se ? &se : nullptr, s.batch, s.channels, s.activation);
  }
}

void run_fused(Stream& stream, const TowerShape& s, const TowerTask<half>& task, int tile) {
  const nn::Tower& tower = *task.tower;
  const auto array = [&](const nn::Weight& w) { return task.weights->array<half>(w); };
  for (std::size_t first = 0; first < tower.blocks.size(); first += kTowerBlocks) {
    TowerPart<half> part = {};
    if (first == 0) part.input_w = array(tower_weights(tower.input.w)), part.input_b = array(tower.input.b);
    part.count = std::min<int>(kTowerBlocks, tower.blocks.size() - first);
    for (int i = 0; i < part.count; ++i) {
      const nn::Residual& block = tower.blocks[first + i];
      part.blocks[i] = {array(tower_weights(block.conv1.w)), array(block.conv1.b), array(tower_weights(block.conv2.w)), array(block.conv2.b),
                        on_device<half>(*task.weights, block.se)};
    }
    launch_tower(stream, task.y, task.y, task.masks, task.values, part, s.batch, s.activation, tile);
  }
}

// The net's own weights over random planes: good() compares with the tower layer by layer.
template <class T>
class TowerTrial {
 public:
  TowerTrial(Stream& stream, const TowerShape& shape, const TowerTask<T>& task)
      : stream_(stream), s_(shape), task_(task), size_(std::size_t(s_.batch) * kSquares * s_.channels), y_(size_ * sizeof(T)) {
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> masks(std::size_t(s_.batch) * chess::kPlanes);
    std::vector<float> values(masks.size());
    for (std::uint64_t& mask : masks) mask = random() & random();
    for (float& value : values) value = random() % 2;
    masks_ = upload(masks), values_ = upload(values);
    task_.y = y_.template as<T>(), task_.masks = masks_.as<std::uint64_t>(), task_.values = values_.as<float>();
  }

  TowerTask<T> task() const { return task_; }

  bool good(const std::function<bool(const TowerTask<T>&)>& run) {
    if (expected_.empty()) {
      const Arena::Scope scope(stream_.arena());
      run_layers(stream_, s_, task_);
      expected_ = result();
    }
    check(hipMemsetAsync(y_.template as<void>(), 0xff, y_.bytes(), stream_), "filling memory");  // NaN: what is not written will be seen
    if (!run(task_)) return false;
    const std::vector<T> y = result();
    double error = 0, size = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      error = std::max(error, std::abs(double(float(y[i])) - double(float(expected_[i]))));
      if (!(error < INFINITY)) return false;  // NaN
      size = std::max(size, std::abs(double(float(expected_[i]))));
    }
    constexpr double kTolerance = 0.02;  // of the largest: roundings to half of the layers before
    return error <= kTolerance * size;
  }

 private:
  template <class N>
  DeviceMemory upload(const std::vector<N>& numbers) {
    DeviceMemory memory(numbers.size() * sizeof(N));
    check(hipMemcpy(memory.as<void>(), numbers.data(), memory.bytes(), hipMemcpyHostToDevice), "filling memory");
    return memory;
  }
  std::vector<T> result() {
    stream_.wait();
    std::vector<T> y(size_);
    check(hipMemcpy(y.data(), task_.y, y_.bytes(), hipMemcpyDeviceToHost), "reading a result");
    return y;
  }

  Stream& stream_;
  const TowerShape s_;
  TowerTask<T> task_;
  const std::size_t size_;
  DeviceMemory y_, masks_, values_;
  std::vector<T> expected_;
};

template <class T>
struct Towers {
  using Shape = TowerShape;
  using Task = TowerTask<T>;
  struct Way {
    std::optional<int> tile;  // "fused:128", its threads; or
    bool chained = false;     // "chained"; or "layers"
    static constexpr bool library = false;
  };

  static TowerTrial<T> trial(Stream& stream, const Shape& s, const Task& task) { return {stream, s, task}; }
  static std::string key(Stream& stream, const Shape& s) {
    const auto word = [](auto number) { return std::to_string(number); };
    return stream.device().kind() + (s.half ? "/half" : "/float") + "/tower/b" + word(s.batch) + "/c" + word(s.channels) + "/n" + word(s.blocks) +
           (s.se ? "/se" + word(s.se) : "") + '/' + nn::kActivationNames[int(s.activation)];
  }

  // Without matrix instructions our kernel is for those who have measured that it is faster.
  static std::vector<std::string> defaults(Stream& stream, const Shape& s) {
    std::vector<std::string> names = has_matrix_instructions(stream.device().architecture) ? candidates(stream, s) : std::vector<std::string>{"layers"};
    std::erase(names, "chained");
    return names;
  }
  static std::vector<std::string> candidates(Stream&, const Shape& s) {
    std::vector<std::string> names;
    for (const TowerTile& tile : kTowerTiles)
      if (fits(tile, s)) names.push_back(name_of(tile));
    if (chains(s)) names.push_back("chained");
    names.push_back("layers");
    return names;
  }

  static std::optional<Way> make(Stream&, const Shape& s, const std::string& name) {
    if (name == "layers") return Way{};
    if (name == "chained" && chains(s)) return Way{{}, true};
    for (int tile = 0; tile < int(std::size(kTowerTiles)); ++tile)
      if (fits(kTowerTiles[tile], s) && name == name_of(kTowerTiles[tile])) return Way{tile};
    return std::nullopt;
  }

  static bool run(Stream& stream, const Shape& s, const Way& way, const Task& task) {
    const Arena::Scope scope(stream.arena());
    if (way.chained) {
      run_chained(stream, s, task);
    } else if (!way.tile) {
      run_layers(stream, s, task);
    } else if constexpr (sizeof(T) == 2) {
      run_fused(stream, s, task, *way.tile);
    }
    check(hipGetLastError(), "launching a tower");
    return true;
  }

 private:
  // A launch has residual blocks, and their squeeze and excitation some LDS.
  static bool fits(const TowerTile& tile, const Shape& s) {
    return s.half && s.blocks > 0 && s.channels == tile.channels && s.se <= s.channels;
  }
  static bool chains(const Shape& s) { return s.blocks > 0 && winograd_chains(s.channels, s.se > 0); }
  static std::string name_of(const TowerTile& tile) { return "fused:" + std::to_string(tile.threads); }
};

}  // namespace

template <class T>
SqueezeExcitation<T> on_device(Weights& weights, const std::optional<nn::SqueezeExcitation>& se) {
  const auto array = [&](const nn::Weight& w) { return weights.array<T>(w); };
  return se ? SqueezeExcitation<T>{array(se->squeeze.w), array(se->squeeze.b), array(se->excite.w), array(se->excite.b), se->squeeze.out()}
            : SqueezeExcitation<T>{};
}

template SqueezeExcitation<float> on_device(Weights&, const std::optional<nn::SqueezeExcitation>&);
template SqueezeExcitation<half> on_device(Weights&, const std::optional<nn::SqueezeExcitation>&);

template <class T>
void tower(Stream& stream, Weights& weights, T* y, const nn::Tower& tower, const std::uint64_t* masks, const float* values, int batch) {
  TowerShape shape{batch, tower.input.out(), int(tower.blocks.size()), 0, sizeof(T) == 2, tower.activation};
  for (const nn::Residual& block : tower.blocks)
    if (block.se) shape.se = std::max(shape.se, block.se->squeeze.out());
  Choices<Towers<T>>::queue(stream, shape, {y, &tower, &weights, masks, values});
}

template void tower(Stream&, Weights&, float*, const nn::Tower&, const std::uint64_t*, const float*, int);
template void tower(Stream&, Weights&, half*, const nn::Tower&, const std::uint64_t*, const float*, int);

}  // namespace rocm
