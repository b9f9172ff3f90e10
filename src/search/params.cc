#include "search/params.h"

#include <algorithm>
#include <charconv>

#include "error.h"

namespace search {
namespace {

struct Real {
  float Params::*field;
  double min, max;
};
struct Integer {
  int Params::*field;
  std::int64_t min, max;
};
using Flag = bool Params::*;
struct Choice {
  std::vector<const char*> names;  // in the order of the enum
  int (*get)(const Params&);
  void (*set)(Params&, int);
};

template <auto field>
Choice choice(std::vector<const char*> names) {
  return {std::move(names), [](const Params& params) { return static_cast<int>(params.*field); },
          [](Params& params, int index) { params.*field = static_cast<std::decay_t<decltype(params.*field)>>(index); }};
}

enum Effect { kNextSearch, kLive, kInNodes };  // kLive: acts mid-search; kInNodes: see ParamInfo

struct Row {
  const char* name;
  std::variant<Real, Integer, Flag, Choice> kind;
  Effect effect = kNextSearch;
};

const Row kTable[] = {
    {"Threads", Integer{&Params::threads, 0, 128}},
    {"MinibatchSize", Integer{&Params::minibatch_size, 0, 1024}},
    {"Graph", choice<&Params::graph>({"off", "unshared", "on"})},
    {"CPuct", Real{&Params::cpuct, 0, 100}},
    {"CPuctBase", Real{&Params::cpuct_base, 1, 1e9}},
    {"CPuctFactor", Real{&Params::cpuct_factor, 0, 1000}},
    {"CPuctAtRoot", Real{&Params::cpuct_at_root, 0, 100}},
    {"CPuctBaseAtRoot", Real{&Params::cpuct_base_at_root, 1, 1e9}},
    {"CPuctFactorAtRoot", Real{&Params::cpuct_factor_at_root, 0, 1000}},
    {"RootHasOwnCpuctParams", &Params::root_has_own_cpuct},
    {"FpuStrategy", choice<&Params::fpu_strategy>({"reduction", "absolute"})},
    {"FpuStrategyAtRoot", choice<&Params::fpu_strategy_at_root>({"reduction", "absolute", "same"})},
    {"FpuValue", Real{&Params::fpu_value, -100, 100}},
    {"FpuValueAtRoot", Real{&Params::fpu_value_at_root, -100, 100}},
    {"TwoFoldDraws", &Params::two_fold_draws, kInNodes},
    {"SyzygyFastPlay", &Params::syzygy_fast_play},
    {"StickyEndgames", &Params::sticky_endgames, kInNodes},
    {"DrawScore", Real{&Params::draw_score, -1, 1}},
    {"Temperature", Real{&Params::temperature, 0, 100}, kLive},
    {"TempDecayMoves", Integer{&Params::temp_decay_moves, 0, 640}, kLive},
    {"TempDecayDelayMoves", Integer{&Params::temp_decay_delay_moves, 0, 100}, kLive},
    {"TempCutoffMove", Integer{&Params::temp_cutoff_move, 0, 1000}, kLive},
    {"TempEndgame", Real{&Params::temp_endgame, 0, 100}, kLive},
    {"TempValueCutoff", Real{&Params::temp_value_cutoff, 0, 100}, kLive},
    {"TempVisitOffset", Real{&Params::temp_visit_offset, -1000, 1000}, kLive},
    {"DirichletNoiseEpsilon", Real{&Params::noise_epsilon, 0, 1}, kInNodes},
    {"DirichletNoiseAlpha", Real{&Params::noise_alpha, 0, 1e7}, kInNodes},
    {"MaxCollisionVisits", Integer{&Params::max_collision_visits, 1, 100000000}},
    {"MaxCollisionVisitsScalingStart", Integer{&Params::max_collision_visits_scaling_start, 1, 100000}},
    {"MaxCollisionVisitsScalingEnd", Integer{&Params::max_collision_visits_scaling_end, 0, 100000000}},
    {"MaxCollisionVisitsScalingPower", Real{&Params::max_collision_visits_scaling_power, 0.01, 100}},
    {"OutOfOrderEval", &Params::out_of_order_eval},
    {"MaxOutOfOrderEvalsFactor", Real{&Params::max_out_of_order_evals_factor, 0, 100}},
    {"IdlingMinimumWork", Integer{&Params::idling_minimum_work, 0, 10000}},
    {"ThreadIdlingThreshold", Integer{&Params::thread_idling_threshold, 0, 128}},
    {"MaxPrefetch", Integer{&Params::max_prefetch, 0, 1024}, kLive},
    {"MovesLeftMaxEffect", Real{&Params::moves_left_max_effect, 0, 1}},
    {"MovesLeftThreshold", Real{&Params::moves_left_threshold, 0, 1}},
    {"MovesLeftSlope", Real{&Params::moves_left_slope, 0, 1}},
    {"MovesLeftConstantFactor", Real{&Params::moves_left_constant_factor, -1, 1}},
    {"MovesLeftScaledFactor", Real{&Params::moves_left_scaled_factor, -2, 2}},
    {"MovesLeftQuadraticFactor", Real{&Params::moves_left_quadratic_factor, -1, 1}},
    {"WDLRescaleRatio", Real{&Params::wdl_rescale_ratio, 1e-12, 1e12}, kInNodes},
    {"WDLRescaleDiff", Real{&Params::wdl_rescale_diff, -1e12, 1e12}, kInNodes},
    {"ContemptSign", Integer{&Params::contempt_sign, -1, 1}, kInNodes},
    {"WDLMaxS", Real{&Params::wdl_max_s, 0, 10}, kInNodes},
    {"WDLEvalObjectivity", Real{&Params::wdl_eval_objectivity, 0, 1}},
    {"MultiPV", Integer{&Params::multipv, 1, 500}, kLive},
    {"PerPVCounters", &Params::per_pv_counters, kLive},
    {"ScoreType",
     choice<&Params::score_type>({"centipawn", "centipawn_with_drawscore", "centipawn_2019", "centipawn_2018", "win_percentage", "Q",
                                  "W-L", "WDL_mu"}),
     kLive},
    {"NodesPerSecondLimit", Real{&Params::nodes_per_second_limit, 0, 1e6}},
    {"KLDGainAverageInterval", Integer{&Params::kld_interval, 1, 10000000}},
    {"MinimumKLDGainPerNode", Real{&Params::minimum_kld_gain, 0, 1}},
    {"SmartPruningFactor", Real{&Params::smart_pruning_factor, 0, 10}},
    {"SmartPruningMinimumBatches", Integer{&Params::smart_pruning_minimum_batches, 0, 10000}},
    {"NodesAsPlayouts", &Params::nodes_as_playouts},
    {"RamLimitMb", Integer{&Params::ram_limit_mb, 0, 100000000}},
};

const Row& row(const std::string& name) {
  for (const Row& row : kTable)
    if (row.name == name) return row;
  throw Error("the search has no parameter " + name);
}

[[noreturn]] void wrong(const std::string& name, const std::string& wanted) {
  throw Error("search parameter " + name + " must be " + wanted);
}

struct Setter {
  Params& params;
  const std::string& name;
  const ParamValue& value;

