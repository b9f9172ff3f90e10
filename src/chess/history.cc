#include "chess/history.h"

#include "chess/notation.h"

namespace chess {

namespace {

// docs/spec/networks.md 3.1. Looks back in steps of two plies, never past a capture or pawn move.
void count_repetitions(const std::vector<Position>& earlier, Position& position) {
  if (position.rule50 < 4) return;
  for (int distance = 4; distance <= static_cast<int>(earlier.size()); distance += 2) {
    const Position& old = earlier[earlier.size() - distance];
    if (old.board.ours() == position.board.ours() && old.board == position.board) {  // most differ at a glance
      position.repetitions = old.repetitions + 1;
      position.repetition_distance = distance;
      return;
    }
    if (old.rule50 < 2) return;
  }
}

}  // namespace

History::History(std::string_view fen, bool chess960, std::string* remarks) {
  constexpr int kTypicalPlies = 256;
  positions_.reserve(kTypicalPlies);
  positions_.push_back(parse_fen(fen, chess960, remarks));
}

void History::restart(const Position& start) { positions_.assign(1, start); }

void History::push(Move move) {
  const Position& last = positions_.back();
  Position next{.board = last.board.after(move),
                .rule50 = last.board.is_zeroing(move) ? 0 : last.rule50 + 1,
                .ply = last.ply + 1};
  count_repetitions(positions_, next);
  positions_.push_back(next);
}

void History::pop() { positions_.pop_back(); }

}  // namespace chess
