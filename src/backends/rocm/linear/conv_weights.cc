#include "backends/rocm/linear/conv_weights.h"

#include "backends/rocm/kernels/winograd.h"

namespace rocm {

constexpr int kTaps = 9;

static nn::Floats direct(const nn::Floats& w, int out, int in) {
  nn::Floats rows(w.size());
  for (std::size_t o = 0; o < std::size_t(out); ++o)
    for (int c = 0; c < in; ++c)
      for (int tap = 0; tap < kTaps; ++tap) rows[(o * kTaps + tap) * in + c] = w[(o * in + c) * kTaps + tap];
  return rows;
}

static nn::Floats winograd(const nn::Floats& w, int out, int in) {
  const double a = kA, b = kB, f = 2 * a * a * (a * a - b * b), g = 2 * b * b * (b * b - a * a);
  const double transform[6][3] = {{1, 0, 0},           {1 / f, a / f, a * a / f},  {1 / f, -a / f, a * a / f}, {1 / g, b / g, b * b / g},
                                  {1 / g, -b / g, b * b / g}, {0, 0, 1}};
  const std::size_t size = std::size_t(out) * in;
  nn::Floats u(kPoints * size);
  for (std::size_t pair = 0; pair < size; ++pair)
    for (int i = 0; i < 6; ++i) {
      double row[3] = {};  // of G w
      for (int tap = 0; tap < kTaps; ++tap) row[tap % 3] += transform[i][tap / 3] * w[pair * kTaps + tap];
      for (int j = 0; j < 6; ++j)
        u[(6 * i + j) * size + pair] = row[0] * transform[j][0] + row[1] * transform[j][1] + row[2] * transform[j][2];
    }
  return u;
}

static nn::Floats tower(const nn::Floats& w, int out, int in) {
  constexpr int kPiece = 32;
  nn::Floats pieces(std::size_t((in + out - 1) / out) * kTaps * out * out);
  for (std::size_t o = 0; o < std::size_t(out); ++o)
    for (std::size_t c = 0; c < std::size_t(in); ++c)
      for (int tap = 0; tap < kTaps; ++tap) {
        const std::size_t part = c / out, piece = c % out / kPiece;
        pieces[(((part * kTaps + tap) * out / kPiece + piece) * out + o) * kPiece + c % kPiece] = w[(o * in + c) * kTaps + tap];
      }
  return pieces;
}

nn::Weight direct_weights(const nn::Weight& w) {
  const int out = w.shape[0], in = w.shape[1];
  return {w.key + " direct", {out, 3, 3, in}, [make = w.make, out, in] { return direct(make(), out, in); }};
}

nn::Weight winograd_weights(const nn::Weight& w) {
  const int out = w.shape[0], in = w.shape[1];
  return {w.key + " winograd", {kPoints, out, in}, [make = w.make, out, in] { return winograd(make(), out, in); }};
}

nn::Weight tower_weights(const nn::Weight& w) {
  const int out = w.shape[0], in = w.shape[1];
  return {w.key + " tower", {(in + out - 1) / out, kTaps, out / 32, out, 32}, [make = w.make, out, in] { return tower(make(), out, in); }};
}

}  // namespace rocm
