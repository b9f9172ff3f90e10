// A convolution's weights (out, in, 3, 3) in the layouts of the ways to compute it.
#pragma once
#include <vector>

namespace rocm {

std::vector<float> direct_weights(const std::vector<float>& w, int out, int in);    // (out, 3, 3, in)
std::vector<float> winograd_weights(const std::vector<float>& w, int out, int in);  // (36, out, in): G w G^T, see winograd.h

}  // namespace rocm
