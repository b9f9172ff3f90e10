// The network as network.cc reads it: every layer's weights on the device, with shapes, in the layouts that its calls want.
// Activations lie as rows of squares, (batch * 64, channels).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "backends/rocm/linear/conv.h"
#include "backends/rocm/weights.h"
#include "nn/network.h"

namespace rocm {

// y = w x + b
template <class T>
struct Dense {
  const T* w;  // (out, in)
  const T* b;  // (out) or null
  int out, in;
};

template <class T>
struct Norm {
  const T *gain, *shift;  // (channels)
};

template <class T>
struct Block {
  Convolution<T> conv1, conv2;
  std::optional<SqueezeExcitation<T>> se;
};

template <class T>
struct FeedForward {
  Dense<T> dense1, dense2;
  Norm<T> norm;  // of the sum with its input
};

// The bias of the attention's scores, made from the whole board.
template <class T>
struct Smolgen {
  Dense<T> compress;  // of each square, no bias
  Dense<T> dense1, dense2;
  Norm<T> norm1, norm2;
  Dense<T> generate;  // (4096, dense2.out / heads), no bias; the same in every layer
};

template <class T>
struct Encoder {
  int heads, head_size;  // head_size is rounded up to a multiple of 8 with zeros
  Dense<T> qkv;  // (3 * heads * head_size, channels): queries, keys, values
  Dense<T> out;  // (channels, heads * head_size)
  Norm<T> norm;
  FeedForward<T> feed_forward;
  std::optional<Smolgen<T>> smolgen;
};

// From planes, or from the tower's output, to tokens.
template <class T>
struct Embedding {
  Dense<T> dense;  // (channels, planes and encoding, rounded up to a multiple of 8 with zeros), or (channels, filters)
  const T* map = nullptr;  // (64, 64): the constant position encoding
  std::optional<Dense<T>> preprocess;  // (64 * encoding, 64 * 12): the dense position encoding
  std::optional<Norm<T>> norm;
  const T *multiply = nullptr, *add = nullptr;  // (64, channels): the gates
  std::optional<FeedForward<T>> feed_forward;
};

// Value or moves left.
template <class T>
struct ScalarHead {
  Dense<T> embed;  // of each square
  Dense<T> dense1;  // (width, 64 * embed.out)
  Dense<T> dense2;  // (3 or 1, width)
};

template <class T>
struct PolicyHead {
  std::optional<Dense<T>> embed;  // of each square; not in a convolution head
  std::optional<Dense<T>> logits;  // classical: (1858, 64 * embed.out)
  std::vector<Convolution<T>> convolutions;  // convolution: two
  std::vector<Encoder<T>> encoders;  // attention, as what follows
  std::optional<Dense<T>> queries_keys;  // (2 * depth, embed.out)
  const T* promotions = nullptr;  // (4, depth): queen, rook, bishop, common
  const int* places;  // (1858): where a move's logit is among those of a position
};

template <class T>
struct Model {
  Model(Weights& weights, bool with_moves_left);  // throws Error

  nn::Architecture architecture;
  std::optional<Convolution<T>> input;
  std::vector<Block<T>> blocks;
  std::optional<Embedding<T>> embedding;
  std::vector<Encoder<T>> encoders;
  PolicyHead<T> policy;
  ScalarHead<T> value;
  std::optional<ScalarHead<T>> moves_left;
};

}  // namespace rocm
