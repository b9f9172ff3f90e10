// 3x3 convolutions of residual towers behind one call: Winograd F(4x4, 3x3) over batched products, rows of patches times the weights in one
// product, or MIOpen, whichever won the shape's auction. Activations lie as rows of squares, (batch * 64, channels), which is NHWC.
#pragma once
#include <string>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/stream.h"
#include "backends/rocm/weights.h"
#include "nn/network.h"

namespace rocm {

// A convolution of the network, batch norm folded in, with SE or without. The layouts are made on first use and kept by Weights.
template <class T>
class Convolution {
 public:
  Convolution(Weights& weights, const std::string& name);  // "residual.0.conv1"; SE from residual.0.se.* is given to conv3x3 apart
  int in = 0, out = 0;
  const T* direct();    // (out, 3, 3, in): KRSC
  const T* winograd();  // (36, out, in)
  const T* bias();      // (out)

 private:
  Weights* weights_;
  std::string name_;
  const T *direct_ = nullptr, *winograd_ = nullptr, *bias_ = nullptr;
};

// y = act(se(conv(x) + bias) + skip); se and skip may be null; y may be skip. Never waits for the device, except while the planner measures.
template <class T>
void conv3x3(Stream& stream, T* y,        // (batch * 64, out)
             const T* x,                  // (batch * 64, in)
             Convolution<T>& convolution, const SqueezeExcitation<T>* se, const T* skip, int batch, nn::Activation activation);

}  // namespace rocm
