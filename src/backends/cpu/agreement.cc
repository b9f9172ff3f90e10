#include "backends/cpu/agreement.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "chess/history.h"
#include "chess/notation.h"

namespace cpu {
namespace {

constexpr int kPositions = 64, kFirstPlies = 4;

struct Positions {
  std::vector<chess::Planes> planes;
  std::vector<std::uint16_t> moves;
  std::vector<std::uint32_t> first_move{0};
};

// One after 4 moves at random, one after 5, and so on.
Positions varied_positions(chess::InputFormat format) {
  Positions made;
  std::mt19937 random;
  while (made.planes.size() < kPositions) {
    const int plies = kFirstPlies + static_cast<int>(made.planes.size());
    chess::History history(chess::kStartFen);
    chess::MoveList moves;
    history.last().board.legal_moves(moves);
    for (int ply = 0; ply < plies && moves.size(); ++ply) {
      history.push(moves[static_cast<int>(random() % moves.size())]);
      moves = {};
      history.last().board.legal_moves(moves);
    }
    if (!moves.size()) continue;  // the game was over: another
    made.planes.push_back(chess::encode(history, format, chess::HistoryFill::kFenOnly));
    const int transform = chess::canonical_transform(history.last(), format);
    for (const chess::Move move : moves) made.moves.push_back(chess::policy_index(move, transform));
    made.first_move.push_back(static_cast<std::uint32_t>(made.moves.size()));
  }
  return made;
}

struct Answers {
  std::vector<float> policy;
  std::vector<nn::Value> values;
};

Answers evaluate(nn::Backend& backend, const Positions& positions) {
  Answers answers{std::vector<float>(positions.moves.size()), std::vector<nn::Value>(kPositions)};
  backend.open()->evaluate({kPositions, positions.planes.data(), positions.moves.data(), positions.first_move.data(), answers.policy.data(),
                            answers.values.data()});
  return answers;
}

double log_of_sum(const float* logits, std::size_t count) {
  const double top = *std::max_element(logits, logits + count);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += std::exp(logits[i] - top);
  return top + std::log(sum);
}

}  // namespace

Agreement agreement(nn::Backend& exact, nn::Backend& other) {
  const Positions positions = varied_positions(exact.info().input_format);
  const Answers a = evaluate(exact, positions), b = evaluate(other, positions);
  Agreement found{};
  for (int i = 0; i < kPositions; ++i) {
    const std::size_t count = positions.first_move[i + 1] - positions.first_move[i];
    const float *p = &a.policy[positions.first_move[i]], *r = &b.policy[positions.first_move[i]];
    const double p_sum = log_of_sum(p, count), r_sum = log_of_sum(r, count);
    for (std::size_t m = 0; m < count; ++m) found.divergence += std::exp(p[m] - p_sum) * ((p[m] - p_sum) - (r[m] - r_sum)) / kPositions;
    found.q += std::abs(double{a.values[i].q} - b.values[i].q) / kPositions;
    found.best_moves += double(std::max_element(p, p + count) - p == std::max_element(r, r + count) - r) / kPositions;
  }
  return found;
}

}  // namespace cpu
