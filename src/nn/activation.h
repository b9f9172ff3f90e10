// The activation functions, which each back end computes in its own way.
#pragma once

namespace nn {

enum class Activation { kNone, kRelu, kRelu2, kMish, kSwish, kSelu, kTanh, kSigmoid };
inline constexpr const char* kActivationNames[] = {"none", "relu", "relu2", "mish", "swish", "selu", "tanh", "sigmoid"};

}  // namespace nn
