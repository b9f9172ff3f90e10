// A convolution's weights (out, in, 3, 3) in the layouts of the ways to compute it.
#pragma once
#include "nn/description.h"

namespace rocm {

nn::Weight direct_weights(const nn::Weight& w);    // (out, 3, 3, in)
nn::Weight winograd_weights(const nn::Weight& w);  // (36, out, in): G w G^T, see winograd.h

}  // namespace rocm
