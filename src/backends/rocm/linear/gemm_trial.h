// A product of a given shape over numbers that are known here, for measuring and checking the ways to compute it.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "backends/rocm/linear/gemm.h"
#include "backends/rocm/linear/shapes.h"

namespace rocm {

template <class T>
class GemmTrial {
 public:
  GemmTrial(Stream& stream, const GemmShape& shape);  // throws OutOfMemory
  ~GemmTrial();
  GemmTrial(const GemmTrial&) = delete;

  // Each product takes another copy of w: the weights of a net come from memory, not from a cache that holds the last product's.
  Product<T> task();

  // Whether run(task) gives what it should, in a sample of rows and columns. Waits; false if run returns false.
  bool good(const std::function<bool(const Product<T>&)>& run);

 private:
  struct Sample {
    int batch, row, col;
    double expected;
  };
  float value(std::size_t i) const;  // element i of x, w and bias
  double row_value(std::size_t i, std::size_t row) const;
  double weight(std::size_t i, int col) const;
  template <class N>
  void fill(const DeviceMemory& memory, const std::vector<N>& pattern);
  double expected(int batch, int row, int col) const;

  Stream& stream_;
  const GemmShape s_;
  std::size_t w_step_;  // elements from one copy of w to the next
  std::vector<T> pattern_;
  std::vector<std::uint8_t> numbers_;  // the pattern of 8-bit weights, and rows,
  std::vector<float> values_;          // what these are without a scale,
  std::vector<float> scales_;          // and that of their scales
  std::vector<Sample> samples_;  // row by row; made at the first check
  DeviceMemory x_, w_, x8_, w8_, scales_of_rows_, scales_of_cols_, bias_, y_, y8_, scales_of_y_;  // all but y repeat the patterns
  std::size_t copies_, copy_ = 0;
};

}  // namespace rocm
