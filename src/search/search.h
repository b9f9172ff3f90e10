// The search as its user sees it: a tree that lives from move to move, an evaluation cache, and one search at a time on threads of
// its own. Methods may be called from any thread and throw Error.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chess/history.h"
#include "nn/cache.h"
#include "nn/evaluator.h"
#include "process.h"
#include "search/params.h"
#include "search/results.h"
#include "syzygy/tables.h"

namespace search {

class Run;
class Tree;

class Search {
 public:
  Search();
  ~Search();  // ends a running search without a result

  // These four end a running search without a result.
  void set_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature,
                   std::size_t cache_size);
  // With a cache that many searches share: theirs is the same back end, fill and temperature. It is not to be cleared with the tree.
  void set_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature,
                   std::shared_ptr<nn::Cache> cache);
  void set_tables(std::shared_ptr<const syzygy::Tables> tables);  // null for none
  void clear(bool keep_cache = false);
  // True if the game went on, and with it the tree; keep: whether it may.
  bool set_position(const std::string& fen, const std::vector<std::string>& moves, bool keep = true);

  // Ends a running search first. lend: no threads are started, and whoever asks for the result first does the work, looking at the clock
  // between batches: a hundred visits take less time than to start threads.
  void start(const Params& params, const Limits& limits, bool lend = false);
  void stop();
  void set_option(const std::string& name, const ParamValue& value);
  std::optional<Update> wait(double seconds, Castling castling);  // for news; nothing after this time or at the end
  bool running() const;
  Update update(Castling castling) const;
  Result result(Castling castling) const;  // blocks until the end
  std::vector<MoveStats> move_stats() const;
  std::uint32_t root_visits() const;

  std::string save() const;              // the tree, as saved.h has it; also while it grows
  void load(const std::string& bytes);   // one that was saved at this position; ends a running search

 private:
  std::shared_ptr<Run> latest() const;  // null if there was none
  std::shared_ptr<Run> run() const;     // throws then
  void end_run();
  void take_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature);

  const process::Home home_;
  mutable std::mutex control_;  // one caller at a time changes what follows; taken before the tree lock
  std::shared_ptr<nn::Evaluator> backend_;
  chess::HistoryFill fill_ = chess::HistoryFill::kFenOnly;
  float policy_temperature_ = 1;
  std::shared_ptr<nn::Cache> cache_;
  std::optional<std::size_t> cache_size_;  // that was asked for; none: the cache is of many
  double pace_ = 0;             // see search::Pace
  std::shared_ptr<const syzygy::Tables> tables_;
  std::optional<chess::History> game_;
  std::vector<chess::Move> moves_;  // since the start of the game

  mutable std::mutex lock_;  // the tree lock
  std::unique_ptr<Tree> tree_;
  std::shared_ptr<Run> run_;
};

}  // namespace search
