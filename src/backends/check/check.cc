// check: the first back end works, the second evaluates a share of the batches too, and an output that differs by more than
// atol + rtol * |reference| ends the evaluation with an Error that names it.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "backends/combine/children.h"
#include "chess/policy.h"
#include "error.h"

namespace {

struct Tolerance {
  double absolute, relative;
};

// The worst output so far, as a multiple of what is allowed.
struct Worst {
  double excess = 0;
  std::string where;
  float got = 0, reference = 0;

  template <class Where>
  void compare(float value, float expected, const Tolerance& tolerance, Where&& describe) {
    const double ratio = std::abs(static_cast<double>(value) - expected) /
                         (tolerance.absolute + tolerance.relative * std::abs(static_cast<double>(expected)));
    if (ratio <= excess) return;  // NaN goes on: it is always the worst
    *this = {std::isnan(ratio) ? HUGE_VAL : ratio, describe(), value, expected};
  }
};

class Check final : public nn::Backend {
 public:
  Check(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("check", network, options, 2)),
        info_(children_.front()->info()),
        tolerance_{options.number("atol", 1e-5), options.number("rtol", 1e-4)},
        frequency_(options.number("freq", 0.2)) {
    if (const std::string mode = options.text("mode", "check"); mode != "check")
      throw Error("check: mode is " + mode + ", expected check; `lc0rocm check` shows how outputs differ");
    const nn::Info common = common_info("check", children_);
    info_.device = common.device;
    info_.max_batch = common.max_batch;
  }
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Pair>(*this); }

 private:
  class Pair final : public nn::Session {
   public:
    explicit Pair(const Check& owner)
        : owner_(owner), working_(owner.children_[0]->open()), reference_(owner.children_[1]->open()) {}

    void evaluate(const nn::Batch& batch) override {
      working_->evaluate(batch);
      due_ += owner_.frequency_;
      if (due_ < 1 || batch.size == 0) return;
      due_ = std::fmod(due_, 1);

      const std::size_t outputs = batch.moves ? batch.first_move[batch.size]
                                              : static_cast<std::size_t>(batch.size) * chess::kPolicySize;
      std::vector<float> policy(batch.policy ? outputs : 0);
      std::vector<nn::Value> values(batch.values ? batch.size : 0);
      nn::Batch again = batch;
      again.policy = batch.policy ? policy.data() : nullptr;
      again.values = batch.values ? values.data() : nullptr;
      reference_->evaluate(again);

      Worst worst;
      const bool moves_left = owner_.children_[0]->info().moves_left && owner_.children_[1]->info().moves_left;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto compare = [&](const char* name, float nn::Value::* field) {
          worst.compare(batch.values[i].*field, values[i].*field, owner_.tolerance_,
                        [&] { return name + (" of position " + std::to_string(i)); });
        };
        compare("q", &nn::Value::q);
        compare("d", &nn::Value::d);
        if (moves_left) compare("m", &nn::Value::m);
      }
      for (std::size_t j = 0; j < policy.size(); ++j)
        worst.compare(batch.policy[j], policy[j], owner_.tolerance_, [&] { return policy_name(batch, j); });
      if (worst.excess <= 1) return;
      std::ostringstream text;
      text << "check: " << worst.where << " is " << worst.got << ", the reference says " << worst.reference << ": "
           << worst.excess << " times the allowed difference (batch of " << batch.size << "; " << owner_.info_.device << ')';
      throw Error(text.str());
    }

   private:
    static std::string policy_name(const nn::Batch& batch, std::size_t j) {
      std::size_t position = j / chess::kPolicySize, move = j % chess::kPolicySize;
      if (batch.moves) {
        position = std::upper_bound(batch.first_move, batch.first_move + batch.size + 1, j) - batch.first_move - 1;
        move = batch.moves[j];
      }
      return "policy logit " + std::to_string(move) + " of position " + std::to_string(position);
    }

    const Check& owner_;
    std::unique_ptr<nn::Session> working_, reference_;
    double due_ = 0;  // batches to check, in whole ones as they add up
  };

  Children children_;
  nn::Info info_;
  Tolerance tolerance_;
  double frequency_;
};

const nn::Registration registration(
    "check", [](auto network, const nn::Options& options) { return std::make_unique<Check>(std::move(network), options); },
    nullptr, false);

}  // namespace
