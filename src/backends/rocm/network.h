// The forward pass of a network for one batch size, as calls queued on a stream.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backends/rocm/model.h"
#include "backends/rocm/stream.h"

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

template <class T>
class Forward {
 public:
  Forward(Model<T>& model, Stream& stream, int batch) : model_(model), stream_(stream), batch_(batch) {}

  // Queues the pass; what it writes is there when the stream has been waited for. Throws Error.
  void run(const Input& in, const Output& out);

 private:
  using Activation = nn::Activation;

  void tower(T* x, const Input& in);
  void embedding(T* tokens, const T* tower, const Input& in);
  void encoder(T* tokens, const Encoder<T>& e, Activation ffn_activation, float alpha, float eps);
  void smolgen(T* bias, const T* tokens, const Smolgen<T>& s, int heads);
  void feed_forward(T* tokens, const FeedForward<T>& f, Activation activation, float alpha, float eps);
  void values(float* out, const T* x);
  LastLayer<T> hidden_layers(const T* x, const ScalarHead<T>& head);
  void policy(float* out, const T* x, const Input& in);

  // y = activation(w x + b) for `rows` rows of each position.
  void dense(T* y, const T* x, const Dense<T>& layer, int rows, Activation activation = Activation::kNone);
  // y = w x: where a layer norm adds the bias.
  void product(T* y, const T* x, const Dense<T>& layer, int rows);
  // y = norm(skip + alpha * activation(x + bias of the layer that made x)); skip may be null.
  void norm(T* y, const T* x, const Dense<T>& layer, const T* skip, const Norm<T>& n, int rows, float alpha, Activation activation, float eps);

  // Activations: so many numbers a position, until the scope ends.
  T* take(std::size_t numbers) { return static_cast<T*>(stream_.arena().take(numbers * batch_ * sizeof(T))); }

  Model<T>& model_;
  Stream& stream_;
  int batch_;
};

}  // namespace rocm
