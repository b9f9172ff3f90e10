// A residual tower behind one call: layer by layer, by Winograd's products with one launch between two of them, or a narrow one in our kernel that
// keeps its boards from the planes to the last block, whichever won the shape's auction.
#pragma once
#include <optional>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/device/weights.h"
#include "backends/rocm/kernels/kernels.h"
#include "nn/description.h"

namespace rocm {

// Planes are (batch, 112). Never waits for the device, except while the planner measures.
template <class T>
void tower(Stream& stream, Weights& weights, T* y,  // (batch * 64, channels)
           const nn::Tower& tower, const std::uint64_t* masks, const float* values, int batch);

template <class T>
SqueezeExcitation<T> on_device(Weights& weights, const std::optional<nn::SqueezeExcitation>& se);  // width 0: none

}  // namespace rocm
