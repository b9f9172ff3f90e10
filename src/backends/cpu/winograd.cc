#include "backends/cpu/winograd.h"

#include <cstring>

#include "backends/cpu/activation.h"

namespace cpu {
namespace {

constexpr int kInner = 8;  // channels that one Vector holds
typedef float Vector __attribute__((vector_size(4 * kInner)));

// The transforms are written once for a vector of channels and for a single one, the tail of an odd count.
template <class V>
V load(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class V>
void store(float* p, const V& v) {
  std::memcpy(p, &v, sizeof v);
}

// B^T d for one line of six inputs.
template <class V>
inline void input_line(V (&out)[6], const V (&d)[6]) {
  const V even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
  const V near = d[4] - d[2], far = 2 * (d[3] - d[1]);
  out[0] = 4 * d[0] - 5 * d[2] + d[4];
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = near + far;
  out[4] = near - far;
  out[5] = 4 * d[1] - 5 * d[3] + d[5];
}

// A^T m for one line of six products.
template <class V>
inline void output_line(V (&out)[4], const V (&m)[6]) {
  const V sum1 = m[1] + m[2], difference1 = m[1] - m[2];
  const V sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  out[0] = m[0] + sum1 + sum2;
  out[1] = difference1 + 2 * difference2;
  out[2] = sum1 + 4 * sum2;
  out[3] = difference1 + 8 * difference2 + m[5];
}

// One tile of the channels at x; `stride` floats lie between two of the 36 points.
template <class V>
void input_tile(float* v, std::size_t stride, const float* x, int channels, int rank, int file) {
  V half[6][6];
  for (int r = 0; r < 6; ++r) {
    V d[6];
    for (int f = 0; f < 6; ++f) {
      const int from_rank = rank + r - 1, from_file = file + f - 1;
      const bool inside = from_rank >= 0 && from_rank < 8 && from_file >= 0 && from_file < 8;
      d[f] = inside ? load<V>(x + (8 * from_rank + from_file) * channels) : V{};
    }
    input_line(half[r], d);
  }
  for (int f = 0; f < 6; ++f) {
    V d[6], out[6];
    for (int r = 0; r < 6; ++r) d[r] = half[r][f];
    input_line(out, d);
    for (int r = 0; r < 6; ++r) store(v + (6 * r + f) * stride, out[r]);
  }
}

template <class V>
void output_tile(float* y, const float* residual, const float* m, std::size_t stride, const float* bias, int channels,
                 int rank, int file) {
  V half[6][4];
  for (int r = 0; r < 6; ++r) {
    V line[6];
    for (int f = 0; f < 6; ++f) line[f] = load<V>(m + (6 * r + f) * stride);
    output_line(half[r], line);
  }
  const V b = load<V>(bias);
  for (int f = 0; f < 4; ++f) {
    V line[6], out[4];
    for (int r = 0; r < 6; ++r) line[r] = half[r][f];
    output_line(out, line);
    for (int r = 0; r < 4; ++r) {
      const int at = (8 * (rank + r) + file + f) * channels;
      store(y + at, residual ? out[r] + b + load<V>(residual + at) : out[r] + b);
    }
  }
}

}  // namespace

std::vector<float> winograd_weights(const std::vector<float>& weights, int out, int in) {
  constexpr double g[6][3] = {{1. / 4, 0, 0},
                              {-1. / 6, -1. / 6, -1. / 6},
                              {-1. / 6, 1. / 6, -1. / 6},
                              {1. / 24, 1. / 12, 1. / 6},
                              {1. / 24, -1. / 12, 1. / 6},
                              {0, 0, 1}};
  const int panel = winograd_panel(), columns = winograd_columns(out);
  std::vector<float> u(std::size_t{kWinogradPoints} * in * columns);
  for (int o = 0; o < out; ++o)
    for (int i = 0; i < in; ++i) {
      const float* w = &weights[(std::size_t(o) * in + i) * 9];
      for (int r = 0; r < 6; ++r)
        for (int f = 0; f < 6; ++f) {
          double sum = 0;
          for (int ky = 0; ky < 3; ++ky)
            for (int kx = 0; kx < 3; ++kx) sum += g[r][ky] * w[3 * ky + kx] * g[f][kx];
          u[std::size_t(6 * r + f) * in * columns + std::size_t(o / panel) * panel * in + i * panel + o % panel] = static_cast<float>(sum);
        }
    }
  return u;
}

void winograd_input(float* v, const float* x, int positions, int channels) {
  const std::size_t stride = winograd_stride(kWinogradTiles * positions, channels);
  for (int p = 0; p < positions; ++p, x += 64 * channels)
    for (int tile = 0; tile < kWinogradTiles; ++tile, v += channels) {
      const int rank = tile / 2 * 4, file = tile % 2 * 4;
      int c = 0;
      for (; c + kInner <= channels; c += kInner) input_tile<Vector>(v + c, stride, x + c, channels, rank, file);
      for (; c < channels; ++c) input_tile<float>(v + c, stride, x + c, channels, rank, file);
    }
}

void winograd_output(float* y, const float* m, const float* biases, const float* residual, nn::Activation activation,
                     int positions, int channels) {
  const int columns = winograd_columns(channels);
  const std::size_t stride = winograd_stride(kWinogradTiles * positions, columns);
  for (int p = 0; p < positions; ++p) {
    for (int tile = 0; tile < kWinogradTiles; ++tile, m += columns) {
      const int rank = tile / 2 * 4, file = tile % 2 * 4;
      int c = 0;
      for (; c + kInner <= channels; c += kInner)
        output_tile<Vector>(y + c, residual ? residual + c : nullptr, m + c, stride, biases + c, channels, rank, file);
      for (; c < channels; ++c)
        output_tile<float>(y + c, residual ? residual + c : nullptr, m + c, stride, biases + c, channels, rank, file);
    }
    activate(y, std::size_t{64} * channels, activation);
    y += 64 * channels;
    if (residual) residual += 64 * channels;
  }
}

}  // namespace cpu
