// 3x3 convolution of 8x8 boards by Winograd's F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308): a board is four tiles of
// 4x4 outputs; each tile's 6x6 inputs and the kernel are transformed to 36 numbers a channel, multiplied as 36
// independent matrix products, and transformed back. 2.25 products an output instead of 9; fp32 error 5e-6 of the
// largest output (64 channels). The transforms are limited by the second-level cache.
#pragma once
#include <cstddef>
#include <vector>

#include "nn/activation.h"

namespace cpu {

inline constexpr int kWinogradPoints = 36;
inline constexpr int kWinogradTiles = 4;  // of a position

int winograd_panel();  // columns of a product that lie together

// Outputs of the products: panels, the last one filled up with zeros.
inline int winograd_columns(int out) { return (out + winograd_panel() - 1) / winograd_panel() * winograd_panel(); }

// From one point's (tiles, channels) to the next one's: a line more than they take, so that the points lie in different sets of the caches.
constexpr std::size_t winograd_stride(int tiles, int channels) { return std::size_t(tiles) * channels + 16; }

// (out, in, 3, 3) to (36, columns / panel, in, panel).
std::vector<float> winograd_weights(const std::vector<float>& weights, int out, int in);

void winograd_input(float* v,  // (36, positions * 4, channels), a stride apart
                    const float* x,  // (positions, 64, channels)
                    int positions, int channels);

void winograd_products(float* m,  // (36, tiles, columns), a stride apart
                       const float* v,  // (36, tiles, in), a stride apart
                       const float* weights,  // of winograd_weights
                       int tiles, int in, int out);

void winograd_output(float* y,  // (positions, 64, channels)
                     const float* m,  // (36, positions * 4, columns), a stride apart
                     const float* biases,  // (channels)
                     const float* residual,  // (positions, 64, channels), may be y; null for none
                     nn::Activation activation, int positions, int channels);

}  // namespace cpu
