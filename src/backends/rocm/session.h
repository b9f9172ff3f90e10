// Evaluates batches on a stream of its own.
#pragma once
#include <chrono>
#include <map>
#include <optional>

#include "backends/rocm/device/device.h"
#include "backends/rocm/device/stream.h"
#include "backends/rocm/device/graph.h"
#include "backends/rocm/network.h"
#include "nn/backend.h"

namespace rocm {

// The batch size that `size` positions are evaluated as: 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, ..., at most `most`.
int ladder_step(int size, int most);
int step_below(int step);  // the next smaller one; 1 below 2

// What one batch at a time needs. Used by one thread at a time, which may be another each time.
template <class T>
class GpuSession {
 public:
  GpuSession(Model<T>& model, const Device& device, Planner& planner, bool graphs);  // throws Error

  // Memory for batches of up to max_batch; a few positions go through the network to find out how much that is. Called again for fewer, it
  // never holds more than it did. Throws OutOfMemory where it is more than the GPU has, else Error.
  void reserve(int max_batch);
  // Runs all batch sizes up to max_batch and captures their graphs, so that later runs are as fast as they get and need nothing more.
  // Throws as reserve() does.
  void warm_up();
  void begin_play() { stream_.begin_play(); }

  // What memory does not suffice for after all is evaluated in parts, until there is more of it. Throws Error.
  void evaluate(const nn::Batch& batch);
  // The same in passes that are queued layer by layer, with more memory, which is given back.
  void inspect(const nn::Batch& batch, const nn::Visit& visit);

 private:
  using Duration = std::chrono::nanoseconds;

  // Of one batch size: its first run is plain, so that libraries load and choose; its second is captured.
  struct Pass {
    int runs = 0;
    bool refused = false;  // by the driver, to be captured
    Graph graph;
    Duration longest{};  // wait for one of the first runs
  };
  struct Sample {
    int size = 0;
    std::size_t peak = 0, largest = 0;  // bytes of its activations: all at once, one array
  };

  void allocate(int max_batch, std::size_t activations);
  void exercise(int size);  // evaluates start positions; throws OutOfMemory also where more room cannot be had
  void evaluate(const nn::Batch& batch, int first, int size, const nn::Visit* visit = nullptr);
  void queue(int step);  // the pass
  void run(int step, Probe* probe = nullptr);  // likewise, plainly
  void clear_away(int step);                    // after a pass that has run out of memory
  void shrink_below(int step);
  bool settle();         // after a pass in play: room for what it took; false if there is no memory for that beside what is held
  void forget_graphs();  // they know the old places
  Duration patience(int step) const;  // with the device: a multiple of what it took, and at least some seconds

  Model<T>& model_;
  Stream stream_;
  const bool graphs_;
  int reserved_ = 0, largest_ = 0;  // batches: what there is memory for; that have not run out of it
  int runs_since_refusal_ = 0;      // in smaller batches than were reserved
  std::optional<Mailbox> in_, out_;
  Sample sample_;
  std::map<int, Pass> passes_;
};

}  // namespace rocm
