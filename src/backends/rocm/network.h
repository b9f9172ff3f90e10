// The network on the device, and its forward pass as calls queued on a stream.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/device/weights.h"
#include "backends/rocm/probe.h"
#include "nn/description.h"

namespace rocm {

// A batch on the device.
struct Input {
  const std::uint64_t* masks;       // (batch, 112)
  const float* values;              // (batch, 112)
  const std::uint16_t* moves;       // policy indices; position p wants moves[first_move[p]] ... moves[first_move[p + 1] - 1]. Null: all
  const std::uint32_t* first_move;  // (batch + 1)
};
struct Output {
  float* values;  // (batch, 3): q, d, m
  float* policy;  // a logit a move, or (batch, 1858); null: not wanted
};

// What is in 8 bits.
struct EightBits {
  bool weights = false;  // of all products that can have them so: whole numbers
  // Rows and weights of the products of encoders and of an embedding's feed-forward part, in numbers of this kind: where they are faster so, or all of them
  // in batches of at least so many and none in smaller ones. Of halves, on a device that can.
  std::optional<Numbers> products = {};
  int always_from = 0;
  bool in(int batch) const { return products && batch >= always_from; }
};

// How a pass goes where there are several ways.
struct PassWay {
  bool beside = false;   // what does not depend on each other, on two streams
  bool smolgen = false;  // by its kernels (smolgen.hip), not layer by layer
};

// Its weights come to the device in the first pass, that is when a session is made.
template <class T>
class Model {
 public:
  Model(nn::Description description, EightBits eight_bits);
  const nn::Description& description() const { return description_; }
  const std::vector<nn::Layer>& layers() const { return layers_; }

  // Queues the pass; what it writes is there when the stream has been waited for. Throws Error. Thread-safe, with a stream a thread.
  void run(Stream& stream, int batch, const Input& in, const Output& out);
  // The same in one way. probe, or null: sees layers as they come, for which what fuses them away is left out.
  void run(Stream& stream, int batch, const Input& in, const Output& out, const PassWay& way, Probe* probe);

 private:
  nn::Description description_;
  std::vector<nn::Layer> layers_;
  const std::string structure_;  // of all nets with these layers, in plans
  const EightBits eight_bits_;
  bool smolgen_fits_ = false;  // its kernels, in each layer
  Weights weights_;
};

}  // namespace rocm
