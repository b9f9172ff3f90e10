#include "backends/rocm/linear/gemm_trial.h"

#include <hip/hip_fp16.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace rocm {
namespace {

using nn::Activation;

constexpr std::size_t kPattern = 65521;  // a prime: no two rows are alike
constexpr std::size_t kColdBytes = std::size_t{4} << 20;  // of weights for each compute unit: more than the last cache of any GPU

double activated(Activation activation, double z) {
  switch (activation) {
    case Activation::kNone: return z;
    case Activation::kRelu: return std::max(z, 0.0);
    case Activation::kRelu2: return std::max(z, 0.0) * z;
    case Activation::kSwish: return z / (1 + std::exp(-z));
    case Activation::kSelu: return 1.05070098 * (z > 0 ? z : 1.67326324 * std::expm1(z));
    case Activation::kTanh: return std::tanh(z);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-z));
    case Activation::kMish: return z * std::tanh(z > 30 ? z : std::log1p(std::exp(z)));
  }
  return z;
}

}  // namespace

template <class T>
GemmTrial<T>::GemmTrial(Stream& stream, const GemmShape& shape) : stream_(stream), s_(shape), pattern_(kPattern) {
  std::mt19937 random(1);
  for (T& p : pattern_) p = T(std::uniform_real_distribution<float>(-1, 1)(random));
  const std::size_t w_size = std::size_t(s_.one_w ? 1 : s_.batch) * s_.cols * s_.depth, y_size = std::size_t(s_.batch) * s_.rows * s_.cols;
  w_step_ = (w_size + 127) / 128 * 128;
  const std::size_t cold = std::min(kColdBytes * stream.device().compute_units, stream.device().memory / 16);
  copies_ = std::max<std::size_t>(1, cold / (w_step_ * sizeof(T)));
  x_ = DeviceMemory(std::size_t(s_.batch) * s_.rows * s_.depth * sizeof(T));
  w_ = DeviceMemory(copies_ * w_step_ * sizeof(T));
  y_ = DeviceMemory(y_size * sizeof(T));
  if (s_.bias || s_.norm) bias_ = DeviceMemory(s_.cols * sizeof(T));
  for (const DeviceMemory* memory : {&x_, &w_, &bias_}) fill(*memory);
}

template <class T>
GemmTrial<T>::~GemmTrial() {
  try {
    stream_.wait();  // work in flight uses the memory
  } catch (const Error&) {  // which others will meet as well
  }
}

template <class T>
void GemmTrial<T>::fill(const DeviceMemory& memory) {
  std::size_t done = std::min(memory.bytes(), pattern_.size() * sizeof(T));
  if (done == 0) return;
  check(hipMemcpyAsync(memory.as<void>(), pattern_.data(), done, hipMemcpyHostToDevice, stream_), "filling memory");
  for (std::size_t more; done < memory.bytes(); done += more) {
    more = std::min(done, memory.bytes() - done);
    check(hipMemcpyAsync(memory.as<char>() + done, memory.as<char>(), more, hipMemcpyDeviceToDevice, stream_), "filling memory");
  }
}

template <class T>
Product<T> GemmTrial<T>::task() {
  const T* const w = w_.as<T>() + copy_ * w_step_;
  copy_ = (copy_ + 1) % copies_;
  Product<T> p{y_.as<T>(), x_.as<T>(), w, bias_.as<T>(), s_.rows, s_.cols, s_.depth, s_.batch, s_.one_w, s_.activation};
  if (s_.norm) p.norm = {nullptr, bias_.as<T>(), bias_.as<T>(), 1, 1e-3f};
  if (s_.side) p.side = y_.as<T>() + std::size_t(s_.rows) * (s_.cols - s_.side), p.side_cols = s_.side;
  return p;
}

template <class T>
bool GemmTrial<T>::good(const std::function<bool(const Product<T>&)>& run) {
  copy_ = 0;
  check(hipMemsetAsync(y_.as<void>(), 0xff, y_.bytes(), stream_), "filling memory");  // NaN: what is not written will be seen
  Product<T> p = task();
  if (s_.norm) p.norm = {}, p.bias = nullptr;  // what follows is ours, and the same in all ways
  const bool computed = run(p);
  stream_.wait();
  if (!computed) return false;
  if (samples_.empty())
    for (int batch : {0, s_.batch - 1})
      for (int row : {0, s_.rows / 3, s_.rows - 1})
        for (int col = 0; col < s_.cols; col += std::max(1, s_.cols / 32) | 1) samples_.push_back({batch, row, col, expected(batch, row, col)});

  constexpr double kTolerance = sizeof(T) == 2 ? 2e-2 : 1e-3;
  const double scale = 1 + std::sqrt(s_.depth) / 3;  // of the sums
  std::vector<T> line(s_.cols);
  for (const Sample& sample : samples_) {
    const std::size_t row = std::size_t(sample.batch) * s_.rows + sample.row;
    if (sample.col == 0) {
      const std::size_t wide = s_.cols - s_.side;
      const auto read = [&](T* to, std::size_t from, std::size_t count) {
        check(hipMemcpy(to, y_.as<T>() + from, count * sizeof(T), hipMemcpyDeviceToHost), "reading a result");
      };
      read(line.data(), row * wide, wide);
      if (s_.side) read(line.data() + wide, s_.rows * wide + row * s_.side, s_.side);
    }
    const double error = std::abs(float(line[sample.col]) - sample.expected);
    if (!(error <= kTolerance * (scale + std::abs(sample.expected)))) return false;  // NaN too
  }
  return true;
}

template <class T>
float GemmTrial<T>::value(std::size_t i) const {
  return pattern_[i % kPattern];
}

template <class T>
double GemmTrial<T>::expected(int batch, int row, int col) const {
  const std::size_t line = std::size_t(batch) * s_.rows + row, w = ((s_.one_w ? 0 : std::size_t(batch) * s_.cols) + col) * s_.depth;
  double sum = s_.bias ? value(col) : 0;
  for (int k = 0; k < s_.depth; ++k) sum += double(value(line * s_.depth + k)) * value(w + k);
  return activated(s_.activation, sum);
}

template class GemmTrial<float>;
template class GemmTrial<half>;

}  // namespace rocm
