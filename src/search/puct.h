// The selection formula (docs/spec/engine.md 4.2, 4.3, 4.14): score = Q + moves-left utility + U, U = P * factor / (1 + started).
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "search/node.h"
#include "search/params.h"

namespace search {

// Value of a draw for the player to move at this depth.
struct DrawScore {
  float at_root = 0;
  float at(int depth) const { return depth % 2 == 0 ? at_root : -at_root; }
};

// ln x by the quadratic that is closest to log2 over an octave (off by 0.008 at most): the growth of cpuct that Lc0 nets are
// used with, where the exact logarithm shifts a visit now and then.
inline float fast_ln(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float exponent = static_cast<float>(static_cast<int>(bits >> 23) - 127);
  const float part = std::bit_cast<float>((bits & 0x7fffff) | 0x3f800000) - 1;
  return 0.6931471805599453f * (exponent + part * (1.3465552f - 0.34655523f * part));
}

// cpuct(N) * sqrt(visits of the children): what the prior is multiplied by.
inline float exploration(const FixedParams& params, const Node& node, bool is_root) {
  const bool own = is_root && params.root_has_own_cpuct;
  const float init = own ? params.cpuct_at_root : params.cpuct;
  const float base = own ? params.cpuct_base_at_root : params.cpuct_base;
  const float factor = own ? params.cpuct_factor_at_root : params.cpuct_factor;
  const float n = static_cast<float>(node.n);
  const float cpuct = init + factor * fast_ln((n + base) / base);
  return cpuct * std::sqrt(std::max(n - 1, 1.0f));
}

// Value of an unvisited child; visited_policy: sum of the priors of the visited ones.
inline float first_play_urgency(const FixedParams& params, const Node& node, bool is_root, float draw_score, float visited_policy) {
  const bool own = is_root && params.fpu_strategy_at_root != Fpu::kSame;
  const Fpu strategy = own ? params.fpu_strategy_at_root : params.fpu_strategy;
  const float value = own ? params.fpu_value_at_root : params.fpu_value;
  if (strategy == Fpu::kAbsolute) return value;
  return static_cast<float>(-node.q(-draw_score)) - value * std::sqrt(visited_policy);
}

// Prefers short wins and long losses among the children of one parent.
class MovesLeftUtility {
 public:
  MovesLeftUtility(const FixedParams& params, const Node& parent, bool has_moves_left)
      : params_(params), parent_m_(parent.m),
        active_(has_moves_left && std::abs(parent.wl) > params.moves_left_threshold) {}

  float operator()(const Node& child, float q) const {
    if (!active_ || q == 0) return 0;
    const float cap = params_.moves_left_max_effect, threshold = params_.moves_left_threshold;
    float m = std::clamp(params_.moves_left_slope * (child.m - parent_m_), -cap, cap);
    if (q > 0) m = -m;
    float size = std::abs(q);
    if (threshold > 0 && threshold < 1) size = std::max(0.0f, size - threshold) / (1 - threshold);
    return m * (params_.moves_left_constant_factor + params_.moves_left_scaled_factor * size +
                params_.moves_left_quadratic_factor * size * size);
  }

 private:
  const FixedParams& params_;
  float parent_m_;
  bool active_;
};

}  // namespace search
