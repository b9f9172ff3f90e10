// One product by rocBLAS or hipBLASLt, which are asked for it column-major: m = cols, n = rows, A = w transposed, B = x.
#pragma once
#include <memory>
#include <string>

#include "backends/rocm/stream.h"
#include "nn/network.h"

namespace rocm {

// What a product looks like to a planner: all of Product<T> but the pointers.
struct GemmShape {
  int rows = 0, cols = 0, depth = 0, batch = 1;
  bool half = false, one_w = true, bias = false, skip = false, in_place = false;  // in_place: y is skip
  nn::Activation activation = nn::Activation::kNone;
  bool operator==(const GemmShape&) const = default;
};

struct GemmPointers {
  void* y;
  const void *x, *w, *bias, *skip;
};

// "rocblas" or "hipblaslt": whether this process may call it on this device. rocBLAS ends the process on a GPU that it has no files for.
bool library_usable(const std::string& library, const std::string& architecture);

// A product with its descriptors and algorithm. What the library cannot fuse (see epilogue) is left to the caller.
class LibraryProduct {
 public:
  // hipBLASLt offers algorithms: those that fuse all of the epilogue come first, then those of the bare product, each best first.
  // Null if there is none of this rank or the library fails.
  static std::unique_ptr<LibraryProduct> rocblas(Stream& stream, const GemmShape& shape);
  static std::unique_ptr<LibraryProduct> hipblaslt(Stream& stream, const GemmShape& shape, int rank);
  virtual ~LibraryProduct() = default;

  // Queues d = x w^T, with what is fused; d is y or memory of its size. False if the library refuses.
  virtual bool run(Stream& stream, const GemmPointers& p, void* d, void* workspace) = 0;

  std::size_t workspace = 0;  // bytes
  // What run() does beside the product. Without activation the skip goes first: act(x w^T + bias) + skip with act = none.
  bool fuses_bias = false, fuses_activation = false, fuses_skip = false;
};

}  // namespace rocm
