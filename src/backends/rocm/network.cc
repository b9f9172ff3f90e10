// docs/spec/networks.md 4 and 5 as calls, in the order of execution. Every array of activations is (batch * 64, channels), channels last;
// scratch memory lives until its scope ends.
#include "backends/rocm/network.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <variant>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/conv.h"
#include "backends/rocm/linear/gemm.h"
#include "backends/rocm/linear/tower.h"
#include "chess/encode.h"
#include "chess/policy.h"
#include "nn/layout.h"

namespace rocm {
namespace {

using nn::Activation;

constexpr int kSquares = 64, kScores = kSquares * kSquares, kPieces = 12, kPolicyPlanes = 80;
constexpr int kStep8 = 16;  // 8-bit weights have rows of 16-byte pieces

int round_up_8(int n) { return (n + 7) / 8 * 8; }

// The attention kernel takes heads of a multiple of 8 channels: zeros fill them up. Smolgen's first layer follows queries, keys and values.
void fit(nn::Encoder& e) {
  const int depth = e.out.in() / e.heads, size = round_up_8(depth);
  if (size != depth) {
    e.qkv = nn::scaled(e.qkv, std::sqrt(static_cast<float>(size) / depth), e.heads * depth);  // the kernel divides scores by sqrt(size)
    e.qkv = nn::padded(e.qkv, depth, size);
    e.out.w = nn::padded(e.out.w, 1, depth, size);
  }
  if (!e.smolgen) return;
  nn::Dense compress = e.smolgen->compress;
  const std::size_t channels = compress.out();
  compress.b = {};
  if (e.qkv.b) compress.b = {std::to_string(channels) + " zeros", {compress.out()}, [channels] { return nn::Floats(channels); }};
  e.qkv = nn::stacked({e.qkv, compress});
}

// Whether kernels of its own may make a layer's smolgen, if it has one.
bool smolgen_fits(const nn::Encoder& e) {
  if (!e.smolgen) return true;
  const nn::Smolgen& s = *e.smolgen;
  const SmolgenShape shape{e.out.out(), e.heads, s.compress.out(), s.dense1.out(), s.generate.in()};
  return shape.fits() && s.dense1.b && s.dense2.b && !s.compress.b && !s.generate.b;
}

// A word for what layers there are, of which shapes.
std::string structure_of(const std::vector<nn::Layer>& layers, bool int8_weights) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&](std::uint64_t x) { hash = (hash ^ x) * 0x100000001b3; };
  for (const nn::Layer& layer : layers) {
    std::ranges::for_each(layer.name, add);
    std::ranges::for_each(layer.shape, add);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text + std::string(int8_weights ? "/int8" : "");
}

// The pass of one batch. Activations lie in the stream's arena.
template <class T>
class Forward {
 public:
  Forward(Weights& weights, Stream& stream, EightBits eight_bits, int batch, const PassWay& way, Probe* probe)
      : weights_(weights), stream_(stream), arena_(stream.arena()), eight_bits_(eight_bits), batch_(batch), way_(way), probe_(probe) {}
  // The same pass, queued elsewhere.
  Forward(const Forward& main, Stream& stream)
      : weights_(main.weights_), stream_(stream), arena_(main.arena_), eight_bits_(main.eight_bits_), batch_(main.batch_), way_(main.way_),
        probe_(main.probe_) {}

  template <class N = T>
  N* take(std::size_t numbers) {  // so many a position
    return arena_.take<N>(numbers * batch_);
  }

  void tower(T* x, const nn::Tower& tower, const Input& in) {
    if (!probe_) return rocm::tower(stream_, weights_, x, tower, in.masks, in.values, batch_);
    const Arena::Scope scope(arena_);
    const int filters = tower.input.out();
    const Rows rows{kSquares, filters};
    T *planes = take(kSquares * chess::kPlanes), *inner = take(kSquares * filters), *branch = take(kSquares * filters);
    launch_expand_tokens<T>(stream_, planes, in.masks, in.values, nullptr, batch_, 0, true, chess::kPlanes);
    convolution(x, planes, tower.input, tower.activation);
    show("input", "", x, rows);
    for (std::size_t i = 0; i < tower.blocks.size(); ++i) {
      const nn::Residual& block = tower.blocks[i];
      const std::string name = "block." + std::to_string(i);
      const SqueezeExcitation<T> se = on_device<T>(weights_, block.se);
      convolution(inner, x, block.conv1, tower.activation);
      show(name, ".conv1", inner, rows);
      convolution(branch, inner, block.conv2, Activation::kNone);
      if (block.se)
        launch_squeeze_excitation<T>(stream_, branch, branch, nullptr, nullptr, se, batch_, filters, tower.activation, Activation::kNone);
      show(name, ".branch", branch, rows);
      launch_bias_activation<T>(stream_, x, branch, nullptr, x, nullptr, nullptr, kSquares * batch_, filters, tower.activation);
      show(name, "", x, rows);
    }
  }

