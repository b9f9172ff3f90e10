// The activations of the nets, in float. `activation` is the same for a whole launch, so that the switch is a scalar branch.
#pragma once
#include "nn/network.h"
#include "wave.h"

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
