// Names are the field paths of the net file after the head was chosen: input.weights, residual.0.conv1.bn_means, ip_emb_w,
// encoder.0.mha.q_w, encoder.0.ln1_gammas, policy.ip_pol_w, policy.pol_encoder.0.mha.q_w, value.ip1_val_w, ip1_mov_w, ...
#include "nn/description.h"

#include <algorithm>
#include <cmath>

#include "chess/policy.h"
#include "error.h"
#include "nn/layout.h"
#include "nn/network.h"

namespace nn {
namespace {

constexpr int kPieces = 12, kPolicyPlanes = 80, kAny = -1;
constexpr float kWide = 1e-3f, kNarrow = 1e-6f;  // epsilons

class Reader {
 public:
  explicit Reader(std::shared_ptr<const Network> network) : network_(std::move(network)) {}

  bool has(const std::string& name) const { return network_->has(name); }

  // kAny: of any size.
  Weight weight(const std::string& name, const std::vector<int>& wanted) const {
    const std::vector<int>& shape = network_->shape(name);
    const auto fits = [](int size, int wanted) { return size == wanted || (wanted == kAny && size > 0); };
    if (!std::ranges::equal(shape, wanted, fits))
      throw Error("array " + name + " has the shape " + text(shape) + ", expected " + text(wanted));
    return {name, shape, [network = network_, name] { return network->get(name); }};
  }

  Dense dense(const std::string& w, const std::string& b, int in, int out = kAny) const {
    const Weight matrix = weight(w, {out, in});
    return {matrix, weight(b, {matrix.shape[0]})};
  }
  Dense dense(const std::string& prefix, int in, int out = kAny) const { return dense(prefix + "_w", prefix + "_b", in, out); }
  Dense unbiased(const std::string& name, int in, int out = kAny) const { return {weight(name, {out, in}), {}}; }
  Norm norm(const std::string& prefix, int channels, float eps) const {
    return {weight(prefix + "_gammas", {channels}), weight(prefix + "_betas", {channels}), eps};
  }

  Convolution convolution(const std::string& prefix, int in, int out = kAny, int size = 3) const {
    Weight w = weight(prefix + ".weights", {out, in, size, size});
    const int outputs = w.shape[0];
    for (const char* field : {".biases", ".bn_means", ".bn_stddivs", ".bn_betas", ".bn_gammas"})
      if (has(prefix + field)) (void)weight(prefix + field, {outputs});
    w.make = [network = network_, prefix] { return folded(*network, prefix).weights; };
    return {w, {prefix + ".biases", {outputs}, [network = network_, prefix] { return folded(*network, prefix).biases; }}};
  }
  // Of one square: a matrix.
  Dense convolution1x1(const std::string& prefix, int in) const {
    Convolution c = convolution(prefix, in, kAny, 1);
    c.w.shape.resize(2);
    return {c.w, c.b};
  }

  Tower tower(const Architecture& a) const {
    Tower tower{convolution("input", chess::kPlanes, a.filters), {}, a.activation};
    for (int i = 0; i < a.blocks; ++i) {
      const std::string name = "residual." + std::to_string(i) + ".", se = name + "se.";
      Residual block{convolution(name + "conv1", a.filters, a.filters), convolution(name + "conv2", a.filters, a.filters), {}};
      if (has(se + "w1")) {
        const Dense squeeze = dense(se + "w1", se + "b1", a.filters);
        block.se = {squeeze, dense(se + "w2", se + "b2", squeeze.out(), 2 * a.filters)};
      }
      tower.blocks.push_back(std::move(block));
    }
    return tower;
  }

  FeedForward feed_forward(const std::string& prefix, const std::string& norm_prefix, int channels, Activation activation, float alpha,
                           float eps) const {
    const Dense dense1 = dense(prefix + ".dense1", channels);
    return {dense1, dense(prefix + ".dense2", dense1.out(), channels), activation, alpha, norm(norm_prefix, channels, eps)};
  }

