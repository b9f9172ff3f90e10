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

// A link takes over what is known of its position. Returns by how much its value changes.
Outcome catch_up(Node* link) {
  const Node& position = *link->children;
  const Outcome change{position.wl - link->wl, position.d - link->d, position.m - link->m};
  link->wl = position.wl;
  link->d = position.d;
  link->m = position.m;
  link->lower = position.lower;
  link->upper = position.upper;
  if (position.is_terminal()) make_terminal(link, position.terminal, {position.wl, position.d, position.m});
  return change;
}

// `node` has become terminal although its visits said otherwise: the ancestors' averages take the difference.
void correct_ancestors(const Node* node, Ascent way, Outcome change) {
  double n = node->n;
  Node* ancestor = way.above(node);
  for (; ancestor && !ancestor->is_terminal(); node = ancestor, ancestor = way.above(node)) {
    if (ancestor->is_link && ancestor->children == node) {
      change = catch_up(ancestor);
      n = ancestor->n;
      continue;
    }
    change.wl = -change.wl;
    const double share = n / ancestor->n;
    ancestor->wl += share * change.wl;
    ancestor->d += static_cast<float>(share) * change.d;
    ancestor->m += static_cast<float>(share) * change.m;
  }
}

// Bounds of `parent` from its children's, `visited` being the one that changed. True if they grew tighter.
bool tighten(Node* parent, Ascent way, const Node* visited) {
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
  correct_ancestors(parent, way, {parent->wl - before.wl, parent->d - before.d, parent->m - before.m});
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
  if (outcome.wl < 0 && node->parent && !node->is_shared) node->edge().prior = 0;
}

void back_up(Node* leaf, Ascent way, Outcome outcome, const Repetition& repetition, bool sticky_endgames) {
  const bool was_open = leaf->n == 0 || !leaf->is_terminal();
  int height = 0;
  Ascent up = way;
  for (Node* node = leaf; node; node = up.above(node)) {
    --node->in_flight;
    bool is_counted = false;  // in its values
    if (height == repetition.height && !node->is_shared) {
      outcome = {0, 1, repetition.m};
      is_counted = node->is_terminal();  // it stays what it is on other ways
    } else if (node->is_terminal()) {
      outcome = {node->wl, node->d, node->m};
    } else if (node->is_link) {
      const double n = node->n;
      const Outcome change = catch_up(node);
      // In float: Clang 16.0 ends with an internal error where two doubles are converted here.
      outcome = {node->wl + n * change.wl, node->d + static_cast<float>(n) * change.d, node->m + static_cast<float>(n) * change.m};
      is_counted = true;
    }
    if (is_counted) ++node->n;
    else average_in(node, outcome);
    if (node->is_shared) continue;  // its link is the same position
    outcome = {-outcome.wl, outcome.d, outcome.m + 1};
    ++height;
  }
  if (!sticky_endgames || !was_open || !leaf->is_terminal() || leaf->terminal == Terminal::kTwoFold || repetition.height >= 0) return;
  for (Node* node = leaf; Node* above = way.above(node); node = above) {
    if (node->is_shared) {
      if (!above->is_terminal()) catch_up(above);
    } else if (way.is_root(above) || above->is_terminal() || !tighten(above, way, node)) {
      return;
    }
  }
}

void cancel(Node* node, Ascent way, std::uint32_t count) {
  for (; node; node = way.above(node)) node->in_flight -= count;
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
