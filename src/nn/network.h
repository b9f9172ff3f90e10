// A network as every back end reads it: the architecture and named arrays, still encoded as in the file. Python has
// checked that every array is there and has its size; back ends only read.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chess/encode.h"

namespace nn {

enum class Activation { kNone, kRelu, kRelu2, kMish, kSwish, kSelu, kTanh, kSigmoid };
enum class PolicyHead { kClassical = 1, kConvolution = 2, kAttention = 3 };  // numbers of NetworkFormat.policy

struct Architecture {
  chess::InputFormat input_format = chess::InputFormat::kClassical;
  int filters = 0;           // of the residual tower; 0 without one
  int blocks = 0;            // residual blocks; block i has SE if the array residual.i.se.w1 exists
  bool attention_body = false;
  bool dense_embedding = false;  // INPUT_EMBEDDING_PE_DENSE
  int embedding = 0;         // E, channels of a token
  int encoders = 0;          // encoder layers; layer i has smolgen if encoder.i.mha.smolgen.compress exists
  int heads = 0;             // attention heads of the body
  Activation activation = Activation::kRelu;  // default activation
  Activation smolgen_activation = Activation::kRelu;
  Activation ffn_activation = Activation::kRelu;
  PolicyHead policy = PolicyHead::kClassical;
  int policy_encoders = 0;
  int policy_heads = 0;      // attention heads of the policy encoders
  bool wdl = false;          // the value head gives win, draw, loss; else a scalar through tanh
  bool moves_left = false;
};

// One array of the file. The bytes belong to `owner`.
struct Array {
  enum class Encoding { kLinear16 = 1, kFloat16 = 2, kBfloat16 = 3, kFloat32 = 4 };
  Encoding encoding = Encoding::kFloat32;
  const std::byte* data = nullptr;
  std::size_t size = 0;  // elements
  float min = 0, max = 0;  // kLinear16: the values of 0 and 65535
  std::shared_ptr<const void> owner;
};

struct Convolution {
  std::vector<float> weights;  // (out, in, K, K), batch norm folded in
  std::vector<float> biases;   // (out)
};

// Array names are the field paths of the net file after the head was chosen: input.weights, residual.0.conv1.bn_means,
// residual.0.se.w1, ip_emb_w, encoder.0.mha.q_w, encoder.0.mha.smolgen.dense1_w, encoder.0.ffn.dense1_w, encoder.0.ln1_gammas,
// ip_emb_ffn.dense1_w, smolgen_w, policy.ip_pol_w, policy.policy1.weights, policy.pol_encoder.0.mha.q_w, value.value.weights,
// value.ip1_val_w, moves_left.weights, ip1_mov_w, ...
class Network {
 public:
  Network(Architecture architecture, std::map<std::string, Array> arrays)
      : architecture_(architecture), arrays_(std::move(arrays)) {}
  const Architecture& architecture() const { return architecture_; }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  std::size_t size(const std::string& name) const;                   // elements; 0 if absent
  std::vector<float> get(const std::string& name) const;             // decoded; throws Error if absent
  Convolution convolution(const std::string& prefix) const;          // prefix.weights, .biases, .bn_* folded

 private:
  Architecture architecture_;
  std::map<std::string, Array> arrays_;
};

}  // namespace nn
