#include "search/search.h"

#include <algorithm>

#include "chess/notation.h"
#include "error.h"
#include "search/batch.h"
#include "search/run.h"
#include "search/saved.h"
#include "search/tree.h"

namespace search {
namespace {

bool is_same(const chess::Position& a, const chess::Position& b) {
  return a.board == b.board && a.rule50 == b.rule50 && a.ply == b.ply;
}

// What the nodes of a graph may take before those that no search needs are given up.
std::size_t kept_bytes(const Params& params) {
  constexpr std::size_t kKept = 512 << 20;
  return params.ram_limit_mb > 0 ? std::min(kKept, static_cast<std::size_t>(params.ram_limit_mb) * 1'000'000 / 4) : kKept;
}

}  // namespace

Search::Search() : tree_(std::make_unique<Tree>()) {}

Search::~Search() {
  if (home_.is_here()) end_run();
  else new std::shared_ptr<Run>(std::move(run_));  // its threads cannot be joined here: it stays for ever
}

void Search::end_run() {
  std::shared_ptr<Run> run;
  {
    const std::lock_guard lock(lock_);
    run.swap(run_);
  }
  if (run) run->join();
}

void Search::set_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature,
                         std::size_t cache_size) {
  if (!(policy_temperature > 0)) throw Error("the policy temperature must be positive");
  home_.check("engine");
  const std::lock_guard control(control_);
  end_run();
  const bool same = backend == backend_ && fill == fill_ && policy_temperature == policy_temperature_;
  if (!same || !cache_ || cache_size != cache_size_) cache_ = nn::make_cache(cache_size);
  cache_size_ = cache_size;
  take_backend(std::move(backend), fill, policy_temperature);
}

void Search::set_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature,
                         std::shared_ptr<nn::Cache> cache) {
  if (!(policy_temperature > 0)) throw Error("the policy temperature must be positive");
  home_.check("engine");
  const std::lock_guard control(control_);
  end_run();
  cache_ = std::move(cache);
  cache_size_.reset();
  take_backend(std::move(backend), fill, policy_temperature);
}

void Search::take_backend(std::shared_ptr<nn::Evaluator> backend, chess::HistoryFill fill, float policy_temperature) {
  if (backend != backend_) pace_ = 0;
  backend_ = std::move(backend);
  fill_ = fill;
  policy_temperature_ = policy_temperature;
}

void Search::set_tables(std::shared_ptr<const syzygy::Tables> tables) {
  home_.check("engine");
  const std::lock_guard control(control_);
  if (tables == tables_) return;
  end_run();
  tables_ = std::move(tables);
  const std::lock_guard lock(lock_);
  tree_->drop();  // its nodes hold what other tables said
}

void Search::clear(bool keep_cache) {
  home_.check("engine");
  const std::lock_guard control(control_);
  end_run();
  if (cache_ && cache_size_ && !keep_cache) cache_->clear();
  game_.reset();
  moves_.clear();
  const std::lock_guard lock(lock_);
  tree_->clear();
}

bool Search::set_position(const std::string& fen, const std::vector<std::string>& moves, bool keep) {
  chess::History game(fen);
  std::vector<chess::Move> line;
  for (const std::string& text : moves) {
    line.push_back(chess::parse_move(game.last().board, text));
    game.push(line.back());
  }
  home_.check("engine");
  const std::lock_guard control(control_);
  end_run();
  const bool goes_on = keep && game_ && is_same((*game_)[0], game[0]) && moves_.size() <= line.size() &&
                       std::equal(moves_.begin(), moves_.end(), line.begin());
  const std::lock_guard lock(lock_);
  if (tree_->is_graph()) {
    if (!keep) tree_->clear();
    tree_->go_to(GraphKey(game).of(game.last(), 0), game.last().board.count_legal_moves());
  } else if (goes_on) {
    for (std::size_t i = moves_.size(); i < line.size(); ++i) tree_->advance(line[i]);
  } else {
    tree_->drop();
  }
  game_ = std::move(game);
  moves_ = std::move(line);
  return goes_on;
}

void Search::start(const Params& params, const Limits& limits, bool lend) {
  home_.check("engine");
  const std::lock_guard control(control_);
  if (!backend_) throw Error("the search has no back end; set one first");
  end_run();
  if (!game_) game_.emplace(chess::kStartFen);
  {
    const std::lock_guard lock(lock_);
    tree_->become(params.graph != Graph::kOff);
    tree_->keep(kept_bytes(params));
  }
  auto run = std::make_shared<Run>(Run::Setup{backend_, cache_, fill_, policy_temperature_, tables_, *game_, params, limits},
                                   *tree_, lock_, pace_);
  lend ? run->lend() : run->begin();
  const std::lock_guard lock(lock_);
  run_ = std::move(run);
}

std::shared_ptr<Run> Search::latest() const {
  home_.check("engine");
  const std::lock_guard lock(lock_);
  return run_;
}

std::shared_ptr<Run> Search::run() const {
  auto run = latest();
  if (!run) throw Error("no search has been started on this position");
  return run;
}

void Search::stop() {
  if (const auto run = latest()) run->stop();
}

bool Search::running() const {
  const auto run = latest();
  return run && run->running();
}

void Search::set_option(const std::string& name, const ParamValue& value) {
  if (!acts_mid_search(name)) throw Error("search parameter " + name + " can only be changed between searches");
  run()->set_option(name, value);
}

std::optional<Update> Search::wait(double seconds, Castling castling) { return run()->wait(seconds, castling); }
Update Search::update(Castling castling) const { return run()->update(castling); }
Result Search::result(Castling castling) const { return run()->result(castling); }
std::vector<MoveStats> Search::move_stats() const { return run()->move_stats(); }

std::string Search::save() const {
  home_.check("engine");
  const std::lock_guard lock(lock_);
  return search::save(*tree_);
}

void Search::load(const std::string& bytes) {
  home_.check("engine");
  const std::lock_guard control(control_);
  end_run();
  const std::lock_guard lock(lock_);
  search::load(*tree_, game_ ? *game_ : chess::History(chess::kStartFen), bytes);
}

std::uint32_t Search::root_visits() const {
  home_.check("engine");
  const std::lock_guard lock(lock_);
  return tree_->root()->n;
}

}  // namespace search
