// Weights in 8 bits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "backends/rocm/kernels/rows8.h"
#include "nn/description.h"

namespace rocm {

struct Quantised {
  std::vector<std::uint8_t> numbers;  // (rows, cols), the bits of each
  std::vector<float> scales;          // (rows rounded up to 8)
};

// Each row of `matrix` (rows, cols) as a scale times numbers of a kind, rounded to nearest even: the largest is that of the kind, so that a row with large
// numbers takes nothing from the others. Throws Error for what is no finite number, naming the array `key`.
Quantised quantised(const nn::Floats& matrix, int rows, int cols, Numbers kind, const std::string& key);

}  // namespace rocm
