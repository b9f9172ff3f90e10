// check: the first back end works, the second evaluates a share of the batches too, and an output that differs by more than
// atol + rtol * |reference|, or is no number, ends the evaluation with an Error that names it.
#include <cmath>
#include <sstream>

#include "backends/combine/children.h"
#include "chess/policy.h"
#include "error.h"

namespace {

struct Tolerance {
  double absolute, relative;
};

// The worst output so far: how far it is beyond what is allowed, infinitely far for one that is no number.
struct Worst {
  double excess = 0;  // in units of what is allowed; above it the output differs
  std::string where;
  float got = 0, reference = 0;

  template <class Where>
  void compare(float value, float expected, const Tolerance& tolerance, Where&& describe) {
    const double difference = std::abs(static_cast<double>(value) - expected);
    const double allowed = tolerance.absolute + tolerance.relative * std::abs(static_cast<double>(expected));
    if (difference <= allowed) return;  // equal outputs even without a tolerance
    const double ratio = std::isfinite(difference) ? difference / allowed : HUGE_VAL;
    if (!where.empty() && ratio <= excess) return;
    *this = {ratio, describe(), value, expected};
  }
};

class Check final : public nn::Backend {
 public:
  Check(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("check", network, options, 2)),
        info_(children_.front()->info()),
        tolerance_{at_least_0(options, "atol", 1e-5), at_least_0(options, "rtol", 1e-4)},
        frequency_(at_least_0(options, "freq", 0.2)) {
    if (children_.size() > 2) throw Error("check compares two back ends, not " + std::to_string(children_.size()));
    if (frequency_ > 1) throw Error("check: freq is the share of the batches that are compared, from 0 to 1");
    if (const std::string mode = options.text("mode", "check"); mode != "check")
      throw Error("check: mode is " + mode + ", expected check; `lc0rocm check` shows how outputs differ");
    const nn::Info common = common_info("check", children_);
    info_.device = common.device;
    info_.max_batch = common.max_batch;
  }
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Pair>(*this); }

 private:
  static double at_least_0(const nn::Options& options, const char* key, double fallback) {
    const double value = options.number(key, fallback);
    if (!(value >= 0)) throw Error("check: " + std::string(key) + " must be 0 or more");
    return value;
  }

  class Pair final : public nn::Session {
   public:
    explicit Pair(const Check& owner)
        : owner_(owner), working_(owner.children_[0]->open()), reference_(owner.children_[1]->open()) {}

    void evaluate(const nn::Batch& batch) override {
      working_->evaluate(batch);
      due_ += owner_.frequency_;
      if (due_ < 1 || batch.size == 0) return;
      due_ -= 1;

      std::vector<float> policy(!batch.policy ? 0 : batch.moves ? batch.first_move[batch.size]
                                                                : static_cast<std::size_t>(batch.size) * chess::kPolicySize);
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
      nn::for_each_logit(again, 0, again.size, [&](int position, std::uint16_t move, std::size_t place) {
        worst.compare(batch.policy[place], policy[place], owner_.tolerance_, [&] {
          return "policy logit " + std::to_string(move) + " of position " + std::to_string(position);
        });
      });
      if (worst.where.empty()) return;
      std::ostringstream text;
      text << "check: " << worst.where << " is " << worst.got << ", the reference says " << worst.reference;
      if (std::isfinite(worst.excess)) text << ": " << worst.excess << " times the allowed difference";
      text << " (batch of " << batch.size << "; " << owner_.info_.device << ')';
      throw Error(text.str());
    }
    void rest() override {
      working_->rest();
      reference_->rest();
    }

   private:
    const Check& owner_;
    std::unique_ptr<nn::Session> working_, reference_;
    double due_ = 0;  // batches to check, in whole ones as they add up
  };

  Children children_;
  nn::Info info_;
  Tolerance tolerance_;
  double frequency_;
};

const nn::Registration kCheck(
    "check", [](auto network, const nn::Options& options) { return std::make_unique<Check>(std::move(network), options); },
    nullptr, false);

}  // namespace
