// Which way a stream computes each shape that it has met: as planned, else as measured now, else a default; where a library refuses, ours
// from then on. The same for products and convolutions. A Kind has
//   Shape, Task      what is asked for, without and with its pointers
//   Way              a way made ready; its `library` is null where the way is our own kernels
//   trial(stream, shape, task)       for measuring: its task(), over known numbers, and its good(run), whether run(task) gives what it should
//   key(stream, shape)               the shape's name among the plans
//   defaults(stream, shape)          names of ways, the best guess first, one of ours last, which can always be made
//   candidates(stream, shape)        names of all ways that may be worth their measurement
//   make(stream, shape, name)        the way, or nothing where it cannot be had; throws Error where a library fails
//   run(stream, shape, way, task)    queues the work; false if the way's library refuses
#pragma once
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/linear/auction.h"
#include "backends/rocm/linear/planner.h"

namespace rocm {

template <class Kind>
class Choices {
 public:
  using Shape = typename Kind::Shape;
  using Task = typename Kind::Task;

  static void queue(Stream& stream, const Shape& shape, const Task& task) {
    auto& known = stream.attached<Choices>().known_;
    auto found = known.find(shape);
    if (found == known.end() || (!found->second.settled && stream.planner().measuring()))
      found = known.insert_or_assign(shape, choose(stream, shape, task)).first;
    Choice& choice = found->second;
    if (Kind::run(stream, shape, choice.way, task)) return;
    choice = {*make(stream, shape, Kind::defaults(stream, shape).back()), true};
    Kind::run(stream, shape, choice.way, task);
  }

 private:
  using Way = typename Kind::Way;
  struct Choice {
    Way way;
    bool settled = false;  // planned, measured, or the last resort; else until somebody measures
  };

  static std::optional<Way> make(Stream& stream, const Shape& shape, const std::string& name) {
    try {
      return Kind::make(stream, shape, name);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  static Choice choose(Stream& stream, const Shape& shape, const Task& task) {
    Planner& planner = stream.planner();
    const std::string key = Kind::key(stream, shape);
    if (const auto winner = planner.planned(key))
      if (auto way = make(stream, shape, *winner)) return {std::move(*way), true};
    auto [name, way] = usual(stream, shape);
    if (planner.measuring())
      if (const auto winner = measure(stream, shape, task, name))
        if (auto best = make(stream, shape, winner->name)) {
          planner.settle(key, winner->name, winner->microseconds);
          return {std::move(*best), true};
        }
    return {std::move(way), false};
  }

  static std::pair<std::string, Way> usual(Stream& stream, const Shape& shape) {
    const auto names = Kind::defaults(stream, shape);
    for (const std::string& name : names)
      if (auto way = make(stream, shape, name)) return {name, std::move(*way)};
    throw Error("no way to compute " + Kind::key(stream, shape));
  }

  // The winner of the shape's auction, in which `holder` has the place; nothing if nobody could be measured.
  static std::optional<Winner> measure(Stream& stream, const Shape& shape, const Task& task, const std::string& holder) {
    std::vector<std::string> names = Kind::candidates(stream, shape);
    std::erase(names, holder);
    names.insert(names.begin(), holder);
    try {
      auto trial = Kind::trial(stream, shape, task);
      std::list<Way> ways;
      std::vector<Contender> contenders;
      for (const std::string& name : names) {
        if (!stream.planner().measuring()) return std::nullopt;
        auto made = make(stream, shape, name);  // MIOpen compiles, which takes seconds
        if (!made) continue;
        const Way& way = ways.emplace_back(std::move(*made));
        const auto run = [&](const Task& task) { return Kind::run(stream, shape, way, task); };
        contenders.push_back({name, !way.library, [run, &trial] { return run(trial.task()); }, [run, &trial] { return trial.good(run); }});
      }
      return auction(stream, contenders);
    } catch (const OutOfMemory&) {
      return std::nullopt;
    }
  }

  std::map<Shape, Choice> known_;
};

}  // namespace rocm
