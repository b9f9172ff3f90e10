// A convolution's weights (out, in, 3, 3) in the layouts of the ways to compute it.
#pragma once
#include "nn/description.h"

namespace rocm {

nn::Weight direct_weights(const nn::Weight& w);    // (out, 3, 3, in)
nn::Weight winograd_weights(const nn::Weight& w);  // (36, out, in): G w G^T, see winograd.h
nn::Weight tower_weights(const nn::Weight& w);     // (n, 9, out / 32, out, 32) for n * out inputs, those behind the last zero; see tower.hip

}  // namespace rocm