  // Its last layer is a norm of a feed-forward part, or else rows are quantised here.
  void embedding(T* tokens, Rows8 x8, const T* tower, const nn::Embedding& e, const Input& in) {
    const int channels = e.dense.out();
    const Arena::Scope scope(arena_);
    const T* x = tower;
    const bool full = !tower;  // of planes: a counter of up to 99 beside bits multiplies the error of its weight
    if (!tower) {
      T* input = take(kSquares * e.dense.in());
      const T* encoding = e.map ? table(position_map()) : nullptr;
      int extra = kSquares;
      if (e.encoding) {
        T *pieces = take(kSquares * kPieces), *made = take(e.encoding->out());
        launch_expand_pieces(stream_, pieces, in.masks, in.values, batch_);
        dense(made, pieces, *e.encoding, 1);
        encoding = made;
        extra = e.encoding->out() / kSquares;
      }
      launch_expand_tokens(stream_, input, in.masks, in.values, encoding, batch_, extra, e.map, e.dense.in());
      x = input;
    }
    if (e.norm) {
      normed(tokens, x, e.dense, nullptr, *e.norm, kSquares, 1, e.activation, full);
      if (e.multiply)
        launch_bias_activation<T>(stream_, tokens, tokens, nullptr, nullptr, table(e.multiply), table(e.add), kSquares * batch_, channels,
                                  Activation::kNone);
    } else {
      product(tokens, x, e.dense, kSquares, full);
      launch_bias_activation<T>(stream_, tokens, tokens, table(e.dense.b), nullptr, table(e.multiply), table(e.add), kSquares * batch_,
                                channels, e.activation);
    }
    quantise(x8, tokens, channels);
    if (e.feed_forward) feed_forward(tokens, x8, *e.feed_forward, "embedding");
    show("embedding", "", tokens, x8, channels);
  }

  // x8: the tokens in 8 bits, before and after; or none, for products in halves.
  void encoder(T* tokens, Rows8 x8, const nn::Encoder& e, const std::string& name) {
    const int width = e.out.in(), channels = e.out.out();
    {
      const Arena::Scope scope(arena_);
      T *qkv = take(kSquares * 3 * width), *mixed = take(kSquares * width);
      T* bias = e.smolgen ? take(e.heads * kScores) : nullptr;
      if (e.smolgen && (way_.beside || way_.smolgen)) {
        std::optional<Beside> branch;
        if (way_.beside) branch.emplace(stream_);
        Forward side(*this, branch ? branch->stream() : stream_);
        side.smolgen_of_tokens(bias, tokens, x8, e);
        columns(qkv, tokens, x8, e.qkv, kSquares, 0, 3 * width);
      } else {
        const int squeezed_channels = e.smolgen ? e.smolgen->compress.out() : 0;
        T* squeezed = take(kSquares * squeezed_channels);
        dense(qkv, tokens, e.qkv, kSquares, Activation::kNone, squeezed, squeezed_channels, x8);
        if (e.smolgen) smolgen(bias, squeezed, *e.smolgen, e.heads);
      }
      if (probe_) shown_attention(mixed, qkv, bias, e, name);
      else attention(mixed, qkv, bias, e);
      normed(tokens, mixed, e.out, tokens, e.norm, kSquares, e.alpha, Activation::kNone, false, {}, x8);
    }
    show(name, ".ln1", tokens, x8, channels);
    feed_forward(tokens, x8, e.feed_forward, name);
    show(name, "", tokens, x8, channels);
  }

  void attention(T* mixed, const T* qkv, const T* bias, const nn::Encoder& e) {
    const int width = e.out.in();
    launch_attention<T>(stream_, mixed, qkv, qkv + width, qkv + 2 * width, bias, batch_, e.heads, width / e.heads, 3 * width, width,
                        stream_.device().compute_units);
  }

