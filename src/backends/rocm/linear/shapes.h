// What products, convolutions and towers look like to a planner: all but the pointers.
#pragma once
#include <compare>

#include "backends/rocm/kernels/rows8.h"
#include "nn/activation.h"

namespace rocm {

struct GemmShape {
  int rows = 0, cols = 0, depth = 0, batch = 1;
  bool half = false, one_w = true, bias = false;
  nn::Activation activation = nn::Activation::kNone;
  bool norm = false;  // which does all that follows the sums: bias and activation are not the product's
  int side = 0;       // of the columns, in an array of their own
  bool y8 = false;    // y once more in 8 bits
  bool w8 = false;    // w is in 8 bits,
  Numbers kind = Numbers::kInt8;
  bool x8 = false;        // and x, too,
  bool quantise = false;  // which is to be made of halves;
  bool or_half = false;   // or both in halves, whichever is faster
  auto operator<=>(const GemmShape&) const = default;
};

struct ConvolutionShape {
  int batch = 0, in = 0, out = 0;
  int se = 0;  // width of squeeze and excitation, 0 without
  bool half = false, skip = false;
  auto operator<=>(const ConvolutionShape&) const = default;
};

struct TowerShape {
  int batch = 0, channels = 0, blocks = 0;
  int se = 0;  // the widest squeeze and excitation, 0 without
  bool half = false;
  nn::Activation activation = nn::Activation::kNone;
  auto operator<=>(const TowerShape&) const = default;
};

}  // namespace rocm
