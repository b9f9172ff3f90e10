#include "syzygy/tables.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <string_view>
#include <utility>

#include "error.h"
#include "process.h"

namespace syzygy {

using chess::Board, chess::Move;

static constexpr std::string_view kLetters = "PNBRQK", kOrder = "KQRBNP";

// The ending of "KRPvKB"; nothing if the text is not a table's name as the generator writes it.
static std::optional<Ending> parse_name(const std::string& name) {
  Ending ending{name, {}};
  const std::size_t middle = name.find('v');
  if (middle == std::string::npos) return {};
  const std::string_view sides[2] = {std::string_view(name).substr(0, middle), std::string_view(name).substr(middle + 1)};
  std::string ranks[2];
  for (int side = 0; side < 2; ++side) {
    for (char letter : sides[side]) {
      const std::size_t type = kLetters.find(letter);
      if (type == std::string_view::npos) return {};
      ++ending.count[side][type];
      ranks[side].push_back(static_cast<char>(kOrder.find(letter)));
    }
    if (!std::is_sorted(ranks[side].begin(), ranks[side].end()) || ending.count[side][chess::kKing] != 1) return {};
  }
  const bool larger_first = sides[0].size() > sides[1].size() || (sides[0].size() == sides[1].size() && ranks[0] <= ranks[1]);
  if (!larger_first || ending.men() < 3 || ending.men() > kMostMen) return {};
  return ending;
}

static bool is_capture(const Board& board, Move move) {
  return board.theirs() & chess::bit(move.to()) ||
         (board.type_at(move.from()) == chess::kPawn && chess::file_of(move.from()) != chess::file_of(move.to()));
}

Tables::Tables(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) look_into(folder);
}

void Tables::look_into(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    const std::string extension = file->path().extension();
    if (extension != ".rtbw" && extension != ".rtbz") continue;
    const std::optional<Ending> ending = parse_name(file->path().stem());
    if (!ending) {
      add_problem("Syzygy file " + file->path().string() + " is not used: its name is not that of an ending");
      continue;
    }
    Entry*& entry = by_material_[ending->material()];
    if (!entry) {
      entries_.push_back(std::make_unique<Entry>());
      entry = by_material_[ending->material()] = entries_.back().get();
      entry->ending = *ending;
      Ending mirrored = *ending;
      std::swap(mirrored.count[0], mirrored.count[1]);
      by_material_[mirrored.material()] = entry;
    }
    const Kind kind = extension == ".rtbw" ? Kind::kWdl : Kind::kDtz;
    std::string& path = entry->files[static_cast<int>(kind)].path;
    if (!path.empty()) continue;
    path = file->path();
    ++counts_[static_cast<int>(kind)];
    if (kind == Kind::kWdl) largest_ = std::max(largest_, ending->men());
  }
  if (error) add_problem("Syzygy folder " + folder + " cannot be read: " + error.message());
}

void Tables::add_problem(const std::string& sentence) const {
  const process::Undivided work;
  const std::lock_guard lock(mutex_);
  problems_.push_back(sentence);
}

std::vector<std::string> Tables::take_problems() const {
  const process::Undivided work;
  const std::lock_guard lock(mutex_);
  return std::exchange(problems_, {});
}

Tables::Entry* Tables::find(const Men& men) const {
  const auto found = by_material_.find(men.material());
  return found == by_material_.end() ? nullptr : found->second;
}

// f(table), or nothing if the file is missing or, perhaps as f finds, damaged.
template <class F>
auto Tables::ask(Entry& entry, Kind kind, F&& f) const -> std::optional<decltype(f(std::declval<const Table&>()))> {
  File& file = entry.files[static_cast<int>(kind)];
  if (file.path.empty()) return {};
  if (!file.is_known.load(std::memory_order_acquire)) {
    const process::Undivided opening;  // forked processes have the same tables
    std::call_once(file.opened, [&] {
      try {
        file.table = std::make_unique<Table>(file.path, entry.ending, kind);
      } catch (const Error& error) {
        file.bad = true;
        add_problem("Syzygy file " + file.path + " is not used: " + error.what());
      }
    });
    file.is_known.store(true, std::memory_order_release);
  }
  if (file.bad.load(std::memory_order_relaxed)) return {};
  try {
    return f(*file.table);
  } catch (const Error& error) {
    if (!file.bad.exchange(true)) add_problem("Syzygy file " + file.path + " is damaged: " + error.what());
    return {};
  }
}

std::optional<int> Tables::stored(const Men& men) const {
  if (men.count() == 2) return 0;
  Entry* const entry = find(men);
  if (!entry) return {};
  return ask(*entry, Kind::kWdl, [&](const Table& table) { return table.wdl(men); });
}

std::optional<Tables::Value> Tables::search_captures(const Board& board) const {
  const Men men(board);
  const std::optional<int> table = stored(men);  // also where a capture decides: a position without its table is unknown
  if (!table) return {};
  chess::MoveList moves;
  board.legal_moves(moves);
  int best = -3, captures = 0;
  bool en_passant = false;
  for (const Move move : moves) {
    if (!is_capture(board, move)) continue;
    ++captures;
    en_passant |= !(board.theirs() & chess::bit(move.to()));
    const std::optional<Value> child = search_captures(board.after(move));
    if (!child) return {};
    best = std::max(best, -child->wdl);
    if (best == 2) return Value{2, true};
  }
  if (en_passant && captures == moves.size()) return Value{best, true};  // the table thought: stalemate or mate
  if (best >= *table) return Value{best, best > 0};
  return Value{*table, false};
}

std::optional<int> Tables::wdl(const Board& board) const {
  if (board.castling() || largest_ == 0 || std::popcount(board.occupied()) > largest_) return {};
  const std::optional<Value> value = search_captures(board);
  if (!value) return {};
  return value->wdl;
}

std::optional<int> Tables::dtz(const Board& board) const {
  if (board.castling() || std::popcount(board.occupied()) > largest_) return {};
  const std::optional<Value> value = search_captures(board);
  if (!value) return {};
  const int w = value->wdl;
  if (w == 0) return 0;
  if (value->zeroing) return before_zeroing(w);
  chess::MoveList moves;
  board.legal_moves(moves);
  const auto is_pawns = [&](Move move) { return board.type_at(move.from()) == chess::kPawn; };
  if (w > 0) {
    for (const Move move : moves) {
      if (!is_pawns(move) || is_capture(board, move)) continue;
      const std::optional<int> child = wdl(board.after(move));
      if (!child) return {};
      if (-*child == w) return before_zeroing(w);
    }
  }
  const Men men(board);
  const std::optional<std::optional<int>> here = ask(*find(men), Kind::kDtz, [&](const Table& table) {
    return table.stores(men) ? std::optional<int>(table.dtz(men, w)) : std::nullopt;
  });
  if (!here) return {};
  if (*here) return *here;

  // It is stored for the other side: a ply of search.
  std::optional<int> best;
  for (const Move move : moves) {
    const Board child = board.after(move);
    int v;
    if (is_capture(board, move) || is_pawns(move)) {
      if (w > 0) continue;  // excluded above
      const std::optional<int> after = wdl(child);
      if (!after) return {};
      v = before_zeroing(-*after);
    } else if (child.in_check() && child.count_legal_moves() == 0) {
      v = 1;
    } else {
      const std::optional<int> after = dtz(child);
      if (!after) return {};
      v = *after > 0 ? -*after - 1 : *after < 0 ? -*after + 1 : 0;
    }
    if ((w > 0) == (v > 0) && v != 0 && (!best || v < *best)) best = v;
  }
  return best.value_or(-1);  // none: mated
}

}  // namespace syzygy