  void shown_attention(T* mixed, T* qkv, T* bias, const nn::Encoder& e, const std::string& name) {
    const int width = e.out.in(), depth = width / e.heads;
    if (bias) show(name, ".smolgen", bias, {e.heads, kScores});
    Rows rows{kSquares, 3 * width, e.heads, depth};
    if (probe_->wants(name + ".q")) rows.factor = std::sqrt(static_cast<float>(probe_->shape(name + ".q").back()) / depth);  // undoes fit()
    show(name, ".q", qkv, rows);
    rows.factor = 1;
    show(name, ".k", qkv + width, rows);
    show(name, ".v", qkv + 2 * width, rows);
    if (probe_->wants(name + ".attention")) {
      float* map = take<float>(e.heads * kScores);
      launch_attention_map<T>(stream_, map, qkv, qkv + width, bias, batch_, e.heads, depth, 3 * width);
      show(name, ".attention", map, {e.heads, kScores});
      launch_mix_values<T>(stream_, mixed, map, qkv + 2 * width, batch_, e.heads, depth, 3 * width, width);
    } else {
      attention(mixed, qkv, bias, e);
    }
    show(name, ".heads", mixed, {kSquares, width, e.heads, depth});
  }

  void encoders(T* tokens, Rows8 x8, const std::vector<nn::Encoder>& encoders, const char* prefix) {
    for (std::size_t i = 0; i < encoders.size(); ++i) encoder(tokens, x8, encoders[i], prefix + std::to_string(i));
  }

  void smolgen(T* bias, const T* squeezed, const nn::Smolgen& s, int heads) {
    const Arena::Scope scope(arena_);
    T *a = take(s.dense1.out()), *b = take(s.dense2.out());
    normed(a, squeezed, s.dense1, nullptr, s.norm1, 1, 1, s.activation);
    normed(b, a, s.dense2, nullptr, s.norm2, 1, 1, s.activation);
    product(bias, b, s.generate, heads);
  }

  void smolgen_of_tokens(T* bias, const T* tokens, Rows8 x8, const nn::Encoder& e) {
    const Arena::Scope scope(arena_);
    const nn::Smolgen& s = *e.smolgen;
    const int channels = e.out.out(), width = e.out.in(), squeezed_channels = s.compress.out();
    if constexpr (sizeof(T) == 2) {
      if (way_.smolgen) {
        T* hidden = take(s.dense2.out());
        float* scratch = take<float>(SmolgenShape::scratch(e.heads));
        launch_smolgen(stream_, bias, hidden, scratch, tokens,
                       {table(e.qkv.w) + std::size_t(3) * width * channels, table(s.dense1.w), table(s.dense1.b), table(s.norm1.gain), table(s.norm1.shift),
                        table(s.dense2.w), table(s.dense2.b), table(s.norm2.gain), table(s.norm2.shift), table(s.generate.w), s.norm1.eps, s.norm2.eps},
                       batch_, channels, e.heads, s.activation);
        return;
      }
    }
    T* squeezed = take(kSquares * squeezed_channels);
    columns(squeezed, tokens, x8, e.qkv, kSquares, 3 * width, squeezed_channels);
    smolgen(bias, squeezed, s, e.heads);
  }

  void feed_forward(T* tokens, Rows8 x8, const nn::FeedForward& f, const std::string& name) {
    const Arena::Scope scope(arena_);
    const int width = f.dense1.out();
    T* hidden = take(kSquares * width);
    const Rows8 hidden8 = x8 ? rows_in_8_bits(width) : Rows8{};
    dense(hidden, tokens, f.dense1, kSquares, f.activation, nullptr, 0, x8, hidden8);
    show(name, ".hidden", hidden, hidden8, width);
    normed(tokens, hidden, f.dense2, tokens, f.norm, kSquares, f.alpha, Activation::kNone, false, hidden8, x8);
  }

  // Room for a position's 64 rows of so many numbers in 8 bits; none where rows are not so, or not of 16-byte pieces.
  Rows8 rows_in_8_bits(int cols) {
    if (!eight_bits_.in(batch_) || cols % kStep8 != 0) return {};
    return {take<std::uint8_t>(kSquares * cols), take<float>(kSquares), *eight_bits_.products};
  }

  void quantise(Rows8 to, const T* x, int cols) {
    if constexpr (sizeof(T) == 2)
      if (to) launch_quantise_rows(stream_, to, x, kSquares * batch_, cols);
  }

  // All but the last layer of the value or moves-left head; the caller's scope has what they wrote.
  LastLayer<T> hidden_layers(const T* x, const nn::ScalarHead& head, const char* name) {
    T *squares = take(kSquares * head.embed.out()), *hidden = take(head.hidden.out());
    dense(squares, x, head.embed, kSquares, head.activation);
    show(name, ".embedding", squares, {kSquares, head.embed.out()});
    dense(hidden, squares, head.hidden, 1, head.activation);
    show(name, ".hidden", hidden, {1, head.hidden.out()});
    return {hidden, table(head.out.w), table(head.out.b), head.out.in()};
  }

