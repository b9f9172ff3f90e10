#include "search/batch.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "chess/policy.h"
#include "error.h"
#include "nn/softmax.h"

namespace search {

chess::History& Path::to(std::span<const chess::Move> line) {
  const auto [ours, theirs] = std::ranges::mismatch(line_, line);
  for (auto i = ours; i != line_.end(); ++i) history_.pop();
  for (auto i = theirs; i != line.end(); ++i) history_.push(*i);
  line_.assign(line.begin(), line.end());
  return history_;
}

namespace {

std::uint64_t key_of(const chess::Position& position, int count) {
  const std::uint64_t mixed = position.board.hash() ^ static_cast<std::uint64_t>(count) * 0x9e3779b97f4a7c15u;
  return mixed * 0xbf58476d1ce4e5b9u ^ mixed >> 29;
}

}  // namespace

// The network sees more than this, but positions that differ in history alone are worth the same to the search.
std::uint64_t cache_key(const chess::Position& position) { return key_of(position, position.repetitions); }

GraphKey::GraphKey(const chess::History& game) {
  for (int i = std::max(0, game.size() - 1 - game.last().rule50); i < game.size(); ++i)
    if (game[i].repetitions == 1) repeated_ ^= cache_key(game[i]);
}

std::uint64_t GraphKey::of(const chess::Position& position, int depth) const {
  return key_of(position, position.rule50) ^ (position.rule50 < depth ? 0 : repeated_);
}

void Batch::clear() {
  leaves_.clear();
  edges_.clear();
  queue_.clear();
  moves_.clear();
  first_move_.assign(1, 0);
}

void Batch::add(const Pick& pick, std::span<const chess::Move> line, std::span<Node* const> links) {
  Leaf& leaf = leaves_.emplace_back();
  leaf.node = pick.node;
  leaf.links.assign(links.begin(), links.end());
  leaf.depth = pick.depth;
  if (!pick.is_new) leaf.state = Leaf::State::kRevisit;
  if (!pick.is_new && !evaluation_.graph) return;
  const chess::History& history = path_.to(line);
  if (evaluation_.graph) leaf.repetition = first_repetition(history, leaf.depth);
  if (!pick.is_new) return;
  leaf.key = cache_key(history.last());
  evaluation_.cache->prefetch(leaf.key);
  chess::MoveList moves;
  history.last().board.legal_moves(moves);
  if (is_terminal(history, moves, leaf)) {
    leaf.state = Leaf::State::kTerminal;
    return;
  }
  if (leaf.repetition.height == 0) {  // other ways to it may lead on: the node stays a leaf
    leaf.state = Leaf::State::kRepetition;
    return;
  }
  if (evaluation_.graph) leaf.graph_key = graph_key_.of(history.last(), leaf.depth);
  leaf.first_edge = edges_.size();
  leaf.edge_count = moves.size();
  for (const chess::Move move : moves) edges_.push_back({move, 0});
  if (!look_up(leaf)) enqueue(history, moves, leaves_.size() - 1);
}

void Batch::prefetch(std::span<const chess::Move> line) {
  const chess::History& history = path_.to(line);
  Leaf leaf;
  chess::MoveList moves;
  history.last().board.legal_moves(moves);
  leaf.key = cache_key(history.last());
  leaf.edge_count = moves.size();
  nn::Value value;
  if (!moves.empty() && !evaluation_.cache->find(leaf.key, 0, &value, nullptr)) {
    leaves_.push_back(leaf);
    enqueue(history, moves, leaves_.size() - 1);
  }
}

bool Batch::is_terminal(const chess::History& history, const chess::MoveList& moves, Leaf& leaf) const {
  const chess::Position& position = history.last();
  const auto end = [&](Terminal kind, double wl, float m) {
    leaf.kind = kind;
    leaf.outcome = {wl, wl == 0 ? 1.0f : 0.0f, m};
    return true;
  };
  if (moves.empty()) return end(Terminal::kEnd, position.board.in_check() ? 1 : 0, 0);
  if (leaf.depth == 0) return false;
  if (position.board.insufficient_material() || position.rule50 >= 100) return end(Terminal::kEnd, 0, 0);
  if (!evaluation_.graph)
    if (const auto m = repetition(position, leaf.depth)) return end(position.repetitions >= 2 ? Terminal::kEnd : Terminal::kTwoFold, 0, *m);
  if (!evaluation_.tables || position.rule50 != 0) return false;  // a table is for a 50-move count that begins
  const std::optional<int> wdl = evaluation_.tables->wdl(position.board);
  if (!wdl) return false;
  // The side to move's, and a node's value is the other's. Its plies left are known when it is finished.
  return end(Terminal::kTablebase, *wdl == 2 ? -1 : *wdl == -2 ? 1 : 0, 0);
}

// Nothing, or the plies left of a draw: the third occurrence, or the second one inside the search.
std::optional<float> Batch::repetition(const chess::Position& position, int depth) const {
  if (position.repetitions >= 2) return 0.0f;
  const bool two_fold = evaluation_.two_fold_draws && position.repetitions == 1 && depth >= 4 && depth >= position.repetition_distance;
  if (!two_fold) return std::nullopt;
  return static_cast<float>(position.repetition_distance);
}

// Nearest to the root.
Repetition Batch::first_repetition(const chess::History& history, int depth) const {
  for (int height = depth - 1; height >= 0; --height)
    if (const auto m = repetition(history[history.size() - 1 - height], depth - height)) return {height, *m};
  return {};
}

bool Batch::look_up(Leaf& leaf) {
  nn::Value value;
  std::array<std::uint16_t, chess::MoveList::kCapacity> priors;
  if (!evaluation_.cache->find(leaf.key, leaf.edge_count, &value, priors.data())) return false;
  leaf.is_cached = true;
  accept(leaf, value, priors.data());
  return true;
}

void Batch::enqueue(const chess::History& history, const chess::MoveList& moves, std::size_t leaf) {
  const chess::InputFormat format = evaluation_.info.input_format;
  const int transform = chess::canonical_transform(history.last(), format);
  for (const chess::Move move : moves) moves_.push_back(chess::policy_index(move, transform));
  first_move_.push_back(static_cast<std::uint32_t>(moves_.size()));
  if (planes_.size() <= queue_.size()) planes_.resize(queue_.size() + 1);
  planes_[queue_.size()] = chess::encode(history, format, evaluation_.fill);
  queue_.push_back(leaf);
}

void Batch::evaluate(nn::Evaluator::Lease& session) {
  policy_.resize(moves_.size());
  priors_.resize(moves_.size());
  values_.resize(queue_.size());
  keys_.resize(queue_.size());
  session.evaluate({.size = queued(),
                    .planes = planes_.data(),
                    .moves = moves_.data(),
                    .first_move = first_move_.data(),
                    .policy = policy_.data(),
                    .values = values_.data()});
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    Leaf& leaf = leaves_[queue_[i]];
    float* policy = policy_.data() + first_move_[i];
    const nn::Value& value = values_[i];
    const float sum = nn::softmax(policy, leaf.edge_count, evaluation_.policy_temperature);
    if (!std::isfinite(sum + value.q + value.d + value.m))
      throw Error("the back end gave values that are no numbers; try another one, or one with more precision");
    std::uint16_t* priors = priors_.data() + first_move_[i];
    std::transform(policy, policy + leaf.edge_count, priors, nn::pack_prior);
    keys_[i] = leaf.key;
    if (leaf.node) accept(leaf, value, priors);
  }
  evaluation_.cache->insert(keys_, values_.data(), first_move_.data(), priors_.data());
}

