#include "backends/cpu/network.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/attention.h"
#include "backends/cpu/attention_map.h"
#include "backends/cpu/embedding.h"
#include "backends/cpu/layer_norm.h"
#include "backends/cpu/squeeze_excitation.h"
#include "chess/policy.h"
#include "nn/layout.h"
#include "process.h"

namespace cpu {
namespace {

// What the constant position map adds to the embedding: (64, channels).
nn::Weight position_map(const nn::Dense& embedding) {
  const nn::Weight encoding = nn::columns(embedding.w, chess::kPlanes, 64);
  return {embedding.w.key + " position map", {64, embedding.out()}, [make = encoding.make, channels = embedding.out()] {
            const Floats weights = make();
            const float* map = chess::position_map();
            Floats table(std::size_t{64} * channels);
            for (int square = 0; square < 64; ++square)
              for (int c = 0; c < channels; ++c)
                for (int other = 0; other < 64; ++other)
                  table[square * channels + c] += map[square * 64 + other] * weights[std::size_t(c) * 64 + other];
            return table;
          }};
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

Forward::Forward(Weights& weights, Arena& arena, Precision precision, int batch, bool moves_left,
                 const std::set<std::string>* watched)
    : description_(weights.description()),
      body_(weights, arena, precision, batch),
      policy_(weights, arena, precision, batch),
      watched_(watched) {
  const process::Undivided in_the_cache_of_onednn;
  const nn::Description& d = description_;
  Tensor body = body_.tensor("planes", 64, chess::kPlanes);
  body_.step(
      [this, body, batch](auto number) { expand_planes(body.as<decltype(number)>(), input_, batch, chess::kPlanes); });
  if (d.tower) body = tower(body, *d.tower);
  if (d.embedding) body = embedding(body, *d.embedding);
  for (std::size_t i = 0; i < d.encoders.size(); ++i) encoder(body_, body, d.encoders[i], "encoder." + std::to_string(i));
  value_ = scalar_head(body, d.value, "value");
  if (moves_left && d.moves_left) moves_left_ = scalar_head(body, *d.moves_left, "moves_left");
  std::visit([&](const auto& head) { policy_head(body, head); }, d.policy);
  watched_ = nullptr;
}

Tensor Forward::tower(Tensor planes, const nn::Tower& tower) {
  const int filters = tower.input.out(), batch = body_.batch();
  const Tensor x = body_.tensor("tower", 64, filters), y = body_.tensor("inner", 64, filters);
  body_.conv3x3(x, planes, tower.input, tower.activation);
  show(body_, "input", x);
  for (std::size_t i = 0; i < tower.blocks.size(); ++i) {
    const std::string name = "block." + std::to_string(i);
    body_.conv3x3(y, x, tower.blocks[i].conv1, tower.activation);
    show(body_, name + ".conv1", y);
    if (!watches(name + ".branch")) {
      residual(x, y, tower.blocks[i], tower.activation);
    } else {  // into zeros, and that onto x
      const Tensor branch = body_.tensor("branch alone", 64, filters);
      const std::size_t numbers = std::size_t{64} * batch * filters;
      body_.step([=](auto number) { std::fill_n(branch.as<decltype(number)>(), numbers, decltype(number){}); });
      residual(branch, y, tower.blocks[i], nn::Activation::kNone);
      show(body_, name + ".branch", branch);
      body_.step([=, activation = tower.activation](auto number) {
        add(x.as<decltype(number)>(), branch.as<decltype(number)>(), activation, numbers);
      });
    }
    show(body_, name, x);
  }
  return x;
}

// x = activation(x + se(conv2(y)))
void Forward::residual(Tensor x, Tensor y, const nn::Residual& block, nn::Activation activation) {
  if (!block.se) return body_.conv3x3(x, y, block.conv2, activation, true);
  const int filters = x.cols, batch = body_.batch();
  const Tensor z = body_.tensor("branch", 64, filters), row = body_.floats("row", 1, filters);
  const Tensor means = body_.tensor("means", 1, filters), hidden = body_.tensor("squeezed", 1, block.se->squeeze.out());
  const Tensor gates = body_.floats("gates", 2, filters);
  body_.conv3x3(z, y, block.conv2, nn::Activation::kNone);
  body_.step([=](auto number) {
    using T = decltype(number);
    pool(means.as<T>(), z.as<T>(), row.as<float>(), batch, filters);
  });
  body_.dense(hidden, means, block.se->squeeze, description_.tower->activation);
  body_.dense(gates, hidden, block.se->excite);
  body_.step([=](auto number) {
    using T = decltype(number);
    excite(x.as<T>(), z.as<T>(), gates.as<float>(), row.as<float>(), activation, batch, filters);
  });
}

Tensor Forward::embedding(Tensor input, const nn::Embedding& e) {
  const int batch = body_.batch();
  Weights& weights = body_.weights();
  const Tensor tokens = body_.tensor("tokens", 64, e.dense.out()), branch = body_.floats("branch", 64, e.dense.out());
  body_.dense(branch, input, {nn::columns(e.dense.w, 0, input.cols), e.dense.b});
  if (e.encoding) {
    const Tensor pieces = body_.tensor("pieces", 64, 12), extra = body_.tensor("extra", 64, e.encoding->out() / 64);
    body_.step([=, this](auto number) { expand_planes(pieces.as<decltype(number)>(), input_, batch, 12); });
    body_.dense_int8(extra, pieces, *e.encoding);
    body_.dense(branch, extra, {nn::columns(e.dense.w, input.cols, extra.cols), {}}, nn::Activation::kNone, true);
  }
  EmbeddingTables tables{};
  if (e.map) tables.position = weights.table(position_map(e.dense));
  if (e.norm) tables.gamma = weights.table(e.norm->gain), tables.beta = weights.table(e.norm->shift), tables.eps = e.norm->eps;
  if (e.multiply) tables.multiply = weights.table(e.multiply), tables.add = weights.table(e.add);
  body_.step([=, activation = e.activation](auto number) {
    embed(tokens.as<decltype(number)>(), branch.as<float>(), tables, activation, batch, tokens.cols);
  });
  if (e.feed_forward) feed_forward(body_, branch, tokens, *e.feed_forward, "embedding");
  show(body_, "embedding", tokens);
  return tokens;
}

void Forward::encoder(Plan& plan, Tensor tokens, const nn::Encoder& e, const std::string& name) {
  const int batch = plan.batch(), heads = e.heads, width = e.out.in(), depth = width / heads;
  const Tensor qkv = plan.tensor("qkv", 64, 3 * width), mixed = plan.tensor("mixed", 64, width);
  const Tensor branch = plan.floats("branch", 64, tokens.cols);

  const Tensor bias = e.smolgen ? smolgen(plan, tokens, *e.smolgen, heads) : Tensor{};
  if (e.smolgen) show(plan, name + ".smolgen", bias);
  const float root = std::sqrt(static_cast<float>(depth));
  plan.dense_int8(qkv, tokens, nn::scaled(e.qkv, 1 / root, width));
  show(plan, name + ".q", qkv, 0, width, root);
  show(plan, name + ".k", qkv, width, width);
  show(plan, name + ".v", qkv, 2 * width, width);
  if (watches(name + ".attention")) {
    const Tensor map = plan.floats("attention map", heads, 4096);
    plan.step([=](auto number) {
      using T = decltype(number);
      attention_map(map.as<float>(), qkv.as<T>(), bias.as<T>(), batch, heads, depth);
    });
    show(plan, name + ".attention", map);
    plan.step([=](auto number) {
      using T = decltype(number);
      mix_values(mixed.as<T>(), map.as<float>(), qkv.as<T>(), batch, heads, depth);
    });
  } else {
    plan.step([=](auto number) {
      using T = decltype(number);
      attention(mixed.as<T>(), qkv.as<T>(), bias.as<T>(), batch, heads, depth);
    });
  }
  show(plan, name + ".heads", mixed);
  plan.dense_int8(branch, mixed, nn::scaled(e.out, e.alpha));
  norm(plan, tokens, branch, e.norm, true);
  show(plan, name + ".ln1", tokens);
  feed_forward(plan, branch, tokens, e.feed_forward, name);
  show(plan, name, tokens);
}

// What smolgen adds to the scores of all heads.
Tensor Forward::smolgen(Plan& plan, Tensor tokens, const nn::Smolgen& s, int heads) {
  const Tensor compressed = plan.tensor("compressed", 64, s.compress.out()), bias = plan.tensor("bias", heads, 4096);
  const Tensor a_float = plan.floats("smolgen 1", 1, s.dense1.out()), a = plan.tensor("smolgen 1 normed", 1, s.dense1.out());
  const Tensor b_float = plan.floats("smolgen 2", 1, s.dense2.out()), b = plan.tensor("smolgen 2 normed", 1, s.dense2.out());
  plan.dense_int8(compressed, tokens, s.compress);
  plan.dense_int8(a_float, compressed, s.dense1, s.activation);
  norm(plan, a, a_float, s.norm1);
  plan.dense_int8(b_float, a, s.dense2, s.activation);
  norm(plan, b, b_float, s.norm2);
  plan.dense_int8(bias, b, s.generate);
  return bias;
}

void Forward::feed_forward(Plan& plan, Tensor branch, Tensor tokens, const nn::FeedForward& f, const std::string& name) {
  const Tensor hidden = plan.tensor("hidden", 64, f.dense1.out());
  plan.dense_int8(hidden, tokens, f.dense1, f.activation);
  show(plan, name + ".hidden", hidden);
  plan.dense_int8(branch, hidden, nn::scaled(f.dense2, f.alpha));
  norm(plan, tokens, branch, f.norm, true);
}

// to = LN(from [+ to])
void Forward::norm(Plan& plan, Tensor to, Tensor from, const nn::Norm& n, bool add) {
  plan.step([=, gamma = plan.weights().table(n.gain), beta = plan.weights().table(n.shift), eps = n.eps,
             rows = plan.batch() * to.rows](auto number) {
    auto* y = to.as<decltype(number)>();
    layer_norm(y, from.as<float>(), add ? y : nullptr, gamma, beta, rows, to.cols, eps);
  });
}

// Raw numbers, in a tensor of this name.
Tensor Forward::scalar_head(Tensor body, const nn::ScalarHead& head, const std::string& name) {
  const Tensor squares = body_.tensor("head", 64, head.embed.out()), hidden = body_.tensor("head hidden", 1, head.hidden.out());
  const Tensor out = body_.floats(name, 1, head.out.out());
  body_.dense(squares, body, head.embed, head.activation);
  show(body_, name + ".embedding", squares);
  body_.dense(hidden, squares, head.hidden, head.activation);
  show(body_, name + ".hidden", hidden);
  body_.dense(out, hidden, head.out);
  return out;
}

template <class Logit>
void Forward::read_policy(Logit logit) {
  write_policy_ = [this, logit](const nn::Batch& batch, int first) {
    nn::for_each_logit(batch, first, body_.batch(), [&](int position, std::uint16_t index, std::size_t place) {
      batch.policy[place] = logit(position - first, index);
    });
  };
}

void Forward::policy_head(Tensor body, const nn::ClassicalPolicy& head) {
  const Tensor squares = policy_.tensor("head", 64, head.embed.out()), logits = policy_.floats("logits", 1, chess::kPolicySize);
  policy_.dense(squares, body, head.embed, head.activation);
  show(policy_, "policy.embedding", squares);
  policy_.dense(logits, squares, head.logits);
  read_policy([logits](int position, std::uint16_t index) { return logits.as<float>()[position * chess::kPolicySize + index]; });
}

void Forward::policy_head(Tensor body, const nn::ConvolutionPolicy& head) {
  const Tensor inner = policy_.tensor("inner", 64, head.inner.out()), planes = policy_.floats("logits", 64, head.outer.out());
  policy_.conv3x3(inner, body, head.inner, head.activation);
  show(policy_, "policy.embedding", inner);
  policy_.conv3x3(planes, inner, head.outer, nn::Activation::kNone);
  read_policy([planes](int position, std::uint16_t index) {
    const int place = chess::convolution_policy_map()[index];
    return planes.as<float>()[(position * 64 + place % 64) * planes.cols + place / 64];
  });
}

void Forward::policy_head(Tensor body, const nn::AttentionPolicy& head) {
  const Tensor tokens = policy_.tensor("policy tokens", 64, head.embed.out());
  policy_.dense(tokens, body, head.embed, head.activation);
  show(policy_, "policy.embedding", tokens);
  for (std::size_t i = 0; i < head.encoders.size(); ++i) encoder(policy_, tokens, head.encoders[i], "policy.encoder." + std::to_string(i));
  const int width = head.queries_keys.out() / 2;
  const float root = std::sqrt(static_cast<float>(width));
  const Tensor qk = policy_.floats("policy qk", 64, 2 * width);
  policy_.dense(qk, tokens, nn::scaled(head.queries_keys, 1 / root, width));
  show(policy_, "policy.q", qk, 0, width, root);
  show(policy_, "policy.k", qk, width, width);
  read_policy([qk, promotion = policy_.weights().table(head.promotions), width](int position, std::uint16_t index) {
    return attention_logit(qk.as<float>() + std::size_t{128} * position * width, promotion, width, chess::attention_policy_map()[index]);
  });
}

void Forward::show(const Plan& plan, const std::string& name, Tensor tensor, int column, int cols, float factor) {
  if (watches(name)) views_.push_back({name, &plan == &policy_, plan.steps(), tensor, column, cols ? cols : tensor.cols, factor});
}

void Forward::View::read(float* values, int batch) const {
  for_number(tensor.type, [&](auto number) {
    const auto* from = tensor.as<decltype(number)>() + column;
    for (int row = 0; row < batch * tensor.rows; ++row, from += tensor.cols)
      for (int c = 0; c < cols; ++c) *values++ = factor * to_float(from[c]);
  });
}

void Forward::View::write(const float* values, int batch) const {
  for_number(tensor.type, [&](auto number) {
    auto* to = tensor.as<decltype(number)>() + column;
    for (int row = 0; row < batch * tensor.rows; ++row, to += tensor.cols)
      for (int c = 0; c < cols; ++c) to[c] = from_float<decltype(number)>(*values++ / factor);
  });
}

void Forward::begin(const nn::Batch& batch, int first) {
  input_ = batch.planes + first;
  body_done_ = policy_done_ = 0;
}

void Forward::stop_at(const View& view) {
  const auto run_to = [](Plan& plan, std::size_t& done, std::size_t end) {
    plan.run(done, end);
    done = end;
  };
  run_to(body_, body_done_, view.in_policy ? body_.steps() : view.step);
  if (view.in_policy) run_to(policy_, policy_done_, view.step);
}

void Forward::run(const nn::Batch& batch, int first) {
  begin(batch, first);
  finish(batch, first);
}

void Forward::finish(const nn::Batch& batch, int first) {
  body_.run(body_done_, body_.steps());
  if (batch.policy) policy_.run(policy_done_, policy_.steps());
  for (int i = 0; i < body_.batch(); ++i) {
    nn::Value& value = batch.values[first + i];
    value = {};
    const float* y = value_.as<float>() + i * value_.cols;
    if (description_.wdl) {
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
  write_policy_(batch, first);
}

}  // namespace cpu
