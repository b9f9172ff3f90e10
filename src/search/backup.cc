#include "search/backup.h"

#include <algorithm>

namespace search {
namespace {

void average_in(Node* node, const Outcome& outcome) {
  ++node->n;
  node->wl += (outcome.wl - node->wl) / node->n;
  node->d += (outcome.d - node->d) / static_cast<float>(node->n);
  node->m += (outcome.m - node->m) / static_cast<float>(node->n);
}

// `node` has become terminal although its visits said otherwise: the ancestors' averages take the difference.
void correct_ancestors(const Node* node, Outcome change) {
  for (Node* ancestor = node->parent; ancestor && !ancestor->is_terminal(); ancestor = ancestor->parent) {
    change.wl = -change.wl;
    const double share = static_cast<double>(node->n) / ancestor->n;
    ancestor->wl += share * change.wl;
    ancestor->d += static_cast<float>(share) * change.d;
    ancestor->m += static_cast<float>(share) * change.m;
  }
}

// Bounds of `parent` from its children's, `visited` being the one that changed. True if they grew tighter.
bool tighten(Node* parent, const Node* visited) {
  int lower = -1, upper = -1;  // for the player to move at `parent`
  int bounded = 0;
  bool tablebase = false;
  float longest = 0;
  for (Children c(parent); c; ++c) {
    ++bounded;
    lower = std::max<int>(lower, c->lower);
    upper = std::max<int>(upper, c->upper);
    longest = std::max(longest, c->m);
    if (c->terminal == Terminal::kTablebase) tablebase = true;
    if (c->is_terminal() && c->lower == 1 && c->terminal != Terminal::kTablebase) {  // a mate: nothing else matters
      tablebase = false;
      bounded = parent->edge_count;
      break;
    }
  }
  if (bounded < parent->edge_count) upper = 1;
  if (-upper == parent->lower && -lower == parent->upper) return false;
  parent->lower = static_cast<std::int8_t>(-upper);
  parent->upper = static_cast<std::int8_t>(-lower);
  if (lower != upper) return true;

  const Outcome before{parent->wl, parent->d, parent->m};
  make_terminal(parent, tablebase ? Terminal::kTablebase : Terminal::kEnd,
                {-static_cast<double>(lower), lower == 0 ? 1.0f : 0.0f, 1 + (lower == -1 ? longest : visited->m)});
  correct_ancestors(parent, {parent->wl - before.wl, parent->d - before.d, parent->m - before.m});
  return true;
}

}  // namespace

void make_terminal(Node* node, Terminal kind, const Outcome& outcome) {
  node->terminal = kind;
  node->wl = outcome.wl;
  node->d = outcome.d;
  node->m = outcome.m;
  if (kind == Terminal::kTwoFold) return;  // a claim for this tree alone
  node->lower = node->upper = static_cast<std::int8_t>(outcome.wl > 0 ? 1 : outcome.wl < 0 ? -1 : 0);
  if (outcome.wl < 0 && node->parent) node->edge().prior = 0;
}

void back_up(Node* leaf, Outcome outcome, bool sticky_endgames) {
  const bool first = leaf->n == 0;
  for (Node* node = leaf; node; node = node->parent) {
    if (node->is_terminal()) outcome = {node->wl, node->d, node->m};
    average_in(node, outcome);
    --node->in_flight;
    outcome = {-outcome.wl, outcome.d, outcome.m + 1};
  }
  if (!sticky_endgames || !first || !leaf->is_terminal() || leaf->terminal == Terminal::kTwoFold) return;
  for (Node* node = leaf; Node* parent = node->parent; node = parent)
    if (!parent->parent || parent->is_terminal() || !tighten(parent, node)) return;
}

void cancel(Node* node, std::uint32_t count) {
  for (; node; node = node->parent) node->in_flight -= count;
}

std::uint32_t revert_two_fold(Node* node) {
  const std::uint32_t count = node->n;
  float m = node->m;
  for (Node* ancestor = node->parent; ancestor; ancestor = ancestor->parent) {
    m += 1;
    const double weight = static_cast<double>(count) / (ancestor->n - count);
    ancestor->wl += weight * ancestor->wl;
    ancestor->d += static_cast<float>(weight) * (ancestor->d - 1);
    ancestor->m += static_cast<float>(weight) * (ancestor->m - m);
    ancestor->n -= count;
  }
  node->n = 0;
  node->wl = 0;
  node->d = node->m = 0;
  node->terminal = Terminal::kNone;
  return count;
}

}  // namespace search
