// Weights in 8 bits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "nn/description.h"

namespace rocm {

struct Quantised {
  std::vector<std::int8_t> numbers;  // (rows, cols)
  std::vector<float> scales;         // (rows rounded up to 8)
};

// Each row of `matrix` (rows, cols) as a scale times numbers of -127 to 127, rounded to nearest even: the largest is 127, so that a row with large
// numbers takes nothing from the others. Throws Error for what is no finite number, naming the array `key`.
Quantised quantised(const nn::Floats& matrix, int rows, int cols, const std::string& key);

}  // namespace rocm
