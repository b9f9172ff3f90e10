#include "search/rank.h"

#include <algorithm>
#include <cmath>

namespace search {
namespace {

int result_class(const Node* node) {
  if (!node || node->n == 0 || !node->is_terminal() || node->wl == 0) return 0;
  const int size = node->terminal == Terminal::kTablebase ? 1 : 2;
  return node->wl > 0 ? size : -size;
}

bool is_terminal_draw(const Node* node) { return node && node->n > 0 && node->is_terminal() && node->wl == 0; }

bool is_better(const Move& a, const Move& b, float draw_score) {
  const int class_a = result_class(a.node), class_b = result_class(b.node);
  if (class_a != class_b) return class_a > class_b;
  if (class_a > 0) return a.node->m < b.node->m;
  if (class_a < 0) return a.node->m > b.node->m;
  if (is_terminal_draw(a.node) && is_terminal_draw(b.node)) {
    const bool tablebase_a = a.node->terminal == Terminal::kTablebase, tablebase_b = b.node->terminal == Terminal::kTablebase;
    if (tablebase_a != tablebase_b) return tablebase_b;
    return a.node->m < b.node->m;
  }
  if (a.n() != b.n()) return a.n() > b.n();
  const double q_a = a.n() ? a.node->q(draw_score) : 0, q_b = b.n() ? b.node->q(draw_score) : 0;
  if (q_a != q_b) return q_a > q_b;
  return a.edge->prior > b.edge->prior;
}

template <class Visit>
void for_each_move(const Situation& situation, const Node* node, int depth, Visit visit) {
  Children child(node);
  for (int i = 0; i < node->edge_count; ++i) {
    const Node* known = child ? child.get() : nullptr;
    if (child) ++child;
    if (depth > 0 || situation.is_allowed(i)) visit(Move{&node->edges[i], known, i});
  }
}

}  // namespace

std::vector<Move> ranked_moves(const Situation& situation, const Node* node, int depth) {
  std::vector<Move> moves;
  for_each_move(situation, node, depth, [&](const Move& move) { moves.push_back(move); });
  const float draw_score = situation.draw_score.at(depth);
  std::stable_sort(moves.begin(), moves.end(), [&](const Move& a, const Move& b) { return is_better(a, b, draw_score); });
  return moves;
}

Move best_move(const Situation& situation, const Node* node, int depth) {
  Move best;
  const float draw_score = situation.draw_score.at(depth);
  for_each_move(situation, node, depth, [&](const Move& move) {
    if (!best.edge || is_better(move, best, draw_score)) best = move;
  });
  return best;
}

float temperature_at(const LiveParams& params, int ply) {
  const int moves = ply / 2;
  if (params.temp_cutoff_move != 0 && moves + 1 >= params.temp_cutoff_move) return params.temp_endgame;
  float temperature = params.temperature;
  if (temperature > 0 && params.temp_decay_moves > 0) {
    const int end = params.temp_decay_delay_moves + params.temp_decay_moves;
    if (moves >= end) {
      temperature = 0;
    } else if (moves >= params.temp_decay_delay_moves) {
      temperature *= static_cast<float>(end - moves) / static_cast<float>(params.temp_decay_moves);
    }
    temperature = std::max(temperature, params.temp_endgame);
  }
  return temperature;
}

Move draw_move(const Situation& situation, const LiveParams& params, const std::vector<Move>& moves, float temperature,
               std::mt19937_64& random) {
  const float draw_score = situation.draw_score.at(0);
  const Node& root = *situation.tree->root();
  float visited_policy = 0;
  for (const Move& move : moves)
    if (move.n() > 0) visited_policy += move.edge->p();
  const double fpu = first_play_urgency(situation.params, root, true, draw_score, visited_policy);
  const auto q = [&](const Move& move) { return move.n() ? move.node->q(draw_score) : fpu; };

  double most = 0, q_of_most = -1;
  for (const Move& move : moves) {
    const double n = move.n() + static_cast<double>(params.temp_visit_offset);
    if (n > most) {
      most = n;
      q_of_most = q(move);
    }
  }
  std::vector<double> weights;
  for (const Move& move : moves) {
    const double n = move.n() + static_cast<double>(params.temp_visit_offset);
    const double share = most > 0 ? std::max(0.0, n / most) : move.edge->p();
    weights.push_back(q(move) < q_of_most - params.temp_value_cutoff / 50 ? 0 : std::pow(share, 1.0 / temperature));
  }
  if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) return moves.front();
  return moves[std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(random)];
}

}  // namespace search
