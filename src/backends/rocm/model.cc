#include "backends/rocm/model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "chess/policy.h"

namespace rocm {
namespace {

constexpr int kSquares = 64, kPolicyPlanes = 80;

int round_up_8(int n) { return (n + 7) / 8 * 8; }

// (rows, cols) with each row made of groups of `from` values; each group gets zeros behind it up to `to`.
Floats pad_groups(const Floats& values, int from, int to) {
  Floats padded(values.size() / from * to);
  for (std::size_t group = 0; group < values.size() / from; ++group)
    std::copy_n(&values[group * from], from, &padded[group * to]);
  return padded;
}

// (rows, channels, squares) to (rows, squares, channels).
Floats squares_first(const Floats& values, int channels) {
  Floats turned(values.size());
  const std::size_t row = std::size_t{kSquares} * channels;
  for (std::size_t start = 0; start < values.size(); start += row)
    for (int channel = 0; channel < channels; ++channel)
      for (int square = 0; square < kSquares; ++square)
        turned[start + square * channels + channel] = values[start + channel * kSquares + square];
  return turned;
}

Floats policy_places(nn::PolicyHead head) {
  Floats places(chess::kPolicySize);
  std::iota(places.begin(), places.end(), 0);
  for (float& place : places) {
    const int move = place;
    if (head == nn::PolicyHead::kAttention) place = chess::attention_policy_map()[move];
    if (head == nn::PolicyHead::kConvolution) {
      const int plane_square = chess::convolution_policy_map()[move];
      place = plane_square % kSquares * kPolicyPlanes + plane_square / kSquares;
    }
  }
  return places;
}

// Makes the parts of a Model from arrays by name.
template <class T>
class Reader {
 public:
  explicit Reader(Weights& weights) : weights_(weights), network_(weights.network()) {}

