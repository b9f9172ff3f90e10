// The parameters of a search, by their UCI names (docs/spec/engine.md 1.2), and its limits (docs/spec/engine.md 3.5). This is where a
// parameter is declared: Python asks all_params() and adds what people see.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace search {

enum class Fpu { kReduction, kAbsolute, kSame };
enum class Graph { kOff, kUnshared, kOn };  // kUnshared: a graph in which no position is found again, which makes it a tree
enum class ScoreType { kCentipawn, kCentipawnWithDrawscore, kCentipawn2019, kCentipawn2018, kWinPercentage, kQ, kWL, kWdlMu };

// What is fixed while a search runs.
struct FixedParams {
  int threads = 0;         // 0: what the back end advises
  int minibatch_size = 0;  // 0: what the back end advises
  Graph graph = Graph::kOff;  // a change drops what is known

  float cpuct = 1.745f, cpuct_base = 38739, cpuct_factor = 3.894f;
  float cpuct_at_root = 1.745f, cpuct_base_at_root = 38739, cpuct_factor_at_root = 3.894f;
  bool root_has_own_cpuct = false;
  Fpu fpu_strategy = Fpu::kReduction, fpu_strategy_at_root = Fpu::kSame;
  float fpu_value = 0.33f, fpu_value_at_root = 1;
  bool two_fold_draws = true;
  bool syzygy_fast_play = false;  // of a position won by the tables only the shortest way
  bool sticky_endgames = true;
  float draw_score = 0;  // value of a draw for White

  float noise_epsilon = 0, noise_alpha = 0.3f;

  int max_collision_visits = 80000;
  int max_collision_visits_scaling_start = 28, max_collision_visits_scaling_end = 145000;
  float max_collision_visits_scaling_power = 1.25f;
  bool out_of_order_eval = true;
  float max_out_of_order_evals_factor = 2.4f;
  int idling_minimum_work = 0, thread_idling_threshold = 1;

  float moves_left_max_effect = 0.0345f, moves_left_threshold = 0.8f, moves_left_slope = 0.0027f;
  float moves_left_constant_factor = 0, moves_left_scaled_factor = 1.6521f, moves_left_quadratic_factor = -0.6521f;

  // Contempt, worked out by the caller (docs/spec/engine.md 4.12).
  float wdl_rescale_ratio = 1, wdl_rescale_diff = 0;
  int contempt_sign = 0;  // whom it favours: +1 the root's side to move, -1 the other, 0 none
  float wdl_max_s = 1.4f, wdl_eval_objectivity = 1;

  float nodes_per_second_limit = 0;
  int kld_interval = 100;
  float minimum_kld_gain = 0;
  float smart_pruning_factor = 1.33f;
  int smart_pruning_minimum_batches = 0;
  bool nodes_as_playouts = false;
  int ram_limit_mb = 0;
};

// What may change while a search runs: read anew at each use, under the tree lock.
struct LiveParams {
  float temperature = 0;
  int temp_decay_moves = 0, temp_decay_delay_moves = 0, temp_cutoff_move = 0;
  float temp_endgame = 0, temp_value_cutoff = 100, temp_visit_offset = 0;
  int max_prefetch = 32;
  int multipv = 1;
  bool per_pv_counters = false;
  ScoreType score_type = ScoreType::kWdlMu;  // with WDL_mu, displayed values are transformed even without contempt
};

struct Params : FixedParams, LiveParams {};

using ParamValue = std::variant<bool, std::int64_t, double, std::string>;

// Throws Error for an unknown name, a wrong type or a value out of range.
void set_param(Params& params, const std::string& name, const ParamValue& value);
// True for those of LiveParams.
bool acts_mid_search(const std::string& name);

// The declaration of a parameter, for whoever lists them.
struct ParamInfo {
  std::string name;
  std::string kind;      // check, spin, float or combo
  ParamValue fallback;   // its default
  double low = 0, high = 0;
  std::vector<std::string> choices;
  bool live = false;     // see acts_mid_search
  bool in_nodes = false; // the nodes of a tree hold what it says: after a change the tree is worth nothing
};
std::vector<ParamInfo> all_params();

// Time beyond the limit, for a move that is not settled yet (docs/spec/engine.md 5.2).
struct Bank {
  double ms = 0;
  double force_ms = 0;            // it is used for so long after the first batch in any case
  double trend_ms = 3000;         // visits are extrapolated from as long a time, or up to twice
  double best_optimism = 0.2, overtaker_optimism = 4;  // factors of the rates at which the most visited move and the others get visits
};

struct Limits {
  std::optional<std::int64_t> nodes, playouts, time_ms, depth, mate;
  std::int64_t elapsed_ms = 0;                // the clock when the search starts
  std::optional<std::int64_t> remaining_ms;   // a guess of the time left for this move, for smart pruning
  Bank bank;                                  // on top of time_ms
  bool infinite = false;
  std::vector<std::string> searchmoves;       // empty: all
};

}  // namespace search
