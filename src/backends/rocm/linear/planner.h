// What a back end knows of the ways to compute products and convolutions on its GPU: which libraries may be called, and which way won
// the auction of a shape. One for all streams of a back end, made from its options; Python keeps the plans in a file.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "backends/rocm/device/device.h"

namespace rocm {

class Planner {
 public:
  // without: names of libraries, spaces between, that are never called: "hipblaslt rocblas miopen". Throws Error for another name.
  // plans: "key winner microseconds" a line, each a word; a line that is none is skipped.
  explicit Planner(const Device& device, const std::string& without = "", const std::string& plans = "");

  // Whether a library may be called on this device, whatever a plan says. rocBLAS ends the process on a GPU that it has no files for.
  bool may_call(const std::string& library) const { return allowed_.contains(library); }
  // Whether it is also a good guess before anything was measured.
  bool prefers(const std::string& library) const;

  // Keys tell of device, library versions, types and shape: "gfx1100.48/rocblas5.2.0/half/gemm/b1/r512/c768/d768/w1/bias/mish".
  std::optional<std::string> planned(const std::string& key) const;  // the winner: "own:64x64:k2"
  void settle(const std::string& key, const std::string& winner, float microseconds);
  std::string plans() const;  // all, as the constructor takes them

  // Shapes without a plan are measured in the next so many seconds, else they take a default.
  void measure_for(double seconds);
  bool measuring() const { return Clock::now() < measure_until_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::string winner;
    float microseconds;
  };

  const std::string architecture_;
  std::set<std::string> allowed_;
  std::atomic<Clock::time_point> measure_until_ = Clock::time_point::min();
  mutable std::mutex mutex_;  // of table_
  std::map<std::string, Entry> table_;
};

}  // namespace rocm
