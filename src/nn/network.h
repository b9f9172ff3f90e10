// A network as Python hands it over: the architecture and named arrays with shapes, still encoded as in the file. description.h makes
// layers of them.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chess/encode.h"
#include "nn/activation.h"

namespace nn {

enum class PolicyKind { kClassical = 1, kConvolution = 2, kAttention = 3 };  // numbers of NetworkFormat.policy

struct Architecture {
  chess::InputFormat input_format = chess::InputFormat::kClassical;
  int filters = 0;           // of the residual tower; 0 without one
  int blocks = 0;            // residual blocks; one has SE if its arrays exist
  bool attention_body = false;
  bool dense_embedding = false;  // INPUT_EMBEDDING_PE_DENSE
  int embedding = 0;         // E, channels of a token
  int encoders = 0;          // encoder layers; one has smolgen if its arrays exist
  int heads = 0;             // attention heads of the body
  Activation activation = Activation::kRelu;  // default activation
  Activation smolgen_activation = Activation::kRelu;
  Activation ffn_activation = Activation::kRelu;
  PolicyKind policy = PolicyKind::kClassical;
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
  std::vector<int> shape;  // row-major
  float min = 0, max = 0;  // kLinear16: the values of 0 and 65535
  std::shared_ptr<const void> owner;
};

// Thread-safe: nothing changes.
class Network {
 public:
  Network(Architecture architecture, std::map<std::string, Array> arrays)
      : architecture_(architecture), arrays_(std::move(arrays)) {}
  const Architecture& architecture() const { return architecture_; }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  const std::vector<int>& shape(const std::string& name) const;  // throws Error if absent, as all that follow
  std::vector<float> get(const std::string& name) const;         // decoded

 private:
  const Array& array(const std::string& name) const;

  Architecture architecture_;
  std::map<std::string, Array> arrays_;
};

}  // namespace nn
