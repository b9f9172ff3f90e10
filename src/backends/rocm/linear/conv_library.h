// A 3x3 convolution of boards by MIOpen, in immediate mode: channels innermost in x and y, weights (out, 3, 3, in).
#pragma once
#include <memory>

#include "backends/rocm/device/stream.h"

namespace rocm {

class LibraryConvolution {
 public:
  // The solution that MIOpen expects to be fastest, compiled, which takes seconds where its cache lacks it. Null if there is none.
  // Throws Error where the library has no handle.
  static std::unique_ptr<LibraryConvolution> make(Stream& stream, bool half, int batch, int in, int out);
  ~LibraryConvolution();

  // Queues y = conv(x). False if MIOpen refuses.
  bool run(Stream& stream, void* y, const void* x, const void* w);

 private:
  LibraryConvolution() = default;

  miopenTensorDescriptor_t x_ = nullptr, w_ = nullptr, y_ = nullptr;
  miopenConvolutionDescriptor_t convolution_ = nullptr;
  miopenConvSolution_t solution_ = {};
};

}  // namespace rocm
