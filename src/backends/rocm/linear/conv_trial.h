// A convolution of a given shape over random numbers, for measuring and checking the ways to compute it.
#pragma once
#include <vector>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/stream.h"

namespace rocm {

// What a convolution looks like to a planner.
struct ConvolutionShape {
  int batch = 0, in = 0, out = 0;
  int se = 0;  // width of squeeze and excitation, 0 without
  bool half = false, skip = false;
  auto operator<=>(const ConvolutionShape&) const = default;
};

template <class T>
class ConvolutionTrial {
 public:
  ConvolutionTrial(Stream& stream, const ConvolutionShape& shape);  // throws OutOfMemory

  // Another copy of the weights at each call: those of a net come from memory, not from a cache that holds the last convolution's.
  const T* weights(bool winograd);  // (36, out, in), else (out, 3, 3, in)
  const T* x() const { return x_.as<T>(); }
  const T* bias() const { return bias_.as<T>(); }
  const T* skip() const { return skip_.as<T>(); }  // null without
  const SqueezeExcitation<T>* se() const { return s_.se ? &se_ : nullptr; }
  T* y() const { return y_.as<T>(); }

  void clear();  // y becomes NaN
  bool good();   // whether y is the convolution and its bias alone, in a sample of squares and channels; waits

 private:
  static constexpr int kTaps = 9;
  DeviceMemory upload(const std::vector<float>& values, std::size_t copies = 1);

  Stream& stream_;
  const ConvolutionShape s_;
  std::vector<float> boards_, kernels_, biases_;  // as on the device: (batch, 8, 8, in), (out, 3, 3, in), (out)
  DeviceMemory x_, direct_, winograd_, bias_, skip_, excitation_, y_;
  SqueezeExcitation<T> se_ = {};
  std::size_t copies_ = 1, copy_ = 0;
};

}  // namespace rocm
