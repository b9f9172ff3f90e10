// One product by rocBLAS or hipBLASLt, which are asked for it column-major: m = cols, n = rows, A = w transposed, B = x.
#pragma once
#include <memory>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/linear/shapes.h"

namespace rocm {

struct GemmPointers {
  const void *x, *w, *bias;
  const float *x_scales, *w_scales;  // of rows in 8 bits
};

// A product with its descriptors and algorithm. What the library cannot fuse (see epilogue) is left to the caller.
class LibraryProduct {
 public:
  // hipBLASLt offers algorithms: those that fuse all of the epilogue come first, then those of the bare product, each best first.
  // Null if there is none of this rank. Throw Error where the library has no handle.
  static std::unique_ptr<LibraryProduct> rocblas(Stream& stream, const GemmShape& shape);
  static std::unique_ptr<LibraryProduct> hipblaslt(Stream& stream, const GemmShape& shape, int rank);
  virtual ~LibraryProduct() = default;

  // Queues d = x w^T, with what is fused. False if the library refuses.
  virtual bool run(Stream& stream, const GemmPointers& p, void* d, void* workspace) = 0;

  std::size_t workspace = 0;  // bytes
  bool fuses_bias = false, fuses_activation = false;  // what run() does beside the product
};

}  // namespace rocm