  int size(const std::string& name) const { return static_cast<int>(network_.size(name)); }
  bool has(const std::string& name) const { return network_.has(name); }
  const T* array(const std::string& key, const std::function<Floats()>& make) { return weights_.array<T>(key, make); }
  const T* array(const std::string& name) {
    return array(name, [&] { return network_.get(name); });
  }
  Dense<T> dense(const std::string& prefix) {
    const int out = size(prefix + "_b");
    return {array(prefix + "_w"), array(prefix + "_b"), out, size(prefix + "_w") / out};
  }
  Dense<T> unbiased(const std::string& name, int in) { return {array(name), nullptr, size(name) / in, in}; }
  Floats joined(const std::vector<std::string>& names) const {
    Floats all;
    for (const std::string& name : names) {
      const Floats part = network_.get(name);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  // What reads the channels of all squares, which the file has channel by channel.
  Dense<T> dense_of_squares(const std::string& prefix) {
    const int out = size(prefix + "_b"), in = size(prefix + "_w") / out;
    return {array(prefix + "_w", [&] { return squares_first(network_.get(prefix + "_w"), in / kSquares); }), array(prefix + "_b"), out, in};
  }
  Dense<T> convolution1x1(const std::string& prefix, int in) {
    return {array(prefix + ".weights", [&] { return network_.convolution(prefix).weights; }),
            array(prefix + ".biases", [&] { return network_.convolution(prefix).biases; }), size(prefix + ".weights") / in, in};
  }
  Norm<T> norm(const std::string& prefix) { return {array(prefix + "_gammas"), array(prefix + "_betas")}; }

  FeedForward<T> feed_forward(const std::string& prefix, const std::string& norm_prefix) {
    return {dense(prefix + ".dense1"), dense(prefix + ".dense2"), norm(norm_prefix)};
  }

  Block<T> block(const std::string& prefix) {
    Block<T> block{{weights_, prefix + ".conv1"}, {weights_, prefix + ".conv2"}, {}};
    const std::string se = prefix + ".se.";
    if (has(se + "w1")) block.se = {array(se + "w1"), array(se + "b1"), array(se + "w2"), array(se + "b2"), size(se + "b1")};
    return block;
  }

  Smolgen<T> smolgen(const std::string& prefix, int heads, int channels) {
    const int width = size(prefix + ".dense2_b");
    return {unbiased(prefix + ".compress", channels), dense(prefix + ".dense1"), dense(prefix + ".dense2"), norm(prefix + ".ln1"),
            norm(prefix + ".ln2"), unbiased("smolgen_w", width / heads)};
  }

  Encoder<T> encoder(const std::string& prefix, int heads) {
    const std::string mha = prefix + ".mha.";
    const int width = size(mha + "q_b"), depth = width / heads, padded = round_up_8(depth), channels = size(mha + "q_w") / width;
    const auto qkv = [&](const std::string& kind, int row) {
      Floats all = pad_groups(joined({mha + "q_" + kind, mha + "k_" + kind, mha + "v_" + kind}), depth * row, padded * row);
      // The kernel divides scores by sqrt(padded), the formula by sqrt(depth).
      if (padded != depth)
        for (std::size_t i = 0; i < all.size() / 3; ++i) all[i] *= std::sqrt(static_cast<float>(padded) / depth);
      return all;
    };
    Encoder<T> encoder{
        heads,
        padded,
        {array(mha + "qkv_w", [&] { return qkv("w", channels); }), array(mha + "qkv_b", [&] { return qkv("b", 1); }), 3 * heads * padded,
         channels},
        {array(mha + "dense_w", [&] { return pad_groups(network_.get(mha + "dense_w"), depth, padded); }), array(mha + "dense_b"),
         size(mha + "dense_b"), heads * padded},
        norm(prefix + ".ln1"),
        feed_forward(prefix + ".ffn", prefix + ".ln2"),
        {}};
    if (has(mha + "smolgen.compress")) encoder.smolgen = smolgen(mha + "smolgen", heads, channels);
    return encoder;
  }

  Embedding<T> embedding(const nn::Architecture& a) {
    Embedding<T> e;
    const int channels = size("ip_emb_b"), in = size("ip_emb_w") / channels;
    const int padded = a.filters > 0 ? in : round_up_8(in);
    e.dense = {array("ip_emb_w", [&] { return pad_groups(network_.get("ip_emb_w"), in, padded); }), array("ip_emb_b"),
               channels, padded};
    if (a.filters == 0 && a.dense_embedding) e.preprocess = dense("ip_emb_preproc");
    if (a.filters == 0 && !a.dense_embedding) e.map = array("position map", [] {
      return Floats(chess::position_map(), chess::position_map() + kSquares * kSquares);
    });
    if (a.dense_embedding) {
      e.norm = norm("ip_emb_ln");
      e.feed_forward = feed_forward("ip_emb_ffn", "ip_emb_ffn_ln");
    }
    if (has("ip_mult_gate") && has("ip_add_gate")) {
      const auto gate = [&](const std::string& name) {
        return array(name, [&] { return squares_first(network_.get(name), channels); });
      };
      e.multiply = gate("ip_mult_gate");
      e.add = gate("ip_add_gate");
    }
    return e;
  }

  // kind: "val" or "mov".
  ScalarHead<T> scalar_head(const nn::Architecture& a, const std::string& prefix, const std::string& kind, const std::string& convolution) {
    const std::string first = prefix + "ip1_" + kind, second = prefix + "ip2_" + kind;
    if (a.attention_body) return {dense(prefix + "ip_" + kind), dense(first), dense(second)};
    return {convolution1x1(convolution, a.filters), dense_of_squares(first), dense(second)};
  }

  PolicyHead<T> policy_head(const nn::Architecture& a) {
    PolicyHead<T> head;
    head.places = weights_.array<int>("policy places", [&] { return policy_places(a.policy); });
    switch (a.policy) {
      case nn::PolicyHead::kClassical:
        head.embed = convolution1x1("policy.policy", a.filters);
        head.logits = dense_of_squares("policy.ip_pol");
        break;
      case nn::PolicyHead::kConvolution:
        head.convolutions = {{weights_, "policy.policy1"}, {weights_, "policy.policy"}};
        break;
      case nn::PolicyHead::kAttention:
        head.embed = dense("policy.ip_pol");
        for (int i = 0; i < a.policy_encoders; ++i)
          head.encoders.push_back(encoder("policy.pol_encoder." + std::to_string(i), a.policy_heads));
        head.queries_keys = {array("policy.queries_keys_w", [&] { return joined({"policy.ip2_pol_w", "policy.ip3_pol_w"}); }),
                             array("policy.queries_keys_b", [&] { return joined({"policy.ip2_pol_b", "policy.ip3_pol_b"}); }),
                             2 * size("policy.ip2_pol_b"), head.embed->out};
        head.promotions = array("policy.ip4_pol_w");
    }
    return head;
  }

 private:
  Weights& weights_;
  const nn::Network& network_;
};

}  // namespace

template <class T>
Model<T>::Model(Weights& weights, bool with_moves_left) : architecture(weights.network().architecture()) {
  Reader<T> reader(weights);
  const nn::Architecture& a = architecture;
  if (a.filters > 0) input.emplace(weights, "input");
  for (int i = 0; i < a.blocks; ++i) blocks.push_back(reader.block("residual." + std::to_string(i)));
  if (a.attention_body) embedding = reader.embedding(a);
  for (int i = 0; i < a.encoders; ++i) encoders.push_back(reader.encoder("encoder." + std::to_string(i), a.heads));
  policy = reader.policy_head(a);
  value = reader.scalar_head(a, "value.", "val", "value.value");
  if (a.moves_left && with_moves_left) moves_left = reader.scalar_head(a, "", "mov", "moves_left");
}

template struct Model<float>;
template struct Model<half>;

}  // namespace rocm
