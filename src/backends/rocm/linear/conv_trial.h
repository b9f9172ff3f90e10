// A convolution of a given shape over random numbers, for measuring and checking the ways to compute it.
#pragma once
#include <functional>
#include <vector>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/shapes.h"

namespace rocm {

// What a way to compute a convolution is given: y = act(se(conv(x) + bias) + skip).
template <class T>
struct ConvolutionTask {
  T* y;                                       // (batch * 64, out)
  const T* x;                                 // (batch * 64, in)
  std::function<const T*(bool winograd)> weights;  // (36, out, in), else (out, 3, 3, in)
  const T* bias;                              // (out)
  const SqueezeExcitation<T>* se;             // null: none
  const T* skip;                              // like y, or null
  int batch, in, out;
  nn::Activation activation;
};

template <class T>
class ConvolutionTrial {
 public:
  ConvolutionTrial(Stream& stream, const ConvolutionShape& shape);  // throws OutOfMemory

  // Another copy of the weights at each call: those of a net come from memory, not from a cache that holds the last convolution's.
  ConvolutionTask<T> task();

  // Whether run(task) gives the convolution and its bias alone, in a sample of squares and channels. Waits; false if run returns false.
  bool good(const std::function<bool(const ConvolutionTask<T>&)>& run);

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
