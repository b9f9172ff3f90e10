#include "backends/cpu/network.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/attention.h"
#include "backends/cpu/embedding.h"
#include "backends/cpu/layer_norm.h"
#include "backends/cpu/squeeze_excitation.h"
#include "chess/policy.h"

namespace cpu {
namespace {

constexpr float kSmolgenEpsilon = 1e-3f;

// What the constant position map (docs/spec/networks.md 4.3) adds to the embedding: (64, embedding).
Floats position_map(const nn::Network& network) {
  constexpr int kWidth = chess::kPlanes + 64;
  const Floats weights = network.get("ip_emb_w");
  const std::size_t embedding = weights.size() / kWidth;
  const float* map = chess::position_map();
  Floats table(64 * embedding);
  for (int square = 0; square < 64; ++square)
    for (std::size_t e = 0; e < embedding; ++e)
      for (int other = 0; other < 64; ++other)
        table[square * embedding + e] += map[square * 64 + other] * weights[e * kWidth + chess::kPlanes + other];
  return table;
}

// (channels, 64) to (64, channels).
Floats by_square(const Floats& values) {
  const std::size_t channels = values.size() / 64;
  Floats turned(values.size());
  for (std::size_t c = 0; c < channels; ++c)
    for (int square = 0; square < 64; ++square) turned[square * channels + c] = values[c * 64 + square];
  return turned;
}

template <class T>
float dot(const T* a, const T* b, int n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; ++i) sum += to_float(a[i]) * to_float(b[i]);
  return sum;
}

// The logit at one place of the attention policy's flat output (docs/spec/networks.md 5.5).
template <class T>
float attention_logit(const T* qk,  // (64, 2, width): queries, scaled by 1 / sqrt(width), and keys
                      const T* promotion,  // (4, width): queen, rook, bishop, common
                      int width, int place) {
  const auto query = [&](int square) { return qk + std::size_t{2} * square * width; };
  const auto key = [&](int square) { return query(square) + width; };
  if (place < 64 * 64) return dot(query(place / 64), key(place % 64), width);
  place -= 64 * 64;
  const int from = 48 + place / 24, to = 56 + place % 24 / 3, piece = place % 3;
  return dot(query(from), key(to), width) + dot(key(to), promotion + piece * width, width) +
         dot(key(to), promotion + 3 * width, width);
}

}  // namespace

Forward::Forward(Weights& weights, Arena& arena, dnnl::memory::data_type type, int batch, bool moves_left)
    : network_(weights.network()),
      architecture_(network_.architecture()),
      body_(weights, arena, type, batch),
      policy_(weights, arena, type, batch) {
  const nn::Architecture& a = architecture_;
  Tensor body = body_.tensor("planes", 64, chess::kPlanes);
  body_.step(
      [this, body, batch](auto number) { expand_planes(body.as<decltype(number)>(), input_, batch, chess::kPlanes); });
  if (a.filters > 0) body = tower(body);
  if (a.attention_body) {
    body = embedding(body);
    const float alpha = std::pow(2.0f * a.encoders, -0.25f), eps = a.dense_embedding ? 1e-3f : 1e-6f;
    for (int i = 0; i < a.encoders; ++i)
      encoder(body_, body, "encoder." + std::to_string(i), a.heads, a.ffn_activation, alpha, eps);
  }
  value_ = scalar_head(body, "value.", "val", "value.value");
  if (moves_left && a.moves_left) moves_left_ = scalar_head(body, "", "mov", "moves_left");
  policy_head(body);
}

