// The forward pass of a network for one batch size.
#pragma once
#include "backends/cpu/plan.h"
#include "chess/encode.h"
#include "nn/backend.h"

namespace cpu {

class Forward {
 public:
  // A network without moves-left head, or with `moves_left` false, gives m = 0.
  Forward(Weights& weights, Arena& arena, dnnl::memory::data_type type, int batch, bool moves_left);

  Forward(const Forward&) = delete;  // its steps point to it

  // Evaluates positions first .. first + size - 1 of `batch`, size being what the plan was made for.
  void run(const nn::Batch& batch, int first);

 private:
  Tensor tower(Tensor planes, const nn::Tower& tower);
  Tensor embedding(Tensor input, const nn::Embedding& e);
  void encoder(Plan& plan, Tensor tokens, const nn::Encoder& e);
  Tensor smolgen(Plan& plan, Tensor tokens, const nn::Smolgen& s, int heads);
  void feed_forward(Plan& plan, Tensor branch, Tensor tokens, const nn::FeedForward& f);
  void norm(Plan& plan, Tensor to, Tensor from, const nn::Norm& n, bool add = false);
  Tensor scalar_head(Tensor body, const nn::ScalarHead& head, const std::string& name);
  void policy_head(Tensor body, const nn::ClassicalPolicy& head);
  void policy_head(Tensor body, const nn::ConvolutionPolicy& head);
  void policy_head(Tensor body, const nn::AttentionPolicy& head);

  const nn::Description& description_;
  Plan body_;  // up to the value and moves-left heads
  Plan policy_;  // goes on from the body
  const chess::Planes* input_ = nullptr;
  Tensor value_{}, moves_left_{};
  template <class Logit>
  void read_policy(Logit logit);  // float(int position, std::uint16_t index): a raw logit of the 1858
  std::function<void(const nn::Batch& batch, int first)> write_policy_;
};

}  // namespace cpu