  Embedding embedding(const Architecture& a, float alpha) const {
    const int channels = a.embedding;
    Embedding e;
    int inputs = a.filters;
    if (a.filters == 0 && a.dense_embedding) {
      e.encoding = dense("ip_emb_preproc", kSquares * kPieces);
      inputs = chess::kPlanes + e.encoding->out() / kSquares;
    } else if (a.filters == 0) {
      e.map = true;
      inputs = chess::kPlanes + kSquares;
    }
    e.dense = dense("ip_emb", inputs, channels);
    e.activation = a.activation;
    if (has("ip_mult_gate") && has("ip_add_gate")) {  // one alone means nothing
      const auto gate = [&](const std::string& name) {
        Weight turned = squares_first(weight(name, {channels, kSquares}), channels);
        turned.shape = {kSquares, channels};
        return turned;
      };
      e.multiply = gate("ip_mult_gate"), e.add = gate("ip_add_gate");
    }
    if (a.dense_embedding) {
      e.norm = norm("ip_emb_ln", channels, kWide);
      e.feed_forward = feed_forward("ip_emb_ffn", "ip_emb_ffn_ln", channels, a.ffn_activation, alpha, kWide);
    }
    return e;
  }

  Encoder encoder(const std::string& name, int channels, int heads, Activation ffn_activation, float alpha, float eps) const {
    const std::string mha = name + ".mha.";
    const Dense q = dense(mha + "q", channels);
    const int width = q.out();
    if (heads <= 0 || width % heads != 0)
      throw Error("array " + mha + "q_w has " + std::to_string(width) + " rows, which " + std::to_string(heads) + " heads cannot share");
    return {heads,
            stacked({q, dense(mha + "k", channels, width), dense(mha + "v", channels, width)}),
            dense(mha + "dense", width, channels),
            {},
            alpha,
            norm(name + ".ln1", channels, eps),
            feed_forward(name + ".ffn", name + ".ln2", channels, ffn_activation, alpha, eps)};
  }

  Smolgen smolgen(const std::string& name, int channels, int heads, Activation activation) const {
    const Dense compress = unbiased(name + ".compress", channels), dense1 = dense(name + ".dense1", kSquares * compress.out()),
                dense2 = dense(name + ".dense2", dense1.out());
    return {compress, dense1, dense2, norm(name + ".ln1", dense1.out(), kWide), norm(name + ".ln2", dense2.out(), kWide), activation,
            unbiased("smolgen_w", dense2.out() / heads, kSquares * kSquares)};
  }

  // kind: "val" or "mov"; tower_embedding: a convolution.
  ScalarHead scalar_head(const Architecture& a, int channels, const std::string& prefix, const std::string& kind,
                         const std::string& tower_embedding, int outputs) const {
    const Dense embed = a.attention_body ? dense(prefix + "ip_" + kind, channels) : convolution1x1(tower_embedding, channels);
    const Dense hidden = of_squares(a, dense(prefix + "ip1_" + kind, kSquares * embed.out()));
    return {embed, hidden, dense(prefix + "ip2_" + kind, hidden.out(), outputs), a.activation};
  }

  PolicyHead policy_head(const Architecture& a, int channels) const {
    switch (a.policy) {
      case PolicyKind::kClassical: {
        const Dense embed = convolution1x1("policy.policy", channels);
        return ClassicalPolicy{embed, of_squares(a, dense("policy.ip_pol", kSquares * embed.out(), chess::kPolicySize)), a.activation};
      }
      case PolicyKind::kConvolution: {
        const Convolution inner = convolution("policy.policy1", channels);
        return ConvolutionPolicy{inner, convolution("policy.policy", inner.out(), kPolicyPlanes), a.activation};
      }
      case PolicyKind::kAttention: break;
    }
    // Over a tower all of this head has selu, whatever the network's activation.
    const Activation activation = a.attention_body ? a.activation : Activation::kSelu,
                     ffn_activation = a.attention_body ? a.ffn_activation : Activation::kSelu;
    const Dense embed = dense("policy.ip_pol", channels), queries = dense("policy.ip2_pol", embed.out());
    AttentionPolicy head{embed, activation, {}, stacked({queries, dense("policy.ip3_pol", embed.out(), queries.out())}),
                         weight("policy.ip4_pol_w", {4, queries.out()})};
    for (int i = 0; i < a.policy_encoders; ++i)
      head.encoders.push_back(encoder("policy.pol_encoder." + std::to_string(i), embed.out(), a.policy_heads, ffn_activation, 1, kNarrow));
    return head;
  }