  void policy(float* out, const T* x, const nn::ClassicalPolicy& head, const Input& in) {
    T *squares = take(kSquares * head.embed.out()), *logits = take(chess::kPolicySize);
    dense(squares, x, head.embed, kSquares, head.activation);
    show("policy", ".embedding", squares, {kSquares, head.embed.out()});
    dense(logits, squares, head.logits, 1);
    const int* where = places("classical", [](int move) { return move; });
    launch_policy_map<T>(stream_, out, logits, where, in.moves, in.first_move, batch_, chess::kPolicySize);
  }

  void policy(float* out, const T* x, const nn::ConvolutionPolicy& head, const Input& in) {
    T *y = take(kSquares * head.inner.out()), *logits = take(kSquares * head.outer.out());
    convolution(y, x, head.inner, head.activation);
    show("policy", ".embedding", y, {kSquares, head.inner.out()});
    convolution(logits, y, head.outer, Activation::kNone);
    const int* where = places("convolution", [](int move) {
      const int plane_square = chess::convolution_policy_map()[move];
      return plane_square % kSquares * kPolicyPlanes + plane_square / kSquares;
    });
    launch_policy_map<T>(stream_, out, logits, where, in.moves, in.first_move, batch_, kSquares * head.outer.out());
  }

  void policy(float* out, const T* x, const nn::AttentionPolicy& head, const Input& in) {
    T *tokens = take(kSquares * head.embed.out()), *queries_keys = take(kSquares * head.queries_keys.out());
    dense(tokens, x, head.embed, kSquares, head.activation);
    show("policy", ".embedding", tokens, {kSquares, head.embed.out()});
    encoders(tokens, {}, head.encoders, "policy.encoder.");
    dense(queries_keys, tokens, head.queries_keys, kSquares);
    show("policy", ".q", queries_keys, {kSquares, head.queries_keys.out()});
    show("policy", ".k", queries_keys + head.queries_keys.out() / 2, {kSquares, head.queries_keys.out()});
    const int* where = places("attention", [](int move) -> int { return chess::attention_policy_map()[move]; });
    launch_attention_policy<T>(stream_, out, queries_keys, table(head.promotions), where, in.moves, in.first_move, batch_,
                               head.queries_keys.out() / 2);
  }

 private:
  // A layer, to whoever looks at it.
  template <class N>
  void show(const std::string& name, const char* part, N* x, const Rows& rows) {
    if (probe_ && probe_->wants(name + part)) probe_->show(name + part, x, rows);
  }

  // The tokens, which may come back changed.
  void show(const std::string& name, const char* part, T* tokens, Rows8 x8, int channels) {
    show(name, part, tokens, {kSquares, channels});
    if (probe_) quantise(x8, tokens, channels);
  }

  // y = activation(w x + b) for `rows` rows of each position; the last side_cols columns go to `side`. x8, y8: x and y in 8 bits, or none.
  void dense(T* y, const T* x, const nn::Dense& layer, int rows, Activation activation = Activation::kNone, T* side = nullptr,
             int side_cols = 0, Rows8 x8 = {}, Rows8 y8 = {}) {
    multiply({.y = y, .x = x, .bias = table(layer.b), .rows = rows, .activation = activation, .side = side, .side_cols = side_cols, .x8 = x8, .y8 = y8},
             layer.w);
  }

  // `count` columns of it, from the first-th on.
  void columns(T* y, const T* x, Rows8 x8, const nn::Dense& layer, int rows, int first, int count) {
    multiply({.y = y, .x = x, .bias = layer.b ? table(layer.b) + first : nullptr, .rows = rows, .cols = count, .x8 = x8}, layer.w, false, first);
  }

  // y = w x
  void product(T* y, const T* x, const nn::Dense& layer, int rows, bool full = false) {
    multiply({.y = y, .x = x, .rows = rows}, layer.w, full);
  }

  // y = norm(skip + alpha * activation(w x + b)); skip may be null, or y. x8, y8: x and y in 8 bits, or none; with y8 alone x8 is made.
  void normed(T* y, const T* x, const nn::Dense& layer, const T* skip, const nn::Norm& n, int rows, float alpha,
              Activation activation = Activation::kNone, bool full = false, Rows8 x8 = {}, Rows8 y8 = {}) {
    multiply({.y = y, .x = x, .bias = table(layer.b), .rows = rows, .activation = activation,
              .norm = RowNorm<T>{skip, table(n.gain), table(n.shift), alpha, n.eps}, .x8 = x8, .quantise = y8 && !x8, .y8 = y8}, layer.w, full);
  }