Tensor Forward::tower(Tensor planes) {
  const nn::Activation activation = architecture_.activation;
  const int filters = architecture_.filters, batch = body_.batch();
  const Tensor x = body_.tensor("tower", 64, filters), y = body_.tensor("inner", 64, filters);
  body_.conv3x3(x, planes, "input", activation);
  for (int i = 0; i < architecture_.blocks; ++i) {
    const std::string name = "residual." + std::to_string(i);
    body_.conv3x3(y, x, name + ".conv1", activation);
    if (!network_.has(name + ".se.w1")) {
      body_.conv3x3(x, y, name + ".conv2", activation, true);
      continue;
    }
    const Linear squeeze = linear(network_, name + ".se.w1", name + ".se.b1");
    const Linear excitation = linear(network_, name + ".se.w2", name + ".se.b2");
    const Tensor z = body_.tensor("branch", 64, filters), row = body_.floats("row", 1, filters);
    const Tensor means = body_.tensor("means", 1, filters), hidden = body_.tensor("squeezed", 1, squeeze.out);
    const Tensor gates = body_.floats("gates", 2, filters);
    body_.conv3x3(z, y, name + ".conv2", nn::Activation::kNone);
    body_.step([=](auto number) {
      using T = decltype(number);
      pool(means.as<T>(), z.as<T>(), row.as<float>(), batch, filters);
    });
    body_.dense(hidden, means, squeeze, activation);
    body_.dense(gates, hidden, excitation);
    body_.step([=](auto number) {
      using T = decltype(number);
      excite(x.as<T>(), z.as<T>(), gates.as<float>(), row.as<float>(), activation, batch, filters);
    });
  }
  return x;
}

Tensor Forward::embedding(Tensor input) {
  const nn::Architecture& a = architecture_;
  const int batch = body_.batch();
  const Linear whole = linear(network_, "ip_emb");
  const Tensor tokens = body_.tensor("tokens", 64, whole.out), branch = body_.floats("branch", 64, whole.out);
  body_.dense(branch, input, columns(whole, 0, input.cols));
  if (a.filters == 0 && a.dense_embedding) {
    const Linear preprocess = linear(network_, "ip_emb_preproc");
    const Tensor pieces = body_.tensor("pieces", 64, 12), extra = body_.tensor("extra", 64, preprocess.out / 64);
    body_.step([=, this](auto number) { expand_planes(pieces.as<decltype(number)>(), input_, batch, 12); });
    body_.dense(extra, pieces, preprocess);
    Linear rest = columns(whole, input.cols, extra.cols);
    rest.biases = nullptr;
    body_.dense(branch, extra, rest, nn::Activation::kNone, true);
  }
  const auto table = [this](const std::string& name) {
    return body_.weights().table(name, [this, name] { return network_.get(name); })->data();
  };
  const auto square_table = [this](const std::string& name) {
    return body_.weights().table(name, [this, name] { return by_square(network_.get(name)); })->data();
  };
  EmbeddingTables tables{};
  if (a.filters == 0 && !a.dense_embedding)
    tables.position = body_.weights().table("position map", [this] { return position_map(network_); })->data();
  if (a.dense_embedding) {
    tables.gamma = table("ip_emb_ln_gammas");
    tables.beta = table("ip_emb_ln_betas");
  }
  if (network_.has("ip_mult_gate") && network_.has("ip_add_gate")) {
    tables.multiply = square_table("ip_mult_gate");
    tables.add = square_table("ip_add_gate");
  }
  body_.step([=, activation = a.activation](auto number) {
    embed(tokens.as<decltype(number)>(), branch.as<float>(), tables, activation, batch, tokens.cols);
  });
  if (a.dense_embedding) {
    const float alpha = std::pow(2.0f * a.encoders, -0.25f);
    feed_forward(body_, branch, tokens, "ip_emb_ffn", a.ffn_activation, alpha);
    norm(body_, tokens, branch, "ip_emb_ffn_ln", 1e-3f, true);
  }
  return tokens;
}

