// The 36 products of a Winograd convolution, each (tiles, in) by (in, out). A library's batched product spends as long on each of them
// before it begins as one board's four rows take, and wants them side by side, where the transforms would write 36 lines of
// the first-level cache's same set. Bound by multiply-adds; from one board a call by the weights, which come from the third-level cache.
#include <algorithm>
#include <cstring>

#include "backends/cpu/processors.h"
#include "backends/cpu/winograd.h"

namespace cpu {
namespace {

constexpr int kVectors = 2;  // of columns at once
constexpr int kPart = 128;   // inputs at once: of a panel 16 KB at most

// So many rows by kVectors vectors of columns, over `count` of the inputs, set or added.
template <class V, int rows>
[[gnu::always_inline]] inline void multiply_rows(float* m, const float* v, const float* weights, int in, int count, int columns, bool add) {
  constexpr int kWidth = sizeof(V) / sizeof(float);
  V sums[rows][kVectors] = {};
  if (add)
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < kVectors; ++c) std::memcpy(&sums[r][c], m + r * columns + c * kWidth, sizeof(V));
  for (int i = 0; i < count; ++i, weights += kVectors * kWidth) {
    V w[kVectors];
    for (int c = 0; c < kVectors; ++c) std::memcpy(&w[c], weights + c * kWidth, sizeof(V));
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < kVectors; ++c) sums[r][c] += v[r * in + i] * w[c];
  }
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < kVectors; ++c) std::memcpy(m + r * columns + c * kWidth, &sums[r][c], sizeof(V));
}

// Parts of panels outside, rows inside: a part stays in the first-level cache.
template <class V, int rows>
[[gnu::always_inline]] inline void multiply_all(float* m, const float* v, const float* weights, int tiles, int in, int columns) {
  constexpr int kPanel = kVectors * sizeof(V) / sizeof(float);
  for (int point = 0; point < kWinogradPoints; ++point) {
    for (int c = 0; c < columns; c += kPanel)
      for (int first = 0; first < in; first += kPart) {
        const int count = std::min(kPart, in - first);
        for (int row = 0; row < tiles; row += rows)
          multiply_rows<V, rows>(m + row * columns + c, v + row * in + first, weights, in, count, columns, first > 0);
        weights += count * kPanel;
      }
    m += winograd_stride(tiles, columns);
    v += winograd_stride(tiles, in);
  }
}

typedef float Vector4 __attribute__((vector_size(16)));
typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector16 __attribute__((vector_size(64)));

#ifdef __x86_64__
[[gnu::target("avx512f")]] void multiply_avx512(float* m, const float* v, const float* weights, int tiles, int in, int columns) {
  if (tiles % 8 == 0) multiply_all<Vector16, 8>(m, v, weights, tiles, in, columns);
  else multiply_all<Vector16, 4>(m, v, weights, tiles, in, columns);
}
[[gnu::target("avx2,fma")]] void multiply_avx2(float* m, const float* v, const float* weights, int tiles, int in, int columns) {
  multiply_all<Vector8, 4>(m, v, weights, tiles, in, columns);
}
#endif
void multiply_any(float* m, const float* v, const float* weights, int tiles, int in, int columns) {
  multiply_all<Vector4, 4>(m, v, weights, tiles, in, columns);
}

struct Way {
  decltype(&multiply_any) multiply;
  int panel;
};

// What this processor has, whatever the rest was compiled for.
const Way& fastest() {
  static const Way found = [] {
#ifdef __x86_64__
    if (have(dnnl::cpu_isa::avx512_core)) return Way{multiply_avx512, 16 * kVectors};
    if (have(dnnl::cpu_isa::avx2) && __builtin_cpu_supports("fma")) return Way{multiply_avx2, 8 * kVectors};
#endif
    return Way{multiply_any, 4 * kVectors};
  }();
  return found;
}

}  // namespace

int winograd_panel() { return fastest().panel; }

void winograd_products(float* m, const float* v, const float* weights, int tiles, int in, int out) {
  fastest().multiply(m, v, weights, tiles, in, winograd_columns(out));
}

}  // namespace cpu
