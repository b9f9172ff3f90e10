// One search from start to result: its workers, and the supervisor that starts them, keeps the clock and sums up.
#pragma once
#include <thread>

#include "search/search.h"
#include "search/shared.h"
#include "syzygy/root.h"

namespace search {

class Run {
 public:
  struct Setup {
    std::shared_ptr<nn::Evaluator> backend;
    std::shared_ptr<nn::Cache> cache;
    chess::HistoryFill fill;
    float policy_temperature;
    std::shared_ptr<const syzygy::Tables> tables;  // null without any
    chess::History game;
    Params params;
    Limits limits;
  };

  Run(Setup setup, Tree& tree, std::mutex& lock, Pace& pace);
  ~Run() { join(); }

  void begin();  // on threads of its own, but for a short one; once
  void lend();   // instead: whoever asks for the result first does the work

  void join();  // ends the search at once if it still runs
  void stop();
  void set_option(const std::string& name, const ParamValue& value);
  std::optional<Update> wait(double seconds, Castling castling);
  bool running() const;
  Update update(Castling castling) const;
  Result result(Castling castling);
  std::vector<MoveStats> move_stats() const;

 private:
  bool is_short();
  void supervise(bool alone);
  void work();
  void failed(const std::string& why, bool to_begin);  // a worker
  void sum_up();
  void check_current() const;
  Update make_update(Castling castling) const;  // with the lock

  Setup setup_;
  const syzygy::RootMoves table_moves_;
  std::mutex& lock_;
  mutable std::condition_variable changed_;
  Shared shared_;
  std::optional<chess::Move> best_, ponder_;  // once the search has ended
  bool joined_early_ = false, retired_ = false;
  bool is_lent_ = false, is_taken_ = false;
  std::thread supervisor_;  // last: it uses all the rest
};

}  // namespace search
