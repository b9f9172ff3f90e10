// A network as back ends read it: its layers, with all that a layer needs to know (docs/spec/networks.md 4 and 5). describe() makes it of
// named arrays: description.cc alone knows the names of the net file's fields, and which epsilon, activation and order of numbers belongs
// where.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "chess/encode.h"
#include "nn/activation.h"

namespace nn {

inline constexpr int kSquares = 64;

class Network;
using Floats = std::vector<float>;

// An array of a layer, decoded whenever somebody asks: beside the file and what it keeps itself a back end needs memory for one of them.
struct Weight {
  std::string key;             // tells it from all others, in error messages too
  std::vector<int> shape;      // row-major
  std::function<Floats()> make;
  explicit operator bool() const { return make != nullptr; }
};

// y = w x + b
struct Dense {
  Weight w;  // (out, in)
  Weight b;  // (out), or nothing
  int out() const { return w.shape[0]; }
  int in() const { return w.shape[1]; }
};

struct Norm {
  Weight gain, shift;  // (channels)
  float eps;
};

// 3x3, batch norm folded in.
struct Convolution {
  Weight w;  // (out, in, 3, 3)
  Weight b;  // (out)
  int out() const { return w.shape[0]; }
  int in() const { return w.shape[1]; }
};

// gate, shift = split(excite(act(squeeze(mean of z over the squares)))); z -> sigmoid(gate) z + shift
struct SqueezeExcitation {
  Dense squeeze, excite;
};

// x = act(x + se(conv2(act(conv1(x)))))
struct Residual {
  Convolution conv1, conv2;
  std::optional<SqueezeExcitation> se;
};

struct Tower {
  Convolution input;
  std::vector<Residual> blocks;
  Activation activation;
};

// x = norm(x + alpha * dense2(act(dense1(x))))
struct FeedForward {
  Dense dense1, dense2;
  Activation activation;
  float alpha;
  Norm norm;
};

// What is added to the scores of all heads, from the whole board: generate(norm2(act(dense2(norm1(act(dense1(compress(x)))))))), (heads,
// 64 * 64).
struct Smolgen {
  Dense compress;  // of each square
  Dense dense1, dense2;
  Norm norm1, norm2;
  Activation activation;
  Dense generate;  // of each head; the same in every layer
};

// x = norm(x + alpha * out(attention(qkv(x)))), then the feed-forward network.
struct Encoder {
  int heads;
  Dense qkv;  // queries of all heads, then keys, then values
  Dense out;
  std::optional<Smolgen> smolgen;
  float alpha;
  Norm norm;
  FeedForward feed_forward;
};

// From a square's planes and position encoding, or from the tower's channels, to a token: act, then norm, gates and feed-forward where
// they are.
struct Embedding {
  Dense dense;
  bool map = false;                // the encoding is the square's row of chess::position_map(), or
  std::optional<Dense> encoding;   // (64 * n, 64 * 12), from the squares' first 12 planes
  Activation activation;
  std::optional<Norm> norm;
  Weight multiply, add;  // (64, channels), or nothing
  std::optional<FeedForward> feed_forward;
};

// Value or moves left: out(act(hidden(act(embed(each square)))))
struct ScalarHead {
  Dense embed, hidden, out;
  Activation activation;
};

// logits(act(embed(each square))), (1858)
struct ClassicalPolicy {
  Dense embed, logits;
  Activation activation;
};

// outer(act(inner(x))): 80 planes, read at chess::convolution_policy_map()
struct ConvolutionPolicy {
  Convolution inner, outer;
  Activation activation;
};

// Products of queries and keys, and promotions on top, of encoders(act(embed(each square))), read at chess::attention_policy_map()
struct AttentionPolicy {
  Dense embed;
  Activation activation;
  std::vector<Encoder> encoders;
  Dense queries_keys;  // queries, then keys
  Weight promotions;   // (4, queries_keys.out / 2): queen, rook, bishop, common
};

using PolicyHead = std::variant<ClassicalPolicy, ConvolutionPolicy, AttentionPolicy>;

// Planes, tower, embedding and encoders, heads: what is not there is left out.
struct Description {
  chess::InputFormat input_format;
  std::optional<Tower> tower;
  std::optional<Embedding> embedding;
  std::vector<Encoder> encoders;
  PolicyHead policy;
  ScalarHead value;
  bool wdl;  // the value head gives win, draw, loss; else a scalar through tanh
  std::optional<ScalarHead> moves_left;
};

// A convolution of the network by its name, batch norm folded in: (out, in, K, K) and (out). Throws Error where its arrays do not fit.
struct Folded {
  Floats weights, biases;
};
Folded folded(const Network& network, const std::string& name);

// Keeps the network as long as one of its weights is there. Throws Error, naming the array, where one is missing or has another shape.
Description describe(std::shared_ptr<const Network> network);

}  // namespace nn
