#include "syzygy/root.h"

#include <bit>
#include <cstdlib>
#include <optional>

namespace syzygy {

using chess::History, chess::Move, chess::MoveList, chess::Position;

namespace {

bool mated(const chess::Board& board) { return board.in_check() && board.count_legal_moves() == 0; }
bool drawn(const Position& position) { return position.rule50 >= 100 || position.repetitions >= 2; }

// Whether a position has occurred twice since the last capture or pawn move.
bool repeated(const History& history) {
  const int first = history.size() - 1 - history.last().rule50;
  for (int i = history.size() - 1; i >= 0 && i >= first; --i)
    if (history[i].repetitions > 0) return true;
  return false;
}

// Plies after the move to the next capture or pawn move, counted from the root: the move itself counts.
std::optional<int> distance(const Tables& tables, const History& after, bool zeroing) {
  const Position& child = after.last();
  if (mated(child.board)) return 1;
  if (zeroing) {
    const std::optional<int> wdl = tables.wdl(child.board);
    if (!wdl) return {};
    return before_zeroing(-*wdl);
  }
  if (drawn(child)) return 0;
  const std::optional<int> dtz = tables.dtz(child.board);
  if (!dtz) return {};
  return *dtz == 0 ? 0 : -*dtz + (*dtz < 0 ? 1 : -1);
}

int rank_of_distance(int distance, int rule50, bool strict) {
  if (distance > 0) return distance + rule50 <= 99 && !strict ? 1000 : 1000 - (distance + rule50);
  if (distance < 0) return -2 * distance + rule50 < 100 ? -1000 : -1000 + (-distance + rule50);
  return 0;
}

std::optional<int> rank_by_wdl(const Tables& tables, const History& after) {
  const Position& child = after.last();
  if (mated(child.board)) return 1000;
  if (drawn(child)) return 0;
  const std::optional<int> wdl = tables.wdl(child.board);
  constexpr int kRanks[5] = {1000, 899, 0, -899, -1000};  // by the child's -2 to 2
  if (!wdl) return {};
  return kRanks[*wdl + 2];
}

// rank(history after the move, move) for every move; empty if one has none.
template <class Rank>
RootMoves top(const History& root, bool by_distance, Rank&& rank) {
  MoveList moves;
  root.last().board.legal_moves(moves);
  RootMoves found{{}, by_distance, -10000};
  History history = root;
  for (const Move move : moves) {
    history.push(move);
    const std::optional<int> r = rank(history, move);
    history.pop();
    if (!r) return {};
    if (*r > found.rank) found.rank = *r, found.best.clear();
    if (*r == found.rank) found.best.push_back(move);
  }
  return found;
}

}  // namespace

RootMoves rank_root(const Tables& tables, const History& history, bool fast) {
  const Position& root = history.last();
  if (root.board.castling() || std::popcount(root.board.occupied()) > tables.largest()) return {};
  const bool strict = fast || repeated(history);
  const RootMoves exact = top(history, true, [&](const History& after, Move move) -> std::optional<int> {
    const std::optional<int> d = distance(tables, after, root.board.is_zeroing(move));
    if (!d) return {};
    return rank_of_distance(*d, root.rule50, strict);
  });
  if (!exact.best.empty()) return exact;
  return top(history, false, [&](const History& after, Move) { return rank_by_wdl(tables, after); });
}

}  // namespace syzygy
