#include "search/run.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "chess/notation.h"
#include "error.h"
#include "search/fresh_random.h"
#include "search/rank.h"
#include "search/report.h"
#include "search/worker.h"

namespace search {
namespace {

constexpr double kLongestNapMs = 100, kShortMs = 3;

Evaluation make_evaluation(const Run::Setup& setup, const syzygy::RootMoves& table_moves) {
  const Params& params = setup.params;
  Evaluation evaluation;
  evaluation.info = setup.backend->info();
  evaluation.cache = setup.cache.get();
  evaluation.fill = setup.fill;
  evaluation.policy_temperature = setup.policy_temperature;
  evaluation.two_fold_draws = params.two_fold_draws;
  evaluation.graph = params.graph != Graph::kOff;
  evaluation.noise_epsilon = params.noise_epsilon;
  evaluation.noise_alpha = params.noise_alpha;
  evaluation.transform = {params.wdl_rescale_ratio, params.wdl_rescale_diff, params.wdl_max_s};
  evaluation.contempt_sign = params.contempt_sign;
  if (!table_moves.by_distance) evaluation.tables = setup.tables.get();
  evaluation.rescale = params.wdl_rescale_ratio != 1 || (params.wdl_rescale_diff != 0 && params.contempt_sign != 0);
  return evaluation;
}

chess::MoveList root_moves(const chess::History& game) {
  chess::MoveList moves;
  game.last().board.legal_moves(moves);
  return moves;
}

// What the tables leave of the root's moves, unless the user has said which to search.
syzygy::RootMoves table_moves(const Run::Setup& setup) {
  if (!setup.tables || !setup.limits.searchmoves.empty()) return {};
  return rank_root(*setup.tables, setup.game, setup.params.syzygy_fast_play);
}

std::vector<chess::Move> allowed_moves(const Run::Setup& setup, const syzygy::RootMoves& table_moves) {
  std::vector<chess::Move> moves = table_moves.best;
  for (const std::string& text : setup.limits.searchmoves) {
    try {
      moves.push_back(chess::parse_move(setup.game.last().board, text));
    } catch (const Error&) {
      // Illegal ones are dropped.
    }
  }
  if (!setup.limits.searchmoves.empty() && moves.empty()) throw Error("none of the searchmoves is legal here");
  return moves;
}

Situation make_situation(const Run::Setup& setup, const syzygy::RootMoves& table_moves, Tree& tree) {
  const bool black = setup.game.last().board.black_to_move();
  Situation situation{.params = setup.params,
                      .tree = &tree,
                      .draw_score = {black ? -setup.params.draw_score : setup.params.draw_score},
                      .has_moves_left = setup.backend->info().moves_left,
                      .allowed_moves = allowed_moves(setup, table_moves),
                      .initial_visits = tree.root()->n};
  situation.apply_root_filter();
  return situation;
}

}  // namespace

Run::Run(Setup setup, Tree& tree, std::mutex& lock, Pace& pace)
    : setup_(std::move(setup)), table_moves_(table_moves(setup_)), lock_(lock),
      shared_(lock, changed_, setup_.game, make_situation(setup_, table_moves_, tree), setup_.params, setup_.limits,
              make_evaluation(setup_, table_moves_), pace) {
  shared_.stats.tb_hits = !table_moves_.best.empty();
}

void Run::begin() {
  if (is_short()) supervise(true);
  else supervisor_ = std::thread([this] { supervise(false); });
}

void Run::lend() { is_lent_ = true; }

// There is time for a few positions only: to wake another thread may take longer than the answer.
bool Run::is_short() {
  const std::lock_guard lock(lock_);
  return !setup_.limits.infinite && (shared_.time_left_ms() < kShortMs || shared_.positions_in_time() < 2);
}

// alone: without threads, in that of the caller.
void Run::supervise(bool alone) {
  std::vector<std::thread> workers;
  const int wanted = shared_.workers;
  const bool has_moves = !root_moves(setup_.game).empty();
  {
    const std::lock_guard lock(lock_);
    shared_.check_limits();  // the tree may know enough already; then an answer costs no time
    if (shared_.positions_in_time() < 0.5) shared_.end(StopReason::kTime);
  }
  if (alone && has_moves && !shared_.stop) work();
  try {
    for (int i = 0; has_moves && !shared_.stop && i < wanted; ++i) workers.emplace_back([this] { work(); });
  } catch (const std::exception& exception) {
    shared_.workers -= wanted - static_cast<int>(workers.size()) - 1;
    failed("a search thread could not be started: " + sentence(exception), true);
  }
  {
    std::unique_lock lock(lock_);
    if (!has_moves) shared_.abort(StopReason::kNone);
    while (!shared_.stop) {
      shared_.check_limits();
      if (shared_.stop) break;
      const double nap = std::clamp(shared_.stoppers.remaining_ms(), 1.0, kLongestNapMs);
      changed_.wait_for(lock, std::chrono::duration<double, std::milli>(nap));
    }
  }
  for (std::thread& worker : workers) worker.join();
  std::unique_lock lock(lock_);
  if (setup_.limits.infinite && shared_.error.empty()) changed_.wait(lock, [this] { return shared_.stop_asked; });
  sum_up();
  shared_.done = true;
  changed_.notify_all();
}

void Run::work() {
  bool began = false;
  try {
    auto session = setup_.backend->open();
    began = true;
    Worker(shared_, session).work();
  } catch (const std::exception& exception) {
    failed(sentence(exception), !began);
  }
}

// One that could not begin leaves the search to the others, if there are any.
void Run::failed(const std::string& why, bool to_begin) {
  const std::lock_guard lock(lock_);
  if (to_begin && --shared_.workers > 0) return;
  if (shared_.error.empty()) shared_.error = why;
  shared_.abort(StopReason::kError);
}

// All workers have left; the caller holds the tree lock.
void Run::sum_up() {
  shared_.cancel_collisions();
  const Situation& situation = shared_.situation;
  const auto moves = ranked_moves(situation, situation.tree->root(), 0);
  if (moves.empty()) return;
  const float temperature = temperature_at(shared_.live, setup_.game.last().ply);
  std::mt19937_64 random = fresh_random();
  const Move best = temperature > 0 ? draw_move(situation, shared_.live, moves, temperature, random) : moves.front();
  shared_.chosen = best.edge;
  best_ = best.edge->move;
  if (best.n() == 0 || !best.node->edges) return;
  if (const Move reply = best_move(situation, best.node, 1); reply.n() > 0) ponder_ = reply.edge->move;
}

void Run::join() {
  {
    const std::lock_guard lock(lock_);
    joined_early_ |= !shared_.done;
    shared_.stop_asked = true;
    shared_.abort(StopReason::kStop);
  }
  if (supervisor_.joinable()) supervisor_.join();
  std::unique_lock lock(lock_);
  if (is_lent_ && !std::exchange(is_taken_, true)) {  // nobody has begun
    shared_.done = true;
    changed_.notify_all();
  }
  if (is_lent_) changed_.wait(lock, [this] { return shared_.done; });
  retired_ = true;
}

// The tree may belong to another position once the run has been joined.
void Run::check_current() const {
  if (retired_) throw Error("this search is over; ask before the position changes");
}

void Run::stop() {
  const std::lock_guard lock(lock_);
  shared_.stop_asked = true;
  if (!shared_.done) shared_.end(StopReason::kStop);
  changed_.notify_all();
}

void Run::set_option(const std::string& name, const ParamValue& value) {
  const std::lock_guard lock(lock_);
  Params params{shared_.situation.params, shared_.live};
  set_param(params, name, value);
  shared_.live = params;
}

std::optional<Update> Run::wait(double seconds, Castling castling) {
  std::unique_lock lock(lock_);
  const auto longest = std::chrono::duration<double>(std::clamp(seconds, 0.0, 1e6));
  if (!changed_.wait_for(lock, longest, [this] { return shared_.news || shared_.done; }) || shared_.done) return std::nullopt;
  shared_.news = false;
  return make_update(castling);
}

bool Run::running() const {
  const std::lock_guard lock(lock_);
  return !shared_.done;
}

Update Run::update(Castling castling) const {
  const std::lock_guard lock(lock_);
  check_current();
  return make_update(castling);
}

Update Run::make_update(Castling castling) const {
  Update update = search::make_update(shared_, castling);
  update.tables_chose = !table_moves_.best.empty();
  for (std::string& line : setup_.backend->take_news()) update.messages.push_back(std::move(line));
  if (setup_.tables)
    for (std::string& line : setup_.tables->take_problems()) update.messages.push_back(std::move(line));
  return update;
}

Result Run::result(Castling castling) {
  std::unique_lock lock(lock_);
  if (is_lent_ && !std::exchange(is_taken_, true)) {
    lock.unlock();
    supervise(true);
    lock.lock();
  }
  changed_.wait(lock, [this] { return shared_.done; });
  if (!shared_.error.empty()) throw Error(shared_.error);
  if (joined_early_) throw Error("the search was ended before it had a result");
  Result result;
  result.playouts = shared_.stats.playouts;
  result.reason = shared_.reason == StopReason::kNone ? StopReason::kStop : shared_.reason;
  const bool chess960 = castling == Castling::kKingTakesRook;
  const chess::Board& board = setup_.game.last().board;
  if (best_) result.best_move = chess::to_uci(board, *best_, chess960);
  if (ponder_) result.ponder = chess::to_uci(board.after(*best_), *ponder_, chess960);
  return result;
}

std::vector<MoveStats> Run::move_stats() const {
  const std::lock_guard lock(lock_);
  check_current();
  return make_move_stats(shared_);
}

}  // namespace search
