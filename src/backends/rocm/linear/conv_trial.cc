#include "backends/rocm/linear/conv_trial.h"

#include <hip/hip_fp16.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "backends/rocm/linear/conv_weights.h"

namespace rocm {
namespace {

constexpr std::size_t kColdBytes = std::size_t{4} << 20;  // of weights for each compute unit: more than the last cache of any GPU
constexpr int kMostCopies = 64;

template <class T>
std::vector<float> random_numbers(std::mt19937& random, std::size_t size, float most) {
  std::uniform_real_distribution<float> number(-most, most);
  std::vector<float> values(size);
  for (float& v : values) v = float(T(number(random)));
  return values;
}

}  // namespace

template <class T>
ConvolutionTrial<T>::ConvolutionTrial(Stream& stream, const ConvolutionShape& shape) : stream_(stream), s_(shape) {
  std::mt19937 random(1);
  const std::size_t in = s_.in, out = s_.out, squares = std::size_t(s_.batch) * 64;
  const float most = 1 / std::sqrt(float(kTaps * in));
  boards_ = random_numbers<T>(random, squares * in, 1);
  biases_ = random_numbers<T>(random, out, 1);
  const nn::Weight w{"", {s_.out, s_.in, 3, 3}, [w = random_numbers<T>(random, out * in * kTaps, most)] { return w; }};
  kernels_ = direct_weights(w).make();
  const std::size_t cold = std::min(kColdBytes * stream.device().compute_units, stream.device().memory / 16);
  copies_ = std::clamp<std::size_t>(cold / (out * in * kTaps * sizeof(T)), 1, kMostCopies);
  x_ = upload(boards_);
  bias_ = upload(biases_);
  direct_ = upload(kernels_, copies_);
  winograd_ = upload(winograd_weights(w).make(), copies_);
  y_ = DeviceMemory(squares * out * sizeof(T));
  if (s_.skip) skip_ = upload(random_numbers<T>(random, squares * out, 1));
  if (s_.se) {
    const std::size_t w1 = s_.se * out, b1 = w1 + s_.se, w2 = b1 + 2 * out * s_.se, b2 = w2 + 2 * out;
    excitation_ = upload(random_numbers<T>(random, b2, most));
    const T* const first = excitation_.as<T>();
    se_ = {first, first + w1, first + b1, first + w2, s_.se};
  }
}

template <class T>
DeviceMemory ConvolutionTrial<T>::upload(const std::vector<float>& values, std::size_t copies) {
  const std::vector<T> stored(values.begin(), values.end());
  const std::size_t bytes = stored.size() * sizeof(T);
  DeviceMemory memory(copies * bytes);
  char* const first = memory.as<char>();
  check(hipMemcpyAsync(first, stored.data(), bytes, hipMemcpyHostToDevice, stream_), "filling memory");
  for (std::size_t i = 1; i < copies; ++i)
    check(hipMemcpyAsync(first + i * bytes, first, bytes, hipMemcpyDeviceToDevice, stream_), "filling memory");
  stream_.wait();
  return memory;
}

template <class T>
ConvolutionTask<T> ConvolutionTrial<T>::task() {
  copy_ = (copy_ + 1) % copies_;
  const auto weights = [this](bool winograd) {
    const DeviceMemory& memory = winograd ? winograd_ : direct_;
    return memory.as<T>() + copy_ * (memory.bytes() / sizeof(T) / copies_);
  };
  return {y_.as<T>(), x_.as<T>(), weights, bias_.as<T>(), s_.se ? &se_ : nullptr, skip_.as<T>(), s_.batch, s_.in, s_.out,
          nn::Activation::kNone};
}

template <class T>
bool ConvolutionTrial<T>::good(const std::function<bool(const ConvolutionTask<T>&)>& run) {
  check(hipMemsetAsync(y_.as<void>(), 0xff, y_.bytes(), stream_), "filling memory");  // NaN: what is not written will be seen
  ConvolutionTask<T> bare = task();
  bare.se = nullptr, bare.skip = nullptr;
  const bool computed = run(bare);
  stream_.wait();
  if (!computed) return false;
  constexpr double kTolerance = sizeof(T) == 2 ? 0.03 : 1e-3;
  const int in = s_.in, out = s_.out, step = std::max(1, out / 16) | 1;
  std::vector<T> line(out);
  for (int position : {0, s_.batch - 1})
    for (int square : {0, 28, 35, 39, 63}) {  // corners, the inner corners of Winograd's tiles, an edge
      check(hipMemcpy(line.data(), y_.as<T>() + (std::size_t(position) * 64 + square) * out, out * sizeof(T), hipMemcpyDeviceToHost), "reading a result");
      for (int o = 0; o < out; o += step) {
        double sum = biases_[o];
        for (int tap = 0; tap < kTaps; ++tap) {
          const int rank = square / 8 + tap / 3 - 1, file = square % 8 + tap % 3 - 1;
          if (rank < 0 || rank > 7 || file < 0 || file > 7) continue;
          const float* const board = &boards_[(std::size_t(position) * 64 + rank * 8 + file) * in];
          const float* const kernel = &kernels_[(std::size_t(o) * kTaps + tap) * in];
          for (int c = 0; c < in; ++c) sum += double(board[c]) * kernel[c];
        }
        if (!(std::abs(float(line[o]) - sum) <= kTolerance * (1 + std::abs(sum)))) return false;
      }
    }
  return true;
}

template class ConvolutionTrial<float>;
template class ConvolutionTrial<half>;

}  // namespace rocm
