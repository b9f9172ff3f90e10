#include "search/select.h"

#include <algorithm>

#include "search/backup.h"

namespace search {

void Selector::descend(std::uint32_t budget, Picks& picks) {
  picks.clear();
  picks_ = &picks;
  shares_.clear();
  line_.clear();
  links_.clear();
  visit(situation_.tree->root(), budget, std::numeric_limits<std::uint32_t>::max(), true);
}

// The budget has come to this node. `whole`: it is the descent's whole budget.
void Selector::visit(Node* node, std::uint32_t budget, std::uint32_t limit, bool whole) {
  const int depth = static_cast<int>(line_.size());
  if (node->terminal == Terminal::kTwoFold && node->in_flight == 0 && static_cast<float>(depth) < node->m) {
    const std::uint32_t count = revert_two_fold(node);
    situation_.initial_visits -= std::min(situation_.initial_visits, count);
  }
  Node* position = node->position();
  if (node->is_leaf() || node->is_terminal() || position->is_terminal()) {
    const bool is_new = node->is_leaf();
    if (!is_new || node->in_flight == 0) {
      picks_->take({node, depth, static_cast<std::uint32_t>(picks_->moves.size()), 1, 0, false, is_new, 0, 0}, links_);
      picks_->moves.insert(picks_->moves.end(), line_.begin(), line_.end());
      ++node->in_flight;
      --budget;
      whole = false;
    }
    if (budget == 0) return;
    picks_->take({node, depth, 0, budget, whole ? limit : 0, true, false, 0, 0}, links_);
    return;
  }
  node->in_flight += budget;
  bool is_side_entry = false;
  if (node->is_link) {
    position->in_flight += budget;
    is_side_entry = position->parent != node;
    if (is_side_entry) links_.push_back(node);
  }
  const std::size_t begin = shares_.size();
  divide(position, depth, budget, limit);
  const std::size_t end = shares_.size();
  for (std::size_t i = begin; i < end; ++i) {  // what the descent will read of all of them is on the way before the first
    shares_[i].child = situation_.tree->child(position, shares_[i].index);
    __builtin_prefetch(shares_[i].child->edges);
    __builtin_prefetch(shares_[i].child->children);
  }
  for (std::size_t i = begin; i < end; ++i) {
    const Share share = shares_[i];
    line_.push_back(node->edges[share.index].move);
    visit(share.child, share.visits, share.limit, whole && share.visits == budget);
    line_.pop_back();
  }
  shares_.resize(begin);
  if (is_side_entry) links_.pop_back();
}

// Root moves that cannot become best any more are not worth a visit.
bool Selector::skips(const Node& root, int index, std::uint32_t n) const {
  if (!situation_.is_allowed(index)) return true;
  const Node* best = situation_.best;
  if (!best || best->parent != &root || best->index == index) return false;
  return situation_.remaining_playouts < static_cast<std::int64_t>(best->n) - static_cast<std::int64_t>(n);
}

// The players' trade-off, docs/spec/engine.md 4.4: best and second best among the candidates, visits for the best until it would fall
// behind. Beyond node->started every edge is unvisited with a falling prior, so the first two of those stand for all.
void Selector::divide(Node* node, int depth, std::uint32_t budget, std::uint32_t limit) {
  const FixedParams& params = situation_.params;
  const bool is_root = depth == 0;
  const float draw_score = situation_.draw_score.at(depth);
  const float factor = exploration(params, *node, is_root);
  const MovesLeftUtility moves_left(params, *node, situation_.has_moves_left);

  resize_candidates(node->edge_count);
  std::size_t count = 0;
  const auto add = [&](int index, float utility, float started) {
    indices_[count] = index;
    utility_[count] = utility;
    numerator_[count] = node->edges[index].p() * factor;
    started_[count] = started;
    given_[count] = first_limit_[count] = 0;
    ++count;
  };
  constexpr float kUnvisited = std::numeric_limits<float>::infinity();  // until the FPU is known
  float visited_policy = 0;
  for (Children c(node); c && c.index() < node->started; ++c) {
    if (c->n > 0) visited_policy += node->edges[c.index()].p();
    if (is_root && skips(*node, c.index(), c->n)) continue;
    const float q = static_cast<float>(c->q(draw_score));
    add(c.index(), c->n > 0 ? q + moves_left(*c, q) : kUnvisited, static_cast<float>(c->n + c->in_flight));
  }
  const float fpu = first_play_urgency(params, *node, is_root, draw_score, visited_policy);
  for (std::size_t i = 0; i < count; ++i)
    if (utility_[i] == kUnvisited) utility_[i] = fpu;
  int next = node->started;
  const auto add_untouched = [&] {
    while (next < node->edge_count && is_root && skips(*node, next, 0)) ++next;
    if (next < node->edge_count) add(next++, fpu, 0);
  };
  add_untouched();
  add_untouched();
  for (std::size_t i = 0; i < count; ++i) score_[i] = utility_[i] + numerator_[i] / (1 + started_[i]);

  while (budget > 0) {
    std::size_t best = 0;
    float best_score = score_[0], second = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 1; i < count; ++i) {
      if (score_[i] > best_score) {
        second = best_score;
        best_score = score_[i];
        best = i;
      } else {
        second = std::max(second, score_[i]);
      }
    }
    float fits = 1e9f;
    if (count > 1 && utility_[best] < second)
      fits = std::clamp(numerator_[best] / (second - utility_[best]) - (started_[best] + 1) + 1, 1.0f, 1e9f);
    const auto most = static_cast<std::uint32_t>(fits);
    const std::uint32_t visits = std::min(budget, most);
    const bool first = given_[best] == 0;
    if (first) first_limit_[best] = std::min(limit, most);
    given_[best] += visits;
    budget -= visits;
    if (budget == 0) break;
    if (first && indices_[best] >= node->started) {
      const std::size_t before = count;
      add_untouched();
      if (count > before) score_[before] = fpu + numerator_[before];
    }
    started_[best] += static_cast<float>(visits);
    score_[best] = utility_[best] + numerator_[best] / (1 + started_[best]);
  }

  for (std::size_t i = 0; i < count; ++i) {
    if (given_[i] == 0) continue;
    shares_.push_back({indices_[i], nullptr, given_[i], first_limit_[i]});
    node->started = std::max(node->started, static_cast<std::uint16_t>(indices_[i] + 1));
  }
}

void Selector::resize_candidates(std::size_t most) {
  if (indices_.size() >= most) return;
  indices_.resize(most);
  for (std::vector<float>* values : {&utility_, &numerator_, &started_, &score_}) values->resize(most);
  given_.resize(most);
  first_limit_.resize(most);
}

}  // namespace search
