// 3x3 convolutions of residual towers behind one call: Winograd F(4x4, 3x3) over batched products, rows of patches times the weights in one
// product, or MIOpen, whichever won the shape's auction. Activations lie as rows of squares, (batch * 64, channels), which is NHWC.
#pragma once
#include "backends/rocm/device/stream.h"
#include "backends/rocm/device/weights.h"
#include "backends/rocm/kernels/kernels.h"
#include "nn/description.h"

namespace rocm {

// y = act(se(conv(x) + bias) + skip); se and skip may be null; y may be skip. Never waits for the device, except while the planner measures.
template <class T>
void conv3x3(Stream& stream, Weights& weights, T* y,  // (batch * 64, out)
             const T* x,                              // (batch * 64, in)
             const nn::Convolution& convolution, const SqueezeExcitation<T>* se, const T* skip, int batch, nn::Activation activation);

// The 36 products of one by Winograd: m (36, batch * 4, out) = v (36, batch * 4, in) times w (36, out, in), of winograd_weights().
template <class T>
void multiply_winograd(Stream& stream, T* m, const T* v, const T* w, int batch, int in, int out);

}  // namespace rocm
