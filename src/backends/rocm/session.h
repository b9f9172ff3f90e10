// Evaluates batches on a stream of its own.
#pragma once
#include <array>
#include <map>

#include "backends/rocm/device.h"
#include "backends/rocm/graph.h"
#include "backends/rocm/network.h"
#include "backends/rocm/stream.h"
#include "nn/backend.h"

namespace rocm {

// The batch size that `size` positions are evaluated as: 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, ..., at most `most`.
int ladder_step(int size, int most);

template <class T>
class GpuSession final : public nn::Session {
 public:
  // Allocates for batches of up to max_batch; one position goes through the network to find out how much that is. Throws
  // OutOfMemory where it is more than the GPU has, else Error.
  GpuSession(Model<T>& model, const Device& device, Planner& planner, int max_batch, bool graphs);

  // A batch for which memory does not suffice after all is evaluated in parts.
  void evaluate(const nn::Batch& batch) override;
  // Runs all batch sizes up to `most` once, which makes later runs as fast as they get.
  void warm_up(int most);

 private:
  enum Policy { kNone, kOfMoves, kAll, kPolicies };  // that a batch wants
  // Of one batch size and policy: its first run is plain, so that libraries load and choose, and is captured then.
  struct Pass {
    bool captured = false;  // or refused to be
    Graph graph;
  };

  void evaluate(const nn::Batch& batch, int first, int size);
  void exercise(int size, bool policy);  // evaluates empty boards
  void queue(int step, Policy policy);   // the pass
  void reserve(std::size_t bytes);       // for activations

  Model<T>& model_;
  Stream stream_;
  const bool graphs_;
  const std::size_t max_moves_;
  int largest_;  // batch that has not run out of memory
  Mailbox in_, out_;
  std::map<int, std::array<Pass, kPolicies>> passes_;
};

}  // namespace rocm
