#include "backends/rocm/linear/gemm_trial.h"

#include <hip/hip_fp16.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "backends/rocm/kernels/fp8.h"

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
  const bool full = !s_.w8 || s_.or_half, rows_given = s_.x8 && !s_.quantise;
  const std::size_t w_bytes = w_step_ * (full ? sizeof(T) : 1);
  copies_ = std::max<std::size_t>(1, cold / w_bytes);
  const std::size_t x_size = std::size_t(s_.batch) * s_.rows * s_.depth;
  if (!rows_given || s_.or_half) x_ = DeviceMemory(x_size * sizeof(T));
  if (full) w_ = DeviceMemory(copies_ * w_bytes);
  y_ = DeviceMemory(y_size * sizeof(T));
  if (s_.bias || s_.norm) bias_ = DeviceMemory(s_.cols * sizeof(T));
  if (s_.w8) {
    const float most = most_of(s_.kind);
    for (std::size_t i = 0; i < kPattern; ++i) {
      T& p = pattern_[i];
      if (s_.or_half && i % 8 == 0) p = T(float(p) < 0 ? -1.0f : 1.0f);  // the largest of each row: made of halves its numbers are these
      with_numbers(s_.kind, [&]<Numbers kKind>() {
        if constexpr (kKind == Numbers::kInt8) numbers_.push_back(std::uint8_t(std::lround(most * float(p)))), values_.push_back(std::int8_t(numbers_.back()));
        else numbers_.push_back(fp8_of<kKind>(most * float(p))), values_.push_back(float_of_fp8<kKind>(numbers_.back()));
      });
      scales_.push_back((s_.or_half ? 1 : float(p)) / most);
      if (s_.or_half) p = T(values_.back() / most);  // both ways compute the same
    }
    w8_ = DeviceMemory(copies_ * w_step_);
    scales_of_cols_ = DeviceMemory((s_.cols + 7) / 8 * 8 * sizeof(float));
    fill(w8_, numbers_), fill(scales_of_cols_, scales_);
  }
  if (rows_given) {
    x8_ = DeviceMemory(x_size);
    scales_of_rows_ = DeviceMemory(s_.rows * sizeof(float));
    fill(x8_, numbers_), fill(scales_of_rows_, scales_);
  }
  if (s_.y8) y8_ = DeviceMemory(y_size), scales_of_y_ = DeviceMemory(s_.rows * sizeof(float));
  for (const DeviceMemory* memory : {&x_, &w_, &bias_}) fill(*memory, pattern_);
}

template <class T>
GemmTrial<T>::~GemmTrial() {
  try {
    stream_.wait();  // work in flight uses the memory
  } catch (const Error&) {  // which others will meet as well
  }
}

template <class T>
template <class N>
void GemmTrial<T>::fill(const DeviceMemory& memory, const std::vector<N>& pattern) {
  std::size_t done = std::min(memory.bytes(), pattern.size() * sizeof(N));
  if (done == 0) return;
  check(hipMemcpyAsync(memory.as<void>(), pattern.data(), done, hipMemcpyHostToDevice, stream_), "filling memory");
  for (std::size_t more; done < memory.bytes(); done += more) {
    more = std::min(done, memory.bytes() - done);
    check(hipMemcpyAsync(memory.as<char>() + done, memory.as<char>(), more, hipMemcpyDeviceToDevice, stream_), "filling memory");
  }
}

template <class T>
Product<T> GemmTrial<T>::task() {
  const std::size_t at = copy_ * w_step_;
  copy_ = (copy_ + 1) % copies_;
  Product<T> p{y_.as<T>(), x_.as<T>(), w_.bytes() ? w_.as<T>() + at : nullptr, bias_.as<T>(), s_.rows, s_.cols, s_.depth, s_.batch, s_.one_w, s_.activation};
  if (s_.norm) p.norm = {nullptr, bias_.as<T>(), bias_.as<T>(), 1, 1e-3f};
  if (s_.w8) p.w8 = {w8_.as<std::uint8_t>() + at, scales_of_cols_.as<float>(), s_.kind};
  p.quantise = s_.quantise;
  if (s_.x8 && !s_.quantise) p.x8 = {x8_.as<void>(), scales_of_rows_.as<float>(), s_.kind};
  if (s_.y8) p.y8 = {y8_.as<void>(), scales_of_y_.as<float>(), s_.kind};
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
double GemmTrial<T>::row_value(std::size_t i, std::size_t row) const {
  return s_.x8 && !s_.quantise ? double(values_[i % kPattern]) * scales_[row % kPattern] : value(i);
}

template <class T>
double GemmTrial<T>::weight(std::size_t i, int col) const {
  return s_.w8 ? double(values_[i % kPattern]) * scales_[col % kPattern] : value(i);
}

template <class T>
double GemmTrial<T>::expected(int batch, int row, int col) const {
  const std::size_t line = std::size_t(batch) * s_.rows + row, w = ((s_.one_w ? 0 : std::size_t(batch) * s_.cols) + col) * s_.depth;
  double sum = s_.bias ? value(col) : 0;
  for (int k = 0; k < s_.depth; ++k) sum += row_value(line * s_.depth + k, line) * weight(w + k, col);
  return activated(s_.activation, sum);
}

template class GemmTrial<float>;
template class GemmTrial<half>;

}  // namespace rocm
