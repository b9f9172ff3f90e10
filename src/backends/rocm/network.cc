// docs/spec/networks.md 4 and 5 as calls, in the order of execution. Every array of activations is (batch * 64, channels), channels last;
// scratch memory lives until its scope ends.
#include "backends/rocm/network.h"

#include <cmath>

#include "backends/rocm/linear/gemm.h"
#include "backends/rocm/kernels/kernels.h"
#include "chess/encode.h"
#include "chess/policy.h"

namespace rocm {

constexpr int kSquares = 64, kScores = kSquares * kSquares, kPieces = 12;
constexpr float kSmolgenEpsilon = 1e-3f, kEmbeddingEpsilon = 1e-3f, kPolicyEpsilon = 1e-6f;

// What the branches of the attention body's residual sums are multiplied by.
static float alpha_of(const nn::Architecture& a) { return std::pow(2.0f * a.encoders, -0.25f); }

template <class T>
void Forward<T>::run(const Input& in, const Output& out) {
  const nn::Architecture& a = model_.architecture;
  const Arena::Scope scope(stream_.arena());
  T* x = nullptr;
  if (a.filters > 0) {
    x = take(kSquares * a.filters);
    tower(x, in);
  }
  if (a.attention_body) {
    T* tokens = take(kSquares * a.embedding);
    embedding(tokens, x, in);
    for (const Encoder<T>& e : model_.encoders) encoder(tokens, e, a.ffn_activation, alpha_of(a), a.dense_embedding ? 1e-3f : 1e-6f);
    x = tokens;
  }
  values(out.values, x);
  if (out.policy) policy(out.policy, x, in);
  check(hipGetLastError(), "launching the network's kernels");
}

template <class T>
void Forward<T>::tower(T* x, const Input& in) {
  const Activation activation = model_.architecture.activation;
  const Arena::Scope scope(stream_.arena());
  T *planes = take(kSquares * chess::kPlanes), *y = take(kSquares * model_.architecture.filters);
  launch_expand_tokens<T>(stream_, planes, in.masks, in.values, nullptr, batch_, 0, true, chess::kPlanes);
  conv3x3<T>(stream_, x, planes, *model_.input, nullptr, nullptr, batch_, activation);
  for (Block<T>& block : model_.blocks) {
    conv3x3<T>(stream_, y, x, block.conv1, nullptr, nullptr, batch_, activation);
    conv3x3<T>(stream_, x, y, block.conv2, block.se ? &*block.se : nullptr, x, batch_, activation);
  }
}

template <class T>
void Forward<T>::embedding(T* tokens, const T* tower, const Input& in) {
  const nn::Architecture& a = model_.architecture;
  const Embedding<T>& e = *model_.embedding;
  const int channels = e.dense.out;
  const Arena::Scope scope(stream_.arena());
  T* branch = take(kSquares * channels);
  if (tower) {
    product(branch, tower, e.dense, kSquares);
  } else {
    T* input = take(kSquares * e.dense.in);
    const T* encoding = e.map;
    int extra = kSquares;
    if (e.preprocess) {
      T *pieces = take(kSquares * kPieces), *made = take(e.preprocess->out);
      launch_expand_pieces(stream_, pieces, in.masks, in.values, batch_);
      dense(made, pieces, *e.preprocess, 1);
      encoding = made;
      extra = e.preprocess->out / kSquares;
    }
    launch_expand_tokens(stream_, input, in.masks, in.values, encoding, batch_, extra, e.map != nullptr, e.dense.in);
    product(branch, input, e.dense, kSquares);
  }
  if (e.norm) {
    norm(tokens, branch, e.dense, nullptr, *e.norm, kSquares, 1, a.activation, kEmbeddingEpsilon);
    if (e.multiply)
      launch_bias_activation<T>(stream_, tokens, tokens, nullptr, nullptr, e.multiply, e.add, kSquares * batch_, channels,
                                Activation::kNone);
  } else {
    launch_bias_activation<T>(stream_, tokens, branch, e.dense.b, nullptr, e.multiply, e.add, kSquares * batch_, channels, a.activation);
  }
  if (e.feed_forward) feed_forward(tokens, *e.feed_forward, a.ffn_activation, alpha_of(a), kEmbeddingEpsilon);
}

template <class T>
void Forward<T>::encoder(T* tokens, const Encoder<T>& e, Activation ffn_activation, float alpha, float eps) {
  const int width = e.heads * e.head_size;
  {
    const Arena::Scope scope(stream_.arena());
    T *qkv = take(kSquares * 3 * width), *mixed = take(kSquares * width), *branch = take(kSquares * e.out.out);
    T* bias = e.smolgen ? take(e.heads * kScores) : nullptr;
    if (e.smolgen) smolgen(bias, tokens, *e.smolgen, e.heads);
    dense(qkv, tokens, e.qkv, kSquares);
    launch_attention<T>(stream_, mixed, qkv, qkv + width, qkv + 2 * width, bias, batch_, e.heads, e.head_size, 3 * width, width);
    product(branch, mixed, e.out, kSquares);
    norm(tokens, branch, e.out, tokens, e.norm, kSquares, alpha, Activation::kNone, eps);
  }
  feed_forward(tokens, e.feed_forward, ffn_activation, alpha, eps);
}

template <class T>
void Forward<T>::smolgen(T* bias, const T* tokens, const Smolgen<T>& s, int heads) {
  const Activation activation = model_.architecture.smolgen_activation;
  const Arena::Scope scope(stream_.arena());
  T* squeezed = take(kSquares * s.compress.out);
  T *raw1 = take(s.dense1.out), *a = take(s.dense1.out), *raw2 = take(s.dense2.out), *b = take(s.dense2.out);
  product(squeezed, tokens, s.compress, kSquares);
  product(raw1, squeezed, s.dense1, 1);
  norm(a, raw1, s.dense1, nullptr, s.norm1, 1, 1, activation, kSmolgenEpsilon);
  product(raw2, a, s.dense2, 1);
  norm(b, raw2, s.dense2, nullptr, s.norm2, 1, 1, activation, kSmolgenEpsilon);
  product(bias, b, s.generate, heads);
}

template <class T>
void Forward<T>::feed_forward(T* tokens, const FeedForward<T>& f, Activation activation, float alpha, float eps) {
  const Arena::Scope scope(stream_.arena());
  T *hidden = take(kSquares * f.dense1.out), *branch = take(kSquares * f.dense2.out);
  dense(hidden, tokens, f.dense1, kSquares, activation);
  product(branch, hidden, f.dense2, kSquares);
  norm(tokens, branch, f.dense2, tokens, f.norm, kSquares, alpha, Activation::kNone, eps);
}

template <class T>
void Forward<T>::values(float* out, const T* x) {
  const Arena::Scope scope(stream_.arena());
  const LastLayer<T> value = hidden_layers(x, model_.value);
  const LastLayer<T> moves_left = model_.moves_left ? hidden_layers(x, *model_.moves_left) : LastLayer<T>{};
  launch_values(stream_, out, value, moves_left, batch_, model_.architecture.wdl);
}

// All but the last layer of the value or moves-left head; the caller's scope has what they wrote.
template <class T>
LastLayer<T> Forward<T>::hidden_layers(const T* x, const ScalarHead<T>& head) {
  const Activation activation = model_.architecture.activation;
  T *squares = take(kSquares * head.embed.out), *hidden = take(head.dense1.out);
  dense(squares, x, head.embed, kSquares, activation);
  dense(hidden, squares, head.dense1, 1, activation);
  return {hidden, head.dense2.w, head.dense2.b, head.dense2.in};
}

template <class T>
void Forward<T>::policy(float* out, const T* x, const Input& in) {
  const nn::Architecture& a = model_.architecture;
  PolicyHead<T>& head = model_.policy;
  const Arena::Scope scope(stream_.arena());
  if (a.policy == nn::PolicyHead::kClassical) {
    T *squares = take(kSquares * head.embed->out), *logits = take(chess::kPolicySize);
    dense(squares, x, *head.embed, kSquares, a.activation);
    dense(logits, squares, *head.logits, 1);
    launch_policy_map<T>(stream_, out, logits, head.places, in.moves, in.first_move, batch_, chess::kPolicySize);
  } else if (a.policy == nn::PolicyHead::kConvolution) {
    Convolution<T>&inner = head.convolutions[0], &outer = head.convolutions[1];
    T *y = take(kSquares * inner.out), *logits = take(kSquares * outer.out);
    conv3x3<T>(stream_, y, x, inner, nullptr, nullptr, batch_, a.activation);
    conv3x3<T>(stream_, logits, y, outer, nullptr, nullptr, batch_, Activation::kNone);
    launch_policy_map<T>(stream_, out, logits, head.places, in.moves, in.first_move, batch_, kSquares * outer.out);
  } else {
    const bool body = a.attention_body;  // over a tower this head has selu, whatever the network's activation
    T *tokens = take(kSquares * head.embed->out), *queries_keys = take(kSquares * head.queries_keys->out);
    dense(tokens, x, *head.embed, kSquares, body ? a.activation : Activation::kSelu);
    for (const Encoder<T>& e : head.encoders) encoder(tokens, e, body ? a.ffn_activation : Activation::kSelu, 1, kPolicyEpsilon);
    dense(queries_keys, tokens, *head.queries_keys, kSquares);
    launch_attention_policy<T>(stream_, out, queries_keys, head.promotions, head.places, in.moves, in.first_move, batch_,
                               head.queries_keys->out / 2);
  }
}

template <class T>
void Forward<T>::dense(T* y, const T* x, const Dense<T>& layer, int rows, Activation activation) {
  gemm<T>(stream_, {.y = y, .x = x, .w = layer.w, .bias = layer.b, .rows = rows * batch_, .cols = layer.out, .depth = layer.in,
                    .activation = activation});
}

template <class T>
void Forward<T>::product(T* y, const T* x, const Dense<T>& layer, int rows) {
  gemm<T>(stream_, {.y = y, .x = x, .w = layer.w, .rows = rows * batch_, .cols = layer.out, .depth = layer.in});
}

template <class T>
void Forward<T>::norm(T* y, const T* x, const Dense<T>& layer, const T* skip, const Norm<T>& n, int rows, float alpha, Activation activation,
                      float eps) {
  launch_layer_norm<T>(stream_, y, x, layer.b, skip, n.gain, n.shift, rows * batch_, layer.out, alpha, activation, eps);
}

template class Forward<float>;
template class Forward<half>;

}  // namespace rocm
