#include "search/prefetch.h"

#include <algorithm>

namespace search {
namespace {

struct Candidate {
  float score;
  float q;
  float numerator;
  float started;
  int index;
  const Node* node;  // null or unvisited: a leaf
};

using Line = std::vector<chess::Move>;

// Spends the budget below `node`, to which `line` leads, best child first; returns what was used.
int spread(const Situation& situation, const Node* node, Line& line, int budget, std::vector<Line>& wishes) {
  node = node->position();
  if (budget <= 0 || node->n == 0 || node->is_terminal() || !node->edges) return 0;
  const int depth = static_cast<int>(line.size());
  const bool is_root = depth == 0;
  const float draw_score = situation.draw_score.at(depth);
  const float factor = exploration(situation.params, *node, is_root);
  float visited_policy = 0;
  for (Children c(node); c; ++c)
    if (c->n > 0) visited_policy += node->edges[c.index()].p();
  const float fpu = first_play_urgency(situation.params, *node, is_root, draw_score, visited_policy);

  std::vector<Candidate> candidates;
  int unvisited = 0;
  Children child(node);
  for (int i = 0; i < node->edge_count && unvisited <= budget; ++i) {
    const Node* known = child ? child.get() : nullptr;
    if (child) ++child;
    if (node->edges[i].prior == 0 || (is_root && !situation.is_allowed(i))) continue;
    Candidate c{0, fpu, node->edges[i].p() * factor, 0, i, known};
    if (known) {
      c.started = static_cast<float>(known->n + known->in_flight);
      if (known->n > 0) c.q = static_cast<float>(known->q(draw_score));
    }
    c.score = c.q + c.numerator / (1 + c.started);
    candidates.push_back(c);
    unvisited += c.started == 0;
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });

  int used = 0;
  for (std::size_t i = 0; i < candidates.size() && used < budget; ++i) {
    const Candidate& c = candidates[i];
    const int left = budget - used;
    int share = left;
    if (i + 1 < candidates.size() && candidates[i + 1].score > c.q) {
      const float fits = c.numerator / (candidates[i + 1].score - c.q) - c.started;
      share = std::min(left, static_cast<int>(std::clamp(fits, 0.0f, 1e9f)) + 1);
    }
    line.push_back(node->edges[c.index].move);
    if (c.started == 0) {
      wishes.push_back(line);
      ++used;
    } else if (c.node->n > 0) {
      used += spread(situation, c.node, line, share, wishes);
    }
    line.pop_back();
  }
  return used;
}

}  // namespace

std::vector<Line> prefetch_wishes(const Situation& situation, int budget) {
  std::vector<Line> wishes;
  Line line;
  spread(situation, situation.tree->root(), line, budget, wishes);
  return wishes;
}

}  // namespace search