void Forward::encoder(Plan& plan, Tensor tokens, const std::string& name, int heads, nn::Activation ffn_activation,
                      float alpha, float eps) {
  const int batch = plan.batch();
  const Linear q = linear(network_, name + ".mha.q"), k = linear(network_, name + ".mha.k"),
               v = linear(network_, name + ".mha.v");
  const int depth = q.out / heads;
  const Tensor qkv = plan.tensor("qkv", 64, 3 * q.out), mixed = plan.tensor("mixed", 64, q.out);
  const Tensor branch = plan.floats("branch", 64, tokens.cols);

  const Tensor bias = smolgen(plan, tokens, name + ".mha.smolgen", heads);
  plan.dense(qkv, tokens, stacked({scaled(q, 1 / std::sqrt(static_cast<float>(depth))), k, v}));
  plan.step([=](auto number) {
    using T = decltype(number);
    attention(mixed.as<T>(), qkv.as<T>(), bias.as<T>(), batch, heads, depth);
  });
  plan.dense(branch, mixed, scaled(linear(network_, name + ".mha.dense"), alpha));
  norm(plan, tokens, branch, name + ".ln1", eps, true);
  feed_forward(plan, branch, tokens, name + ".ffn", ffn_activation, alpha);
  norm(plan, tokens, branch, name + ".ln2", eps, true);
}

// What smolgen adds to the scores of all heads; without smolgen a tensor without data.
Tensor Forward::smolgen(Plan& plan, Tensor tokens, const std::string& name, int heads) {
  if (!network_.has(name + ".compress")) return {};
  const nn::Activation activation = architecture_.smolgen_activation;
  const Linear compress = unbiased(network_, name + ".compress", tokens.cols);
  const Linear dense1 = linear(network_, name + ".dense1"), dense2 = linear(network_, name + ".dense2");
  const Linear generate = unbiased(network_, "smolgen_w", dense2.out / heads);
  const Tensor compressed = plan.tensor("compressed", 64, compress.out), bias = plan.tensor("bias", heads, 4096);
  const Tensor a_float = plan.floats("smolgen 1", 1, dense1.out), a = plan.tensor("smolgen 1 normed", 1, dense1.out);
  const Tensor b_float = plan.floats("smolgen 2", 1, dense2.out), b = plan.tensor("smolgen 2 normed", 1, dense2.out);
  plan.dense(compressed, tokens, compress);
  plan.dense(a_float, compressed, dense1, activation);
  norm(plan, a, a_float, name + ".ln1", kSmolgenEpsilon);
  plan.dense(b_float, a, dense2, activation);
  norm(plan, b, b_float, name + ".ln2", kSmolgenEpsilon);
  plan.dense(bias, b, generate);
  return bias;
}

// branch = alpha * FFN(tokens)
void Forward::feed_forward(Plan& plan, Tensor branch, Tensor tokens, const std::string& name, nn::Activation activation,
                           float alpha) {
  const Linear dense1 = linear(network_, name + ".dense1"), dense2 = linear(network_, name + ".dense2");
  const Tensor hidden = plan.tensor("hidden", 64, dense1.out);
  plan.dense(hidden, tokens, dense1, activation);
  plan.dense(branch, hidden, scaled(dense2, alpha));
}

// to = LN(from [+ to])
void Forward::norm(Plan& plan, Tensor to, Tensor from, const std::string& name, float eps, bool add) {
  const auto table = [&](const std::string& array) {
    return plan.weights().table(array, [this, array] { return network_.get(array); })->data();
  };
  plan.step(
      [=, gamma = table(name + "_gammas"), beta = table(name + "_betas"), rows = plan.batch() * to.rows](auto number) {
        auto* y = to.as<decltype(number)>();
        layer_norm(y, from.as<float>(), add ? y : nullptr, gamma, beta, rows, to.cols, eps);
      });
}

// Value (kind "val") or moves left ("mov"): one embedding a square, two dense layers; raw numbers.
Tensor Forward::scalar_head(Tensor body, const std::string& prefix, const std::string& kind,
                            const std::string& convolution) {
  const nn::Activation activation = architecture_.activation;
  const bool tokens = architecture_.attention_body;
  const Linear embed =
      tokens ? linear(network_, prefix + "ip_" + kind) : convolution1x1(network_, convolution, body.cols);
  Linear dense1 = linear(network_, prefix + "ip1_" + kind);
  if (!tokens) dense1 = from_squares(dense1);
  const Linear dense2 = linear(network_, prefix + "ip2_" + kind);
  const Tensor squares = body_.tensor("head", 64, embed.out), hidden = body_.tensor("head hidden", 1, dense1.out);
  const Tensor out = body_.floats(kind, 1, dense2.out);
  body_.dense(squares, body, embed, activation);
  body_.dense(hidden, squares, dense1, activation);
  body_.dense(out, hidden, dense2);
  return out;
}