  void operator()(const Real& real) const {
    double number = 0;
    if (const auto* d = std::get_if<double>(&value)) number = *d;
    else if (const auto* i = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*i);
    else wrong(name, "a number");
    if (!(number >= real.min && number <= real.max))
      wrong(name, "from " + std::to_string(real.min) + " to " + std::to_string(real.max));
    params.*real.field = static_cast<float>(number);
  }
  void operator()(const Integer& integer) const {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (!number) wrong(name, "an integer");
    if (*number < integer.min || *number > integer.max)
      wrong(name, "from " + std::to_string(integer.min) + " to " + std::to_string(integer.max));
    params.*integer.field = static_cast<int>(*number);
  }
  void operator()(Flag flag) const {
    const auto* on = std::get_if<bool>(&value);
    if (!on) wrong(name, "true or false");
    params.*flag = *on;
  }
  void operator()(const Choice& choice) const {
    const auto* text = std::get_if<std::string>(&value);
    const auto found = text ? std::ranges::find(choice.names, *text) : choice.names.end();
    if (found == choice.names.end()) {
      std::string all;
      for (const char* other : choice.names) all += (all.empty() ? "" : ", ") + std::string(other);
      wrong(name, "one of " + all);
    }
    choice.set(params, static_cast<int>(found - choice.names.begin()));
  }
};

// A default as people write it: 1.745, not the 1.7450000047... that a float holds.
double written(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0;
  std::from_chars(text, end, number);
  return number;
}

struct Describer {
  ParamInfo& info;
  const Params defaults = {};

  void operator()(const Real& real) const {
    info.kind = "float";
    info.fallback = written(defaults.*real.field);
    info.low = real.min;
    info.high = real.max;
  }
  void operator()(const Integer& integer) const {
    info.kind = "spin";
    info.fallback = std::int64_t{defaults.*integer.field};
    info.low = static_cast<double>(integer.min);
    info.high = static_cast<double>(integer.max);
  }
  void operator()(Flag flag) const {
    info.kind = "check";
    info.fallback = defaults.*flag;
  }
  void operator()(const Choice& choice) const {
    info.kind = "combo";
    info.choices.assign(choice.names.begin(), choice.names.end());
    info.fallback = info.choices[static_cast<std::size_t>(choice.get(defaults))];
  }
};

}  // namespace

void set_param(Params& params, const std::string& name, const ParamValue& value) {
  std::visit(Setter{params, name, value}, row(name).kind);
}

bool acts_mid_search(const std::string& name) { return row(name).effect == kLive; }

std::vector<ParamInfo> all_params() {
  std::vector<ParamInfo> all;
  for (const Row& row : kTable) {
    ParamInfo& info = all.emplace_back();
    info.name = row.name;
    info.live = row.effect == kLive;
    info.in_nodes = row.effect == kInNodes;
    std::visit(Describer{info}, row.kind);
  }
  return all;
}

}  // namespace search
