// Every contender is warmed up, then all take turns for some rounds, so that a change of clock or temperature meets each of them; the
// median of the rounds counts. A round is a captured graph of some runs, as in a pass in play: launched one by one, small kernels would
// be as slow as the host is at launching them.
#include "backends/rocm/linear/auction.h"

#include <algorithm>
#include <cmath>

#include "backends/rocm/device/graph.h"
#include "backends/rocm/linear/planner.h"
#include "error.h"

namespace rocm {
namespace {

constexpr int kWarmUps = 3, kRounds = 7, kMostRepeats = 20;
constexpr float kRoundMicroseconds = 500;  // of one contender, where its repeats suffice
constexpr float kHopeless = 1.4f;          // times the best of the first round: out
constexpr float kMargin = 0.97f;

OfDevice<hipEvent_t> make_event(const Device& device) {
  hipEvent_t event = nullptr;
  check(hipEventCreate(&event), "making an event");
  return {event, Forsake{device.index}};
}

struct Timer {
  const OfDevice<hipEvent_t> begin, end;
  explicit Timer(const Device& device) : begin(make_event(device)), end(make_event(device)) {}
};

struct Runner {
  const Contender* contender;
  int repeats = 1;
  float usual = 0;                // microseconds of a run, once it is known
  Graph graph = {};               // of `repeats` runs; empty where they cannot be captured
  std::vector<float> times = {};  // the same of each round

  // Queues so many; false if the contender cannot.
  bool queue(int count) const {
    for (int i = 0; i < count; ++i)
      if (!contender->run()) return false;
    return true;
  }

  bool run(Stream& stream, const Timer& timer, int repeats) {
    check(hipEventRecord(timer.begin.get(), stream), "measuring");
    if (graph) graph.launch(stream);
    else if (!queue(repeats)) return false;
    check(hipEventRecord(timer.end.get(), stream), "measuring");
    stream.wait(patience(repeats));
    float ms = 0;
    check(hipEventElapsedTime(&ms, timer.begin.get(), timer.end.get()), "measuring");
    times.push_back(ms * 1000 / repeats);
    return true;
  }

  // With so many runs: a multiple of what they took before, and at least some seconds.
  std::chrono::nanoseconds patience(int repeats) const {
    constexpr std::chrono::nanoseconds kLeast = std::chrono::seconds(5);
    constexpr int kTimes = 20;
    return usual == 0 ? Stream::kPatience : std::max(kLeast, std::chrono::nanoseconds(static_cast<std::int64_t>(1000.0 * kTimes * repeats * usual)));
  }

  float median() const {
    std::vector<float> t = times;
    std::nth_element(t.begin(), t.begin() + t.size() / 2, t.end());
    return t[t.size() / 2];
  }
};

// One step of a contender; false takes it out. One that hangs takes the device with it: throws Error.
template <class F>
bool survives(const Device& device, F&& step) {
  try {
    return step();
  } catch (const Error&) {
    check_alive(device);
    return false;
  }
}

const Runner* best(const std::vector<Runner>& runners, bool ours) {
  const Runner* best = nullptr;
  for (const Runner& r : runners)
    if (r.contender->ours == ours && (!best || r.median() < best->median())) best = &r;
  return best;
}

}  // namespace

std::optional<Winner> auction(Stream& stream, const std::vector<Contender>& contenders) {
  const auto measuring = [&] { return stream.planner().measuring(); };
  const Timer timer(stream.device());
  std::vector<Runner> runners;
  for (const Contender& c : contenders) {
    Runner r{&c};
    if (!measuring()) return std::nullopt;
    if (!survives(stream.device(), [&] { return c.good() && r.run(stream, timer, kWarmUps) && r.run(stream, timer, 1); })) continue;
    r.usual = std::max(r.times.back(), 1e-3f);
    r.repeats = std::clamp(int(kRoundMicroseconds / r.usual), 1, kMostRepeats);
    r.graph = Graph(stream, [&] {
      if (!r.queue(r.repeats)) throw Error("a contender that cannot be captured");
    });
    if (!survives(stream.device(), [&] { return r.run(stream, timer, r.repeats); })) continue;  // a graph's first launch is slow
    r.times.clear();
    runners.push_back(std::move(r));
  }
  if (runners.size() == 1) return Winner{runners[0].contender->name, runners[0].usual};  // no rounds for one alone
  for (int round = 0; round < kRounds; ++round) {
    std::erase_if(runners, [&](Runner& r) { return !measuring() || !survives(stream.device(), [&] { return r.run(stream, timer, r.repeats); }); });
    if (!measuring()) return std::nullopt;
    if (round > 0) continue;
    float first = INFINITY;
    for (const Runner& r : runners) first = std::min(first, r.times[0]);
    std::erase_if(runners, [&](const Runner& r) { return r.times[0] > kHopeless * first; });
  }
  if (runners.empty()) return std::nullopt;
  const bool holder = contenders.front().ours;
  const Runner *held = best(runners, holder), *other = best(runners, !holder);
  const Runner* const winner = !held || (other && other->median() < kMargin * held->median()) ? other : held;
  return Winner{winner->contender->name, winner->median()};
}

}  // namespace rocm
