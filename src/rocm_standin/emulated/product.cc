// Both operands are packed as float into panels, and a 16 x 6 tile of the result is summed in registers: about half of the
// processor's peak, so that whole nets run in a test.
#include "product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "memory.h"
#include "settings.h"

namespace hip_emulated {
namespace {

constexpr int kTileRows = 16, kTileCols = 6;
typedef float Vector __attribute__((vector_size(32)));  // half a column of the tile

// e4m3, with a bias of 7 and NaN in 0x7f and 0xff, or (FNUZ) with one of 8 and NaN in 0x80.
float number_of(std::uint8_t bits, bool fnuz) {
  if (fnuz ? bits == 0x80 : (bits & 0x7f) == 0x7f) return NAN;
  const int exponent = bits >> 3 & 15, bias = fnuz ? 8 : 7;
  const float size = exponent ? std::ldexp(8 + (bits & 7), exponent - bias - 3) : std::ldexp(bits & 7, 1 - bias - 3);
  return bits & 0x80 ? -size : size;
}

float get(const Matrix& x, std::int64_t i) {
  if (size_of(x.type) == 1) return number_of(static_cast<const std::uint8_t*>(x.data)[i], x.type == Type::kFp8Fnuz);
  return x.type == Type::kFloat ? static_cast<const float*>(x.data)[i] : float(static_cast<const _Float16*>(x.data)[i]);
}

void put(const Matrix& x, std::int64_t i, float value) {
  if (x.type == Type::kFloat) static_cast<float*>(const_cast<void*>(x.data))[i] = value;
  else static_cast<_Float16*>(const_cast<void*>(x.data))[i] = static_cast<_Float16>(value);
}

// Panels of `width` rows: panel p, then k, then the row within it. Element (row, k) of the operand lies at row * row_step + k * k_step.
std::vector<float> pack(const Matrix& x, std::int64_t offset, std::int64_t rows, std::int64_t k, std::int64_t row_step,
                        std::int64_t k_step, int width) {
  const std::int64_t panels = (rows + width - 1) / width;
  std::vector<float> packed(panels * k * width, 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    float* to = packed.data() + r / width * k * width + r % width;
    for (std::int64_t i = 0; i < k; ++i) to[i * width] = get(x, offset + r * row_step + i * k_step);
  }
  return packed;
}

// tile (16 rows, 6 columns, column-major) = the product over k.
void multiply_tile(float* tile, const float* a, const float* b, std::int64_t k) {
  Vector sum[kTileCols][2] = {};
  for (std::int64_t i = 0; i < k; ++i, a += kTileRows, b += kTileCols) {
    Vector low, high;
    std::memcpy(&low, a, sizeof low);
    std::memcpy(&high, a + 8, sizeof high);
#pragma GCC unroll 6
    for (int j = 0; j < kTileCols; ++j) {
      sum[j][0] += low * b[j];
      sum[j][1] += high * b[j];
    }
  }
  std::memcpy(tile, sum, sizeof sum);
}

// store(row, column, value) for every element of op(a) op(b) of one product of the batch, k from k0 to k1.
template <class Store>
void product(const Gemm& g, std::int64_t index, std::int64_t k0, std::int64_t k1, const Store& store) {
  const auto [a_row, a_k] = g.transpose_a ? std::pair{g.a.ld, std::int64_t{1}} : std::pair{std::int64_t{1}, g.a.ld};
  const auto [b_row, b_k] = g.transpose_b ? std::pair{std::int64_t{1}, g.b.ld} : std::pair{g.b.ld, std::int64_t{1}};
  const std::int64_t k = k1 - k0;
  const std::vector<float> a = pack(g.a, index * g.a.stride + k0 * a_k, g.m, k, a_row, a_k, kTileRows);
  const std::vector<float> b = pack(g.b, index * g.b.stride + k0 * b_k, g.n, k, b_row, b_k, kTileCols);
  for (const size_t panel : blocks_that_run((g.n + kTileCols - 1) / kTileCols)) {
    const std::int64_t j = panel * kTileCols;
    for (std::int64_t i = 0; i < g.m; i += kTileRows) {
      float tile[kTileCols * kTileRows];
      multiply_tile(tile, a.data() + i * k, b.data() + j * k, k);
      for (std::int64_t c = j; c < std::min(g.n, j + kTileCols); ++c) {
        for (std::int64_t r = i; r < std::min(g.m, i + kTileRows); ++r) store(r, c, tile[(c - j) * kTileRows + r - i]);
      }
    }
  }
}

void check(const Matrix& x, std::int64_t rows, std::int64_t cols, std::int64_t batch, const std::string& what) {
  check_range(x.data, ((batch - 1) * x.stride + (cols - 1) * x.ld + rows) * size_of(x.type), what);
}

}  // namespace

size_t size_of(Type type) { return type == Type::kFloat ? 4 : type == Type::kHalf ? 2 : 1; }

void run(const Gemm& g, const std::string& who) {
  if (!g.m || !g.n || !g.batch) return;
  if (g.k) check(g.a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, g.batch, who + ": A");
  if (g.k) check(g.b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, g.batch, who + ": B");
  if (g.beta != 0) check(g.c, g.m, g.n, g.batch, who + ": C");
  check(g.d, g.m, g.n, g.batch, who + ": D");
  if (g.bias.data) check_range(g.bias.data, g.m * size_of(g.bias.type), who + ": bias");
  if (g.a_scales) check_range(g.a_scales, g.m * sizeof(float), who + ": A's scales");
  if (g.b_scales) check_range(g.b_scales, g.n * sizeof(float), who + ": B's scales");
  if (g.splits > 1) check_range(g.workspace, g.workspace_bytes(), who + ": workspace");
  if (settings().blocks == 0) return;

  for (std::int64_t index = 0; index < g.batch; ++index) {
    const auto finish = [&](std::int64_t r, std::int64_t c, float sum) {
      float y = g.alpha * sum * (g.a_scales ? g.a_scales[r] : 1) * (g.b_scales ? g.b_scales[c] : 1);
      if (g.beta != 0) y += g.beta * get(g.c, index * g.c.stride + c * g.c.ld + r);
      if (g.bias.data) y += get(g.bias, r);
      put(g.d, index * g.d.stride + c * g.d.ld + r, g.act ? g.act(y) : y);
    };
    if (g.splits == 1) {
      product(g, index, 0, g.k, finish);
      continue;
    }
    float* const parts = g.workspace + index * g.splits * g.m * g.n;
    for (int s = 0; s < g.splits; ++s) {
      float* const part = parts + s * g.m * g.n;
      product(g, index, g.k * s / g.splits, g.k * (s + 1) / g.splits,
              [&](std::int64_t r, std::int64_t c, float sum) { part[c * g.m + r] = sum; });
    }
    for (std::int64_t c = 0; c < g.n; ++c) {
      for (std::int64_t r = 0; r < g.m; ++r) {
        float sum = 0;
        for (int s = 0; s < g.splits; ++s) sum += parts[s * g.m * g.n + c * g.m + r];
        finish(r, c, sum);
      }
    }
  }
}

}  // namespace hip_emulated
