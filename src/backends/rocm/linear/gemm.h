// Products of matrices behind one call: rocBLAS, hipBLASLt or our own kernel (kernels/gemm.hip), whichever won the shape's auction. Weights of 8 bits
// are expanded in the load of a kernel for few rows (kernels/gemm_int8.hip), or once a product, which then goes one of these ways. Where x, too, has 8
// bits, it is our kernel for that (kernels/gemm_rows8.hip) or, of floating-point numbers, hipBLASLt.
#pragma once
#include <optional>
#include <string>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/kernels/rows8.h"
#include "backends/rocm/linear/shapes.h"
#include "nn/activation.h"

namespace rocm {

// The layer norm that ends a product, over each row: y = LN(skip + alpha * act(x w^T + bias)) * gain + shift
template <class T>
struct RowNorm {
  const T* skip;  // (batch, rows, cols), or null; may be y
  const T *gain, *shift;  // (cols)
  float alpha, eps;
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
  // In place of w, of one w, whose depth is a multiple of 16.
  Rows8 w8 = {};  // (cols rounded up to 8, depth)
  // With w8, in place of x: its rows, of numbers of the same kind; or they are to be made of x. Of halves, where fits_rows8(). With w as well this is only
  // done where it is faster.
  Rows8 x8 = {};
  bool quantise = false;
  Rows8 y8 = {};  // y of halves once more, or none; of one product, with no side
};

// Queues the product. T: float or half, accumulated in float. Never waits for the device, except while the planner measures. Throws Error.
template <class T>
void gemm(Stream& stream, const Product<T>& product);

// Whether products by so many rows of w of such a depth can be had with x in 8 bits, on devices that have matrix instructions.
bool fits_rows8(int cols, int depth);

// Our kernel's way through a product of which none was measured: "own:64x64:k2".
std::string untried_own_way(const Device& device, const GemmShape& shape);

}  // namespace rocm
