#include "backends/rocm/device/quantise.h"

#include <algorithm>
#include <cmath>

#include "backends/rocm/kernels/fp8.h"
#include "error.h"

namespace rocm {

namespace {

template <Numbers kKind>
std::uint8_t number_of(float x) {
  if constexpr (kKind != Numbers::kInt8) return static_cast<std::uint8_t>(fp8_of<kKind>(x));
  constexpr float kMost = most_of(kKind), kRound = 12582912;  // 1.5 * 2^23: beside it a float's last bit is 1
  const float shifted = std::clamp(x, -kMost, kMost) + kRound;
  return static_cast<std::uint8_t>(static_cast<std::int8_t>(shifted - kRound));
}

}  // namespace

Quantised quantised(const nn::Floats& matrix, int rows, int cols, Numbers kind, const std::string& key) {
  Quantised q{std::vector<std::uint8_t>(matrix.size()), std::vector<float>((rows + 7) / 8 * 8)};
  for (int row = 0; row < rows; ++row) {
    const float* const from = matrix.data() + std::size_t(row) * cols;
    float largest = 0;
    bool finite = true;
    for (int i = 0; i < cols; ++i) {
      largest = std::max(largest, std::abs(from[i]));
      finite = finite && std::isfinite(from[i]);
    }
    if (!finite) throw Error("a weight of " + key + " is no finite number: leave out weights=int8, or take rocm-fp16 in place of rocm-int8 or rocm-fp8, "
                             "to see what that makes of this network");
    const float scale = largest / most_of(kind);
    q.scales[row] = scale;
    if (scale == 0) continue;
    std::uint8_t* const to = q.numbers.data() + std::size_t(row) * cols;
    with_numbers(kind, [&]<Numbers kKind>() {  // a scale so small that it has lost bits of its own may make more of the largest
      for (int i = 0; i < cols; ++i) to[i] = number_of<kKind>(from[i] / scale);
    });
  }
  return q;
}

}  // namespace rocm
