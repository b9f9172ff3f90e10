// A captured sequence of calls, queued again with one call of the host.
#pragma once
#include <hip/hip_runtime.h>

#include <functional>

#include "backends/rocm/device/device.h"

namespace rocm {

class Graph {
 public:
  Graph() = default;
  // Captures what `queue` queues on `stream`, without running it. Empty where the driver or a library refuses: some do.
  Graph(hipStream_t stream, const std::function<void()>& queue);

  explicit operator bool() const { return exec_ != nullptr; }
  void launch(hipStream_t stream) const;  // throws Error

 private:
  OfDevice<hipGraphExec_t> exec_;
};

}  // namespace rocm