 private:
  static std::string text(const std::vector<int>& shape) {
    std::string words;
    for (int size : shape) words += (words.empty() ? "" : ", ") + (size == kAny ? "any" : std::to_string(size));
    return '(' + words + ')';
  }

  // Over a tower, the file has what reads the channels of all squares channel by channel.
  static Dense of_squares(const Architecture& a, Dense layer) {
    if (!a.attention_body) layer.w = squares_first(layer.w, layer.in() / kSquares);
    return layer;
  }

  std::shared_ptr<const Network> network_;
};

}  // namespace

Folded folded(const Network& network, const std::string& prefix) {
  constexpr float kEpsilon = 1e-5f;
  Folded out{network.get(prefix + ".weights"), {}};
  if (!network.has(prefix + ".bn_means")) {
    out.biases = network.get(prefix + ".biases");
    return out;
  }
  const std::vector<float> mean = network.get(prefix + ".bn_means"), variance = network.get(prefix + ".bn_stddivs");
  const std::size_t channels = mean.size();
  const bool affine = network.has(prefix + ".bn_betas");
  const std::vector<float> beta = affine ? network.get(prefix + ".bn_betas") : std::vector<float>(channels, 0.0f);
  const std::vector<float> gamma = affine ? network.get(prefix + ".bn_gammas") : std::vector<float>(channels, 1.0f);
  out.biases = network.has(prefix + ".biases") ? network.get(prefix + ".biases") : std::vector<float>(channels, 0.0f);
  if (channels == 0 || variance.size() != channels || beta.size() != channels || gamma.size() != channels ||
      out.biases.size() != channels || out.weights.size() % channels != 0)
    throw Error("the batch norm of " + prefix + " does not fit its weights");

  const std::size_t per_channel = out.weights.size() / channels;
  for (std::size_t o = 0; o < channels; ++o) {
    const float k = gamma[o] / std::sqrt(variance[o] + kEpsilon);
    if (!std::isfinite(k))
      throw Error(prefix + ".bn_stddivs[" + std::to_string(o) + "] is " + std::to_string(variance[o]) +
                  ", expected a variance that scales by a finite number");
    for (std::size_t i = 0; i < per_channel; ++i) out.weights[o * per_channel + i] *= k;
    out.biases[o] = beta[o] - k * (mean[o] - out.biases[o]);
  }
  return out;
}

Description describe(std::shared_ptr<const Network> network) {
  const Architecture& a = network->architecture();
  const Reader reader(network);
  Description d;
  d.input_format = a.input_format;
  d.wdl = a.wdl;
  int channels = a.filters;
  if (a.filters > 0) d.tower = reader.tower(a);
  if (a.attention_body) {
    channels = a.embedding;
    const float alpha = std::pow(2.0f * a.encoders, -0.25f), eps = a.dense_embedding ? kWide : kNarrow;
    d.embedding = reader.embedding(a, alpha);
    for (int i = 0; i < a.encoders; ++i) {
      const std::string name = "encoder." + std::to_string(i), smolgen = name + ".mha.smolgen";
      Encoder& encoder = d.encoders.emplace_back(reader.encoder(name, channels, a.heads, a.ffn_activation, alpha, eps));
      if (reader.has(smolgen + ".compress")) encoder.smolgen = reader.smolgen(smolgen, channels, a.heads, a.smolgen_activation);
    }
  }
  d.policy = reader.policy_head(a, channels);
  d.value = reader.scalar_head(a, channels, "value.", "val", "value.value", a.wdl ? 3 : 1);
  if (a.moves_left) d.moves_left = reader.scalar_head(a, channels, "", "mov", "moves_left", 1);
  return d;
}

}  // namespace nn