// From the network's answer to the node's.
void Batch::accept(Leaf& leaf, const nn::Value& value, const std::uint16_t* priors) {
  leaf.state = Leaf::State::kEvaluated;
  double wl = value.q, d = value.d;
  if (evaluation_.rescale) {
    WdlTransform transform = evaluation_.transform;
    transform.shift *= leaf.depth % 2 == 0 ? evaluation_.contempt_sign : -evaluation_.contempt_sign;
    transform.forward(wl, d);
  }
  leaf.outcome = {-wl, static_cast<float>(d), value.m};
  Edge* edges = edges_.data() + leaf.first_edge;
  for (int i = 0; i < leaf.edge_count; ++i) edges[i].prior = priors[i];
  if (leaf.depth == 0 && evaluation_.noise_epsilon > 0) add_noise(leaf);
  std::sort(edges, edges + leaf.edge_count, [](const Edge& a, const Edge& b) { return a.prior > b.prior; });
}

void Batch::add_noise(Leaf& leaf) {
  Edge* edges = edges_.data() + leaf.first_edge;
  std::gamma_distribution<float> gamma(evaluation_.noise_alpha, 1);
  std::vector<float> noise(static_cast<std::size_t>(leaf.edge_count));
  float sum = 0;
  for (float& eta : noise) sum += eta = gamma(random_);
  if (!(sum >= std::numeric_limits<float>::min())) return;
  const float share = evaluation_.noise_epsilon;
  for (std::size_t i = 0; i < noise.size(); ++i)
    edges[i].prior = nn::pack_prior((1 - share) * edges[i].p() + share * noise[i] / sum);
}

}  // namespace search
