// The forward pass of a network for one batch size.
#pragma once
#include <set>

#include "backends/cpu/plan.h"
#include "chess/encode.h"
#include "nn/backend.h"

namespace cpu {

class Forward {
 public:
  // A network without moves-left head, or with `moves_left` false, gives m = 0. watched: names of layers (nn/layers.h) that become views;
  // what fuses them away is left out.
  Forward(Weights& weights, Arena& arena, Precision precision, int batch, bool moves_left,
          const std::set<std::string>* watched = nullptr);

  Forward(const Forward&) = delete;  // its steps point to it

  // Evaluates positions first .. first + size - 1 of `batch`, size being what the plan was made for.
  void run(const nn::Batch& batch, int first);

  // run() in parts, from one view to the next, in their order: begin, stop_at for each, finish.
  struct View {
    std::string name;
    bool in_policy;    // plan, and
    std::size_t step;  // its first step that comes after
    Tensor tensor;     // which has the layer in
    int column, cols;  // so many columns,
    float factor;      // times this
    void read(float* values, int batch) const;  // (batch, rows, cols)
    void write(const float* values, int batch) const;
  };
  const std::vector<View>& views() const { return views_; }
  void begin(const nn::Batch& batch, int first);
  void stop_at(const View& view);
  void finish(const nn::Batch& batch, int first);

 private:
  Tensor tower(Tensor planes, const nn::Tower& tower);
  Tensor embedding(Tensor input, const nn::Embedding& e);
  void encoder(Plan& plan, Tensor tokens, const nn::Encoder& e, const std::string& name);
  Tensor smolgen(Plan& plan, Tensor tokens, const nn::Smolgen& s, int heads);
  void feed_forward(Plan& plan, Tensor branch, Tensor tokens, const nn::FeedForward& f, const std::string& name);
  void norm(Plan& plan, Tensor to, Tensor from, const nn::Norm& n, bool add = false);
  Tensor scalar_head(Tensor body, const nn::ScalarHead& head, const std::string& name);
  void residual(Tensor x, Tensor y, const nn::Residual& block, nn::Activation activation);
  bool watches(const std::string& name) const { return watched_ && watched_->contains(name); }
  void show(const Plan& plan, const std::string& name, Tensor tensor, int column = 0, int cols = 0, float factor = 1);  // cols 0: all
  void policy_head(Tensor body, const nn::ClassicalPolicy& head);
  void policy_head(Tensor body, const nn::ConvolutionPolicy& head);
  void policy_head(Tensor body, const nn::AttentionPolicy& head);

  const nn::Description& description_;
  Plan body_;  // up to the value and moves-left heads
  Plan policy_;  // goes on from the body
  const std::set<std::string>* watched_;  // while the plans are written
  std::vector<View> views_;
  std::size_t body_done_ = 0, policy_done_ = 0;  // steps
  const chess::Planes* input_ = nullptr;
  Tensor value_{}, moves_left_{};
  template <class Logit>
  void read_policy(Logit logit);  // float(int position, std::uint16_t index): a raw logit of the 1858
  std::function<void(const nn::Batch& batch, int first)> write_policy_;
};

}  // namespace cpu
