#include "nn/layers.h"

namespace nn {
namespace {

class Table {
 public:
  void add(const std::string& name, std::vector<int> shape) { layers_.push_back({name, std::move(shape)}); }

  void tower(const Tower& tower) {
    const int channels = tower.input.out();
    add("input", {kSquares, channels});
    for (std::size_t i = 0; i < tower.blocks.size(); ++i) {
      const std::string name = "block." + std::to_string(i);
      add(name + ".conv1", {kSquares, tower.blocks[i].conv1.out()});
      add(name + ".branch", {kSquares, channels});  // what the block adds to its input
      add(name, {kSquares, channels});
    }
  }

  void encoders(const std::vector<Encoder>& encoders, const std::string& prefix) {
    for (std::size_t i = 0; i < encoders.size(); ++i) {
      const Encoder& e = encoders[i];
      const int channels = e.out.out(), depth = e.out.in() / e.heads;
      const std::string name = prefix + std::to_string(i);
      if (e.smolgen) add(name + ".smolgen", {e.heads, kSquares, kSquares});  // added to the scores
      for (const char* part : {".q", ".k", ".v"}) add(name + part, {kSquares, e.heads, depth});
      add(name + ".attention", {e.heads, kSquares, kSquares});  // after the softmax: from, to
      add(name + ".heads", {kSquares, e.heads, depth});         // what each head gives
      add(name + ".ln1", {kSquares, channels});
      add(name + ".hidden", {kSquares, e.feed_forward.dense1.out()});
      add(name, {kSquares, channels});
    }
  }

  void scalar_head(const std::string& name, const ScalarHead& head) {
    add(name + ".embedding", {kSquares, head.embed.out()});
    add(name + ".hidden", {head.hidden.out()});
  }

  void policy(const ClassicalPolicy& head) { add("policy.embedding", {kSquares, head.embed.out()}); }
  void policy(const ConvolutionPolicy& head) { add("policy.embedding", {kSquares, head.inner.out()}); }
  void policy(const AttentionPolicy& head) {
    add("policy.embedding", {kSquares, head.embed.out()});
    encoders(head.encoders, "policy.encoder.");
    for (const char* part : {"policy.q", "policy.k"}) add(part, {kSquares, head.queries_keys.out() / 2});
  }

  std::vector<Layer> take() { return std::move(layers_); }

 private:
  std::vector<Layer> layers_;
};

}  // namespace

std::vector<Layer> layers(const Description& d) {
  Table table;
  if (d.tower) table.tower(*d.tower);
  if (d.embedding) {
    if (d.embedding->feed_forward) table.add("embedding.hidden", {kSquares, d.embedding->feed_forward->dense1.out()});
    table.add("embedding", {kSquares, d.embedding->dense.out()});
  }
  table.encoders(d.encoders, "encoder.");
  table.scalar_head("value", d.value);
  if (d.moves_left) table.scalar_head("moves_left", *d.moves_left);
  std::visit([&](const auto& head) { table.policy(head); }, d.policy);
  return table.take();
}

}  // namespace nn
