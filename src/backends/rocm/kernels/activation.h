// The activations of the nets, in float. `activation` is the same for a whole launch, so that the switch is a scalar branch.
#pragma once
#include "nn/activation.h"
#include "wave.h"

namespace rocm {

__device__ inline float fast_exp(float x) { return fast_exp2(1.44269504f * x); }
__device__ inline float sigmoid(float x) { return fast_reciprocal(1 + fast_exp(-x)); }

__device__ inline float activate(nn::Activation activation, float x) {
  switch (activation) {
    case nn::Activation::kNone: return x;
    case nn::Activation::kRelu: return x < 0 ? 0 : x;  // not fmaxf: NaN stays
    case nn::Activation::kRelu2: return x < 0 ? 0 : x * x;
    case nn::Activation::kSwish: return x * sigmoid(x);
    case nn::Activation::kSelu: return 1.05070098f * (x > 0 ? x : 1.67326324f * (fast_exp(x) - 1));
    case nn::Activation::kTanh: return tanhf(x);
    case nn::Activation::kSigmoid: return sigmoid(x);
    case nn::Activation::kMish: {  // x tanh(ln(1 + e^x)), with n = (1 + e^x)^2 - 1; the two forms avoid cancellation
      const float e = fast_exp(x), n = e * e + 2 * e, q = fast_reciprocal(n + 2);
      return x <= -0.125f ? n * x * q : x > 20 ? x : x - 2 * x * q;
    }
  }
  return x;
}

// f.operator()<kActivation>(): one branch for all of a thread's values, where a switch for each would take longer than the maths.
template <class F>
KERNEL_PART void with_activation(nn::Activation activation, F&& f) {
  using nn::Activation;
  switch (activation) {
    case Activation::kNone: return f.template operator()<Activation::kNone>();
    case Activation::kRelu: return f.template operator()<Activation::kRelu>();
    case Activation::kRelu2: return f.template operator()<Activation::kRelu2>();
    case Activation::kSwish: return f.template operator()<Activation::kSwish>();
    case Activation::kSelu: return f.template operator()<Activation::kSelu>();
    case Activation::kTanh: return f.template operator()<Activation::kTanh>();
    case Activation::kSigmoid: return f.template operator()<Activation::kSigmoid>();
    case Activation::kMish: return f.template operator()<Activation::kMish>();
  }
}

}  // namespace rocm
