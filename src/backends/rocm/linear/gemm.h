// Products of matrices behind one call: rocBLAS, hipBLASLt or our own kernel (kernels/gemm.hip), whichever won the shape's auction. Weights of 8 bits
// are expanded in the load of a kernel for few rows (kernels/gemm_int8.hip), or once a product, which then goes one of these ways. Where x, too, has 8
// bits, it is our kernel for that (kernels/gemm_int8_rows.hip).
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/linear/shapes.h"
#include "nn/activation.h"

namespace rocm {

// Rows as 8-bit numbers times a scale each, for products in 8 bits; or none.
struct Int8Rows {
  std::int8_t* numbers = nullptr;  // (rows, cols)
  float* scales = nullptr;         // (rows)
  explicit operator bool() const { return numbers; }
};

// The layer norm that ends a product, over each row: y = LN(skip + alpha * act(x w^T + bias)) * gain + shift
template <class T>
struct RowNorm {
  const T* skip;  // (batch, rows, cols), or null; may be y
  const T *gain, *shift;  // (cols)
  float alpha, eps;
  Int8Rows int8 = {};  // y of halves once more, or none
};

// y = act(x w^T + bias) for each of `batch` products. All row-major, dense and 16-byte aligned, none in the stream's workspace.
template <class T>
struct Product {
  T* y;           // (batch, rows, cols), less side_cols
  const T* x;     // (batch, rows, depth)
  const T* w = nullptr;     // (batch or 1, cols, depth)
  const T* bias = nullptr;  // (cols), added to every row
  int rows = 0, cols = 0, depth = 0;
  int batch = 1;
  bool one_w = true;  // all products have the same w
  nn::Activation activation = nn::Activation::kNone;
  std::optional<RowNorm<T>> norm = {};
  // What several layers make of one x: of a w of the rows of both, the last side_cols columns of the product are `side` (rows,
  // side_cols). The others are a multiple of 8; not of several products, nor before a norm.
  T* side = nullptr;
  int side_cols = 0;
  // In place of w: a row's scale times its 8-bit numbers. Of one w, whose depth is a multiple of 16.
  const std::int8_t* int8 = nullptr;  // (cols, depth)
  const float* scales = nullptr;      // (cols rounded up to 8)
  // With int8, in place of x: its rows; or they are to be made of x. Of halves, where fits_int8_rows(). With w as well this is only done where it is faster.
  Int8Rows x_int8 = {};
  bool quantise = false;
};

// Queues the product. T: float or half, accumulated in float. Never waits for the device, except while the planner measures. Throws Error.
template <class T>
void gemm(Stream& stream, const Product<T>& product);

// Whether products by so many rows of w of such a depth can be had with x in 8 bits, on devices that have matrix instructions.
bool fits_int8_rows(int cols, int depth);

// Our kernel's way through a product of which none was measured: "own:64x64:k2".
std::string untried_own_way(const Device& device, const GemmShape& shape);

}  // namespace rocm
