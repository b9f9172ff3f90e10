#include "backends/rocm/device/quantise.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace rocm {

Quantised quantised(const nn::Floats& matrix, int rows, int cols, const std::string& key) {
  constexpr float kMost = 127, kRound = 12582912;  // 1.5 * 2^23: beside it a float's last bit is 1
  Quantised q{std::vector<std::int8_t>(matrix.size()), std::vector<float>((rows + 7) / 8 * 8)};
  for (int row = 0; row < rows; ++row) {
    const float* const from = matrix.data() + std::size_t(row) * cols;
    float largest = 0;
    bool finite = true;
    for (int i = 0; i < cols; ++i) {
      largest = std::max(largest, std::abs(from[i]));
      finite = finite && std::isfinite(from[i]);
    }
    if (!finite) throw Error("a weight of " + key + " is no finite number: leave out weights=int8, or take rocm-fp16 in place of rocm-int8, to see what "
                             "that makes of this network");
    const float scale = largest / kMost;
    q.scales[row] = scale;
    if (scale == 0) continue;
    std::int8_t* const to = q.numbers.data() + std::size_t(row) * cols;
    for (int i = 0; i < cols; ++i) {  // a scale so small that it has lost bits of its own may make more of the largest
      const float shifted = std::clamp(from[i] / scale, -kMost, kMost) + kRound;
      to[i] = static_cast<std::int8_t>(shifted - kRound);
    }
  }
  return q;
}

}  // namespace rocm
