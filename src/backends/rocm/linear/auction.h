// Which of several ways to do the same work is fastest on this device.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/rocm/device/stream.h"

namespace rocm {

struct Contender {
  std::string name;
  bool ours;                   // else a library's
  std::function<bool()> run;   // queues the work; false or an Error: it cannot, and is out
  std::function<bool()> good;  // runs it once more and waits: whether the result is right
};

struct Winner {
  std::string name;
  float microseconds;
};

// The fastest contender by events on the stream, or nothing if none is left or the time for measuring ends meanwhile. A library replaces ours, or ours
// a library, only by a margin: the first contender says which of the two holds the place.
std::optional<Winner> auction(Stream& stream, const std::vector<Contender>& contenders);

}  // namespace rocm
