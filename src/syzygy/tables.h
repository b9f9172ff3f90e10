// All Syzygy tables of some folders, and what they say of a position. Any number of threads at once; a file is mapped at its first use, and
// one that turns out to be damaged is named once and then counts as missing. docs/spec/syzygy.md 10 to 12.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "chess/board.h"
#include "syzygy/table.h"

namespace syzygy {

// The distance before a capture or pawn move that leads to this result.
inline int before_zeroing(int wdl) { return wdl == 2 ? 1 : wdl == 1 ? 101 : wdl == 0 ? 0 : wdl == -1 ? -101 : -1; }

class Tables {
 public:
  // folders: of two files of the same name the first counts.
  explicit Tables(const std::vector<std::string>& folders);

  int largest() const { return largest_; }  // men of the largest ending with a WDL file, 0 without any
  int count(Kind kind) const { return counts_[static_cast<int>(kind)]; }
  // A sentence for each folder or file that cannot be used, each given once.
  std::vector<std::string> take_problems() const;

  // For the side to move with a new 50-move count: 2 win, 1 win that the 50-move rule makes a draw, 0, -1, -2. Nothing if castling is
  // possible or a table is missing.
  std::optional<int> wdl(const chess::Board& board) const;
  // Plies to the next capture or pawn move, or to mate, with best play; beyond 100 where wdl is 1 or -1; signed as wdl, -1 also for a mated
  // side. Nothing as above.
  std::optional<int> dtz(const chess::Board& board) const;

 private:
  struct File {
    std::string path;  // empty: there is none
    std::atomic<bool> is_known = false;  // whether it can be read
    std::once_flag opened;
    std::unique_ptr<const Table> table;
    std::atomic<bool> bad = false;
  };
  struct Entry {
    Ending ending;
    File files[2];  // by Kind
  };
  struct Value {
    int wdl;
    bool zeroing;  // attained by a capture, or there is nothing else
  };

  void look_into(const std::string& folder);
  void add_problem(const std::string& sentence) const;
  Entry* find(const Men& men) const;
  template <class F>
  auto ask(Entry& entry, Kind kind, F&& f) const -> std::optional<decltype(f(std::declval<const Table&>()))>;
  std::optional<int> stored(const Men& men) const;
  std::optional<Value> search_captures(const chess::Board& board) const;

  std::vector<std::unique_ptr<Entry>> entries_;
  std::unordered_map<std::uint64_t, Entry*> by_material_;  // both colours
  int largest_ = 0, counts_[2] = {};
  mutable std::mutex mutex_;
  mutable std::vector<std::string> problems_;
};

}  // namespace syzygy
