// A plan: the forward pass for one batch size as a list of steps, each with its oneDNN primitive, weights and tensors
// bound. network.cc writes plans; a lane (one thread of a session) keeps one for every batch size it meets.
#pragma once
#include <dnnl.hpp>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/cpu/number.h"
#include "backends/cpu/weights.h"

namespace cpu {

// What a forward pass computes with.
struct Precision {
  dnnl::memory::data_type type;  // of activations and weights; f32 or bf16
  bool int8 = false;             // encoders multiply in 8 bits
};

inline constexpr int kMaxSlice =
    16;  // positions a lane evaluates at once: their activations fit the second-level cache

// Rows belong to one position: (batch, rows, cols) in memory.
struct Tensor {
  dnnl::memory::data_type type;
  std::byte* data;
  int rows, cols;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

// f(T{}), T being float or BFloat16 as `type` says.
template <class F>
void for_number(dnnl::memory::data_type type, F f) {
  if (type == dnnl::memory::data_type::bf16) f(BFloat16{});
  else f(float{});
}

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Bytes = std::unique_ptr<std::byte[], Free>;
Bytes aligned_bytes(std::size_t bytes);  // to 64

// Memory for the tensors of one lane, kMaxSlice positions each, by name. Plans of a lane never run at the same time, so
// steps and plans that use a name share its memory.
class Arena {
 public:
  std::byte* take(const std::string& name, std::size_t bytes);

 private:
  struct Block {
    std::size_t size = 0;
    std::byte* data = nullptr;
  };
  std::map<std::string, Block> named_;
  std::vector<Bytes> blocks_;  // also those that a larger one has replaced: earlier steps use them
};

class Plan {
 public:
  Plan(Weights& weights, Arena& arena, Precision precision, int batch);

  int batch() const { return batch_; }
  dnnl::memory::data_type type() const { return type_; }
  Weights& weights() { return weights_; }

  Tensor tensor(const std::string& name, int rows, int cols) { return take(name, type_, rows, cols); }
  Tensor floats(const std::string& name, int rows, int cols) {
    return take(name, dnnl::memory::data_type::f32, rows, cols);
  }

  // dst = activation(w src + b [+ dst]), src regrouped to rows of layer.in().
  void dense(Tensor dst, Tensor src, const nn::Dense& layer, nn::Activation activation = nn::Activation::kNone,
             bool accumulate = false);
  // The same, in 8 bits where the plan has them.
  void dense_int8(Tensor dst, Tensor src, const nn::Dense& layer, nn::Activation activation = nn::Activation::kNone);
  // dst = activation(convolution(src) [+ dst])
  void conv3x3(Tensor dst, Tensor src, const nn::Convolution& convolution, nn::Activation activation, bool accumulate = false);
  // Any other step: f(T{}) is called, T being float or BFloat16 as the plan's type has it.
  template <class F>
  void step(F f) {
    for_number(type_, [&](auto number) { steps_.push_back([f, number] { f(number); }); });
  }

  std::size_t steps() const { return steps_.size(); }
  void run() { run(0, steps()); }
  void run(std::size_t first, std::size_t end);  // these steps

 private:
  Tensor take(const std::string& name, dnnl::memory::data_type type, int rows, int cols);
  void winograd(Tensor dst, Tensor src, const nn::Convolution& convolution, nn::Activation activation, bool accumulate);
  dnnl::memory scratch(const dnnl::memory::desc& description, std::size_t offset = 0);
  void add(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
           std::unordered_map<int, dnnl::memory> arguments);

  Weights& weights_;
  Arena& arena_;
  const dnnl::memory::data_type type_;
  const bool int8_;
  const int batch_;
  dnnl::stream stream_;
  std::vector<std::function<void()>> steps_;
  Bytes scratch_;  // for the step that runs; allocated by the first run
  std::size_t scratch_bytes_ = 0;
  std::vector<std::pair<dnnl::memory, std::size_t>> in_scratch_;  // with their offsets
};

}  // namespace cpu
