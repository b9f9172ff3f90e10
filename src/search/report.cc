#include "search/report.h"

#include <algorithm>
#include <cmath>

#include "chess/notation.h"
#include "chess/policy.h"
#include "search/rank.h"

namespace search {
namespace {

// What the display shows for a value of the root's side to move; returns mu.
double transform_for_display(const Shared& shared, double& wl, double& d) {
  const Evaluation& evaluation = shared.evaluation;
  WdlTransform transform = evaluation.transform;
  transform.shift *= evaluation.contempt_sign * static_cast<double>(shared.situation.params.wdl_eval_objectivity);
  return transform.inverse(wl, d);
}

PvInfo::Proof proof_of(Terminal terminal) {
  return terminal == Terminal::kEnd         ? PvInfo::Proof::kEnd
         : terminal == Terminal::kTablebase ? PvInfo::Proof::kTablebase
                                            : PvInfo::Proof::kNone;  // a two-fold draw is a claim
}

PvInfo make_pv(const Shared& shared, const Move& first, Castling castling) {
  const Situation& situation = shared.situation;
  const Node* root = situation.tree->root();
  PvInfo pv;
  const Node* node = first.n() > 0 ? first.node : nullptr;
  pv.wl = node ? node->wl : -root->wl;
  pv.d = node ? node->d : root->d;
  pv.m = node ? node->m : root->m + 1;
  pv.q = pv.wl + static_cast<double>(situation.draw_score.at(0)) * pv.d;
  pv.visits = first.n();
  if (node) pv.proof = proof_of(node->terminal);
  const bool contempt = shared.evaluation.contempt_sign != 0 && situation.params.wdl_rescale_diff != 0;
  if (shared.live.score_type == ScoreType::kWdlMu || contempt) pv.mu = transform_for_display(shared, pv.wl, pv.d);

  chess::Board board = shared.game.last().board;
  Move move = first;
  for (int depth = 1; move.edge; ++depth) {
    pv.moves.push_back(chess::to_uci(board, move.edge->move, castling == Castling::kKingTakesRook));
    if (move.n() == 0 || !move.node->edges) break;
    board = board.after(move.edge->move);
    move = best_move(situation, move.node, depth);
    if (move.n() == 0) break;
  }
  return pv;
}

std::optional<std::int64_t> rate(std::uint64_t count, double ms) {
  if (ms < 1) return std::nullopt;
  return static_cast<std::int64_t>(static_cast<double>(count) * 1000 / ms);
}

// The network's value of a root move's position, seen from the root.
std::optional<double> network_value(const Shared& shared, const chess::History& game, const Node* node, chess::Move move) {
  if (node && node->n > 0 && node->is_terminal()) return node->wl;
  chess::History next = game;
  next.push(move);
  nn::Value value;
  if (!shared.evaluation.cache->find(cache_key(next.last()), 0, &value, nullptr)) return std::nullopt;
  return -static_cast<double>(value.q);
}

const char* flag_of(const Node& node) {
  if (node.lower == node.upper) return "T";
  if (node.lower == 0) return "W";
  if (node.upper == 0) return "L";
  return "";
}

// The last row: the root itself, whose policy is that of its visited moves.
MoveStats root_stats(const Shared& shared, float visited_policy) {
  const Node* root = shared.situation.tree->root();
  const float draw_score = shared.situation.draw_score.at(0);
  MoveStats total;
  total.move = "node";
  total.index = root->edge_count;
  total.visits = root->n;
  total.in_flight = root->in_flight;
  total.p = visited_policy;
  if (root->n > 0) {
    double wl = -root->wl, d = root->d;
    transform_for_display(shared, wl, d);
    total.wl = wl;
    total.d = d;
    total.m = root->m;
    total.q = wl + static_cast<double>(draw_score) * d;
  }
  nn::Value value;
  if (shared.evaluation.cache->find(cache_key(shared.game.last()), 0, &value, nullptr)) total.v = value.q;
  return total;
}

}  // namespace

Update make_update(const Shared& shared, Castling castling) {
  const Situation& situation = shared.situation;
  const Stats& stats = shared.stats;
  const std::chrono::duration<double, std::milli> elapsed = Clock::now() - shared.clock_start;
  Update update;
  update.depth = stats.depth();
  update.seldepth = stats.max_depth;
  update.time_ms = static_cast<std::int64_t>(elapsed.count());
  update.playouts = stats.playouts;
  update.nodes = stats.playouts + situation.initial_visits;
  update.nps = rate(stats.playouts, stats.since_first_batch_ms);
  update.tb_hits = stats.tb_hits;
  update.evaluations = stats.evaluations;
  update.evaluated_batches = stats.evaluated_batches;
  update.cache_hits = stats.cache_hits;
  const Meter::Reading meter = shared.meter.read();
  update.busy_ms = meter.busy_ms;
  update.span_ms = meter.span_ms;
  update.eps = rate(stats.evaluations, stats.since_first_batch_ms);
  auto moves = ranked_moves(situation, situation.tree->root(), 0);
  if (const auto chosen = std::ranges::find(moves, shared.chosen, &Move::edge); chosen != moves.end())
    std::rotate(moves.begin(), chosen, chosen + 1);
  const auto wanted = std::min(moves.size(), static_cast<std::size_t>(shared.live.multipv));
  for (std::size_t i = 0; i < wanted; ++i) update.pvs.push_back(make_pv(shared, moves[i], castling));
  if (shared.limits.infinite && shared.stop && !shared.stop_asked)
    update.messages.push_back("the search has reached its limit and waits for stop");
  return update;
}

std::vector<MoveStats> make_move_stats(const Shared& shared) {
  const Situation& situation = shared.situation;
  const FixedParams& params = situation.params;
  const Node* root = situation.tree->root();
  const float draw_score = situation.draw_score.at(0);
  const float factor = exploration(params, *root, true);
  const MovesLeftUtility moves_left(params, *root, situation.has_moves_left);
  float visited_policy = 0;
  for (Children c(root); c; ++c)
    if (c->n > 0) visited_policy += root->edges[c.index()].p();
  const float fpu = first_play_urgency(params, *root, true, draw_score, visited_policy);

  std::vector<MoveStats> all;
  Children child(root);
  for (int i = 0; i < root->edge_count; ++i) {
    const Node* node = child ? child.get() : nullptr;
    if (child) ++child;
    const Edge& edge = root->edges[i];
    MoveStats stats;
    stats.move = chess::to_uci(shared.game.last().board, edge.move);
    stats.index = chess::policy_index(edge.move, 0);
    stats.p = edge.p();
    stats.q = fpu;
    stats.v = network_value(shared, shared.game, node, edge.move);
    double utility = fpu;
    if (node) {
      stats.visits = node->n;
      stats.in_flight = node->in_flight;
      stats.flag = flag_of(*node);
    }
    if (stats.visits > 0) {
      double wl = node->wl, d = node->d;
      transform_for_display(shared, wl, d);
      stats.wl = wl;
      stats.d = d;
      stats.m = node->m;
      stats.q = wl + static_cast<double>(draw_score) * d;
      const auto q = static_cast<float>(node->q(draw_score));
      utility = q + moves_left(*node, q);
    }
    stats.u = edge.p() * factor / (1 + static_cast<float>(stats.visits + stats.in_flight));
    stats.s = utility + stats.u;
    all.push_back(std::move(stats));
  }
  std::ranges::stable_sort(all, {}, [](const MoveStats& s) { return std::pair(s.visits, s.q + s.u); });

  all.push_back(root_stats(shared, visited_policy));
  return all;
}

}  // namespace search
