// A hand-made evaluation, for play and tests without a network: material and a pull towards the centre as the value, captures
// and promotions first as the policy.
#include <bit>
#include <cmath>

#include "backends/input_mode.h"
#include "chess/policy.h"
#include "nn/backend.h"

namespace {

using chess::Bitboard;

constexpr float kWorth[] = {1.0f, 3.0f, 3.2f, 5.0f, 9.0f, 0.0f};  // pawns, by PieceType
constexpr Bitboard kCentre = 0x0000001818000000, kWideCentre = 0x00003c3c3c3c0000;

float centrality(Bitboard squares) {  // pawns
  return 0.05f * static_cast<float>(std::popcount(squares & kCentre) + std::popcount(squares & kWideCentre));
}

float side(const Bitboard* pieces) {  // (6), by PieceType
  float sum = 0;
  for (int type = chess::kPawn; type < chess::kKing; ++type)
    sum += kWorth[type] * static_cast<float>(std::popcount(pieces[type])) + centrality(pieces[type]);
  return sum;
}

float worth_on(const Bitboard* pieces, chess::Square square) {
  for (int type = chess::kPawn; type <= chess::kKing; ++type)
    if (pieces[type] >> square & 1) return kWorth[type];
  return 0;
}

// `ours`, `theirs`: the first 12 planes; `move` is in their frame.
float logit(const Bitboard* ours, const Bitboard* theirs, chess::Move move) {
  const Bitboard from = Bitboard{1} << move.from(), to = Bitboard{1} << move.to();
  float gain = 2 * (centrality(to) - centrality(from));
  if (const float taken = worth_on(theirs, move.to()); taken > 0) gain += taken - 0.1f * worth_on(ours, move.from());
  if (move.promotion() != chess::kNoPiece) gain += kWorth[move.promotion()] - kWorth[chess::kPawn];
  return 0.5f * gain;
}

class TrivialSession final : public nn::Session {
 public:
  void evaluate(const nn::Batch& batch) override {
    for (int i = 0; i < batch.size; ++i) {
      const Bitboard* ours = batch.planes[i].mask.data();
      const Bitboard* theirs = ours + 6;
      if (batch.values) batch.values[i] = {std::tanh(0.25f * (side(ours) - side(theirs))), 0, 0};
      nn::for_each_logit(batch, i, 1, [&](int, std::uint16_t move, std::size_t place) {
        batch.policy[place] = logit(ours, theirs, chess::policy_move(move));
      });
    }
  }
};

class Trivial final : public nn::Backend {
 public:
  explicit Trivial(const nn::Options& options) {
    info_.device = "hand-made evaluation, no network";
    info_.input_format = input_mode(options);
    info_.cpu = true;
  }
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<TrivialSession>(); }

 private:
  nn::Info info_;
};

const nn::Registration kTrivial(
    "trivial", [](auto, const nn::Options& options) { return std::make_unique<Trivial>(options); }, nullptr, false);

}  // namespace