void Forward::policy_head(Tensor body) {
  const nn::Architecture& a = architecture_;
  if (a.policy == nn::PolicyHead::kClassical) {
    const Linear embed = convolution1x1(network_, "policy.policy", body.cols);
    const Tensor squares = policy_.tensor("head", 64, embed.out),
                 logits = policy_.floats("logits", 1, chess::kPolicySize);
    policy_.dense(squares, body, embed, a.activation);
    policy_.dense(logits, squares, from_squares(linear(network_, "policy.ip_pol")));
    read_policy_ = [logits](int position, std::uint16_t index) {
      return logits.as<float>()[position * chess::kPolicySize + index];
    };
  } else if (a.policy == nn::PolicyHead::kConvolution) {
    constexpr int kPolicyPlanes = 80;
    const Tensor inner = policy_.tensor("inner", 64, body.cols), planes = policy_.floats("logits", 64, kPolicyPlanes);
    policy_.conv3x3(inner, body, "policy.policy1", a.activation);
    policy_.conv3x3(planes, inner, "policy.policy", nn::Activation::kNone);
    read_policy_ = [planes](int position, std::uint16_t index) {
      const int place = chess::convolution_policy_map()[index];
      return planes.as<float>()[(position * 64 + place % 64) * kPolicyPlanes + place / 64];
    };
  } else {
    const nn::Activation activation = a.attention_body ? a.activation : nn::Activation::kSelu;
    const nn::Activation ffn_activation = a.attention_body ? a.ffn_activation : nn::Activation::kSelu;
    const Linear embed = linear(network_, "policy.ip_pol");
    const Tensor tokens = policy_.tensor("policy tokens", 64, embed.out);
    policy_.dense(tokens, body, embed, activation);
    for (int i = 0; i < a.policy_encoders; ++i)
      encoder(policy_, tokens, "policy.pol_encoder." + std::to_string(i), a.policy_heads, ffn_activation, 1, 1e-6f);
    const Linear q = linear(network_, "policy.ip2_pol"), k = linear(network_, "policy.ip3_pol");
    const int width = q.out;
    const Tensor qk = policy_.floats("policy qk", 64, 2 * width);
    policy_.dense(qk, tokens, stacked({scaled(q, 1 / std::sqrt(static_cast<float>(width))), k}));
    const float* promotion =
        policy_.weights().table("policy.ip4_pol_w", [this] { return network_.get("policy.ip4_pol_w"); })->data();
    read_policy_ = [qk, promotion, width](int position, std::uint16_t index) {
      return attention_logit(qk.as<float>() + std::size_t{128} * position * width, promotion, width,
                             chess::attention_policy_map()[index]);
    };
  }
}

void Forward::run(const nn::Batch& batch, int first) {
  input_ = batch.planes + first;
  body_.run();
  if (batch.policy) policy_.run();
  for (int i = 0; i < body_.batch(); ++i) {
    nn::Value& value = batch.values[first + i];
    value = {};
    const float* y = value_.as<float>() + i * value_.cols;
    if (architecture_.wdl) {
      const float top = std::max({y[0], y[1], y[2]});
      const float win = std::exp(y[0] - top), draw = std::exp(y[1] - top), loss = std::exp(y[2] - top);
      const float sum = win + draw + loss;
      value.q = (win - loss) / sum;
      value.d = draw / sum;
    } else {
      value.q = std::tanh(y[0]);
    }
    if (moves_left_.data) value.m = std::max(0.0f, moves_left_.as<float>()[i]);
  }
  nn::for_each_logit(batch, first, body_.batch(), [&](int position, std::uint16_t move, std::size_t place) {
    batch.policy[place] = read_policy_(position - first, move);
  });
}

}  // namespace cpu