  // The product by a layer's weights as they are stored, or full ones, from their first-th row on; its rows are those of a position, and its
  // columns, unless it says so, all.
  void multiply(Product<T> p, const nn::Weight& w, bool full = false, int first = 0) {
    p.rows *= batch_, p.depth = w.shape[1];
    if (p.cols == 0) p.cols = w.shape[0];
    const std::size_t before = std::size_t(first) * p.depth;
    if (!fits_rows8(p.cols, p.depth)) p.x8 = {}, p.quantise = false;
    const bool rows = p.x8 || p.quantise;
    if (rows || (eight_bits_.weights && !full && p.depth % kStep8 == 0)) {
      p.w8 = weights_.in_8_bits(w, rows ? *eight_bits_.products : Numbers::kInt8).from(first, p.depth);
    }
    if (!p.w8 || (rows && !eight_bits_.always_from)) p.w = table(w) + before;
    gemm(stream_, p);
  }

  void convolution(T* y, const T* x, const nn::Convolution& c, Activation activation) {
    conv3x3<T>(stream_, weights_, y, x, c, nullptr, nullptr, batch_, activation);
  }

  const T* table(const nn::Weight& weight) { return weight ? weights_.array<T>(weight) : nullptr; }

  static nn::Weight position_map() {
    return {"position map", {kSquares, kSquares}, [] { return nn::Floats(chess::position_map(), chess::position_map() + kScores); }};
  }

  // (1858): where a move's logit is among those of a position.
  const int* places(const char* head, int (*place)(int move)) {
    return weights_.array<int>({std::string(head) + " places", {chess::kPolicySize}, [place] {
                                  nn::Floats all(chess::kPolicySize);
                                  for (int move = 0; move < chess::kPolicySize; ++move) all[move] = place(move);
                                  return all;
                                }});
  }

  Weights& weights_;
  Stream& stream_;
  Arena& arena_;
  const EightBits eight_bits_;
  const int batch_;
  const PassWay way_;
  Probe* const probe_;  // or null
};

}  // namespace

template <class T>
Model<T>::Model(nn::Description description, EightBits eight_bits)
    : description_(std::move(description)), layers_(nn::layers(description_)), structure_(structure_of(layers_, eight_bits.weights)), eight_bits_(eight_bits) {
  nn::Description& d = description_;
  const auto has_smolgen = [](const nn::Encoder& e) { return e.smolgen.has_value(); };
  smolgen_fits_ = sizeof(T) == 2 && !eight_bits.weights && std::ranges::any_of(d.encoders, has_smolgen);
  const auto prepare = [&](nn::Encoder& e) {
    smolgen_fits_ = smolgen_fits_ && smolgen_fits(e);
    fit(e);
  };
  std::ranges::for_each(d.encoders, prepare);
  if (auto* attention = std::get_if<nn::AttentionPolicy>(&d.policy)) std::ranges::for_each(attention->encoders, prepare);
  if (d.embedding && !d.tower) {  // rows of 16-byte pieces
    nn::Weight& w = d.embedding->dense.w;
    w = nn::padded(w, 1, w.shape[1], round_up_8(w.shape[1]));
  }
}

template <class T>
void Model<T>::run(Stream& stream, int batch, const Input& in, const Output& out, const PassWay& way, Probe* probe) {
  const nn::Description& d = description_;
  Forward<T> forward(weights_, stream, eight_bits_, batch, way, probe);
  const Arena::Scope scope(stream.arena());
  T* x = nullptr;
  if (d.tower) {
    x = forward.take(kSquares * d.tower->input.out());
    forward.tower(x, *d.tower, in);
  }
  if (d.embedding) {
    T* tokens = forward.take(kSquares * d.embedding->dense.out());
    const Rows8 x8 = forward.rows_in_8_bits(d.embedding->dense.out());
    forward.embedding(tokens, x8, x, *d.embedding, in);
    forward.encoders(tokens, x8, d.encoders, "encoder.");
    x = tokens;
  }
  {
    std::optional<Beside> branch;
    if (way.beside && out.policy) branch.emplace(stream);
    Forward<T> values(forward, branch ? branch->stream() : stream);
    const LastLayer<T> value = values.hidden_layers(x, d.value, "value");
    const LastLayer<T> moves_left = d.moves_left ? values.hidden_layers(x, *d.moves_left, "moves_left") : LastLayer<T>{};
    launch_values(branch ? branch->stream() : stream, out.values, value, moves_left, batch, d.wdl);
    if (out.policy) std::visit([&](const auto& head) { forward.policy(out.policy, x, head, in); }, d.policy);
  }
  check(hipGetLastError(), "launching the network's kernels");
}

template class Model<float>;
template class Model<half>;

}  // namespace rocm
