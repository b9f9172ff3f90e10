// Evaluations from a hash of the planes: the same position always gets the same numbers, and no network is needed. It exists
// for tests of what stands above, and so that the search can be timed alone: hashing 112 planes is all it costs.
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <thread>

#include "backends/input_mode.h"
#include "chess/policy.h"
#include "error.h"
#include "nn/backend.h"

namespace {

constexpr std::uint64_t mix(std::uint64_t x) {  // the finaliser of splitmix64
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

constexpr auto kKeys = [] {
  std::array<std::uint32_t, 2 * chess::kPlanes> keys{};
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::uint32_t>(mix(i + 1));
  return keys;
}();

// NH of UMAC: a sum of 32 x 32 bit products, which compilers vectorise. Plane 109 alone has a value other than 1.
std::uint64_t hash(const chess::Planes& planes, std::uint64_t seed) {
  std::uint64_t sum = 0;
  for (int i = 0; i < chess::kPlanes; ++i) {
    const std::uint32_t low = static_cast<std::uint32_t>(planes.mask[i]) + kKeys[2 * i];
    const std::uint32_t high = static_cast<std::uint32_t>(planes.mask[i] >> 32) + kKeys[2 * i + 1];
    sum += static_cast<std::uint64_t>(low) * high;
  }
  return mix(sum ^ mix(seed + 1) ^ static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(planes.value[109])) << 20);
}

float unit(std::uint64_t x) { return static_cast<float>(x >> 40) * 0x1p-24f; }  // [0, 1)

struct Settings {
  std::uint64_t seed;
  bool uniform;  // every move alike, every position 0
  std::chrono::milliseconds delay;
};

class RandomSession final : public nn::Session {
 public:
  explicit RandomSession(const Settings& settings) : settings_(settings) {}

  void evaluate(const nn::Batch& batch) override {
    if (settings_.delay.count() > 0) std::this_thread::sleep_for(settings_.delay);
    for (int i = 0; i < batch.size; ++i) {
      const std::uint64_t key = settings_.uniform ? 0 : hash(batch.planes[i], settings_.seed);
      if (batch.values) batch.values[i] = value(key);
      nn::for_each_logit(batch, i, 1, [&](int, std::uint16_t move, std::size_t place) { batch.policy[place] = logit(key, move); });
    }
  }

 private:
  nn::Value value(std::uint64_t key) const {
    if (settings_.uniform) return {};
    const float d = unit(mix(key + 1));
    return {(2 * unit(key) - 1) * (1 - d), d, 0};
  }
  float logit(std::uint64_t key, std::uint64_t move) const {  // -2 .. 2
    return settings_.uniform ? 0 : 4 * unit(mix(key ^ (move + 1) << 32)) - 2;
  }

  Settings settings_;
};

class Random final : public nn::Backend {
 public:
  explicit Random(const nn::Options& options)
      : settings_{static_cast<std::uint64_t>(options.integer("seed", 0)), options.flag("uniform", false),
                  std::chrono::milliseconds(options.integer("delay", 0))},
        most_(options.integer("sessions", INT64_MAX)) {
    info_.device = "hash of the position, no network";
    info_.input_format = input_mode(options);
    info_.wdl = true;
    info_.cpu = settings_.delay.count() == 0;  // with a delay it stands for a device
  }
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override {
    if (opened_++ >= most_) throw Error("random: there are no more than " + std::to_string(most_) + " sessions");
    return std::make_unique<RandomSession>(settings_);
  }

 private:
  Settings settings_;
  std::int64_t most_;  // sessions, as of a device without memory for more
  std::atomic<std::int64_t> opened_ = 0;
  nn::Info info_;
};

const nn::Registration kRandom(
    "random", [](auto, const nn::Options& options) { return std::make_unique<Random>(options); }, nullptr, false);

}  // namespace
