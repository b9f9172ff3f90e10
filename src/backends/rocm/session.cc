// A batch's way: planes and moves into pinned memory, one copy, the pass (as a graph from the second time on), one copy back. The host
// waits once.
#include "backends/rocm/session.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <numeric>

#include "chess/encode.h"
#include "chess/notation.h"
#include "chess/policy.h"

namespace rocm {
namespace {

constexpr std::size_t kMoves = chess::kPolicySize;  // of a position at most
constexpr int kMeasured = 2;                        // runs of a pass whose time counts: plainly and as a graph
constexpr int kAgain = 1000;                        // runs in smaller batches after which the largest is tried again

// Where the parts of a batch lie in the input mailbox, in bytes.
struct Layout {
  explicit Layout(int step)
      : values(step * sizeof(chess::Planes::mask)),
        first_move(values + step * sizeof(chess::Planes::value)),
        moves(first_move + (step + 1) * sizeof(std::uint32_t)) {}
  std::size_t masks = 0, values, first_move, moves;
};

static_assert(sizeof(nn::Value) == 3 * sizeof(float));  // as launch_values writes it

std::size_t policy_offset(int step) { return step * sizeof(nn::Value); }  // of the output mailbox

// Start positions, with their moves: a batch as play has them, so that what is measured in it is measured, and compared, in all that it answers.
struct StartPositions {
  StartPositions(chess::InputFormat format, int size) : planes(size), values(size), first_move(size + 1) {
    const chess::History start(chess::kStartFen);
    const int transform = chess::canonical_transform(start.last(), format);
    std::ranges::fill(planes, chess::encode(start, format, chess::HistoryFill::kFenOnly));
    chess::MoveList legal;
    start.last().board.legal_moves(legal);
    for (int i = 0; i < size; ++i) {
      for (const chess::Move move : legal) moves.push_back(chess::policy_index(move, transform));
      first_move[i + 1] = moves.size();
    }
    logits.resize(moves.size());
  }
  nn::Batch batch() {
    return {.size = int(planes.size()), .planes = planes.data(), .moves = moves.data(), .first_move = first_move.data(), .policy = logits.data(),
            .values = values.data()};
  }

  std::vector<chess::Planes> planes;
  std::vector<nn::Value> values;
  std::vector<std::uint16_t> moves;
  std::vector<std::uint32_t> first_move;
  std::vector<float> logits;
};

}  // namespace

int ladder_step(int size, int most) {
  const int power = std::bit_ceil(static_cast<unsigned>(size)), between = power / 4 * 3;
  return std::min(most, power >= 32 && size <= between ? between : power);
}

int step_below(int step) {
  int below = 1;
  for (int next; (next = ladder_step(below + 1, INT_MAX)) < step;) below = next;
  return below;
}

template <class T>
GpuSession<T>::GpuSession(Model<T>& model, const Device& device, Planner& planner, bool graphs)
    : model_(model), stream_(device, planner), graphs_(graphs) {}

template <class T>
void GpuSession<T>::reserve(int max_batch) {
  if (sample_.size == 0) {
    constexpr int kSample = 4;  // the fewest that are computed as many are
    const int size = std::min(max_batch, kSample);
    allocate(size, 0);
    for (const int n : {1, size}) exercise(n);  // what a single position is computed with is made now as well
    sample_ = {size, stream_.arena().bytes(), stream_.arena().largest()};
  }
  const std::size_t times = (max_batch + sample_.size - 1) / sample_.size;
  Arena::check_size(sample_.largest * times);
  allocate(max_batch, sample_.peak * times);
}

template <class T>
void GpuSession<T>::allocate(int max_batch, std::size_t activations) {
  forget_graphs();
  in_.emplace(stream_.device(), Layout(max_batch).moves + max_batch * kMoves * sizeof(std::uint16_t));
  out_.emplace(stream_.device(), policy_offset(max_batch) + max_batch * kMoves * sizeof(float));
  stream_.reserve(activations);
  largest_ = reserved_ = max_batch;
}

template <class T>
void GpuSession<T>::warm_up() {
  for (int times = 0; times < 2; ++times)  // plainly: now all memory is where it stays; and as graphs
    for (int step = largest_; step > 0; step = step > 1 ? step_below(step) : 0) exercise(step);
}

template <class T>
void GpuSession<T>::exercise(int size) {
  StartPositions positions(model_.description().input_format, size);
  evaluate(positions.batch(), 0, size);
  if (!stream_.outgrown()) return;
  forget_graphs();
  stream_.reserve(std::max(stream_.arena().bytes(), stream_.arena().peak()));
}

template <class T>
void GpuSession<T>::evaluate(const nn::Batch& batch) {
  check_alive(stream_.device());
  check(hipSetDevice(stream_.device().index), "choosing the GPU");  // of this thread, which may be a new one
  for (int first = 0; first < batch.size;) {
    if (largest_ < reserved_ && ++runs_since_refusal_ > kAgain) largest_ = reserved_;  // who had the memory may be gone
    const int size = std::min(batch.size - first, largest_), step = ladder_step(size, largest_);
    try {
      evaluate(batch, first, size);
      first += size;
      if (!settle()) shrink_below(step);
    } catch (const OutOfMemory&) {
      clear_away(step);
      if (step == 1) throw;
      shrink_below(step);
    }
  }
}

template <class T>
void GpuSession<T>::shrink_below(int step) {
  largest_ = step_below(step);
  runs_since_refusal_ = 0;
}

template <class T>
void GpuSession<T>::inspect(const nn::Batch& batch, const nn::Visit& visit) {
  check_alive(stream_.device());
  check(hipSetDevice(stream_.device().index), "choosing the GPU");
  int most = largest_;
  for (int first = 0; first < batch.size;) {
    const int size = std::min(batch.size - first, most), step = ladder_step(size, largest_);
    try {
      evaluate(batch, first, size, &visit);
      first += size;
    } catch (const OutOfMemory&) {
      clear_away(step);
      if (step == 1) throw;
      most = step_below(step);
    }
  }
  if (stream_.outgrown()) clear_away(1);
}

template <class T>
void GpuSession<T>::clear_away(int step) {
  stream_.wait(patience(step));  // what was queued
  forget_graphs();
  stream_.grow(0);  // gives back what the pass took
}

template <class T>
void GpuSession<T>::evaluate(const nn::Batch& batch, int first, int size, const nn::Visit* visit) {
  const int step = ladder_step(size, largest_);
  const Layout layout(step);
  auto* masks = in_->host<std::uint64_t>(layout.masks);
  auto* values = in_->host<float>(layout.values);
  for (int i = 0; i < size; ++i) {
    std::ranges::copy(batch.planes[first + i].mask, masks + i * chess::kPlanes);
    std::ranges::copy(batch.planes[first + i].value, values + i * chess::kPlanes);
  }
  std::fill(masks + size * chess::kPlanes, masks + step * chess::kPlanes, 0);  // empty boards: a pass meets nothing but numbers
  std::fill(values + size * chess::kPlanes, values + step * chess::kPlanes, 0.0f);

  // The moves that are asked for, also where that is none or all: a batch size has one pass.
  auto* first_move = in_->host<std::uint32_t>(layout.first_move);
  auto* moves = in_->host<std::uint16_t>(layout.moves);
  const std::size_t first_logit = !batch.policy ? 0 : batch.moves ? batch.first_move[first] : first * kMoves;
  for (int i = 0; i <= step; ++i) {
    const int end = std::min(i, size);
    first_move[i] = !batch.policy ? 0 : batch.moves ? batch.first_move[first + end] - first_logit : end * kMoves;
  }
  const std::size_t logits = first_move[size];
  if (logits > size * kMoves) throw Error("a batch asks for the logits of " + std::to_string(logits) + " moves, more than there are");
  if (batch.moves) std::copy_n(batch.moves + first_logit, logits, moves);
  else for (std::size_t at = 0; at < logits; at += kMoves) std::iota(moves + at, moves + at + kMoves, 0);

  in_->send(stream_, layout.moves + logits * sizeof(std::uint16_t));
  if (visit) {
    Probe probe(stream_, *visit, model_.layers(), first, size, patience(step));
    run(step, &probe);
  } else {
    queue(step);
  }
  out_->fetch(stream_, policy_offset(step) + logits * sizeof(float));
  const Duration waited = stream_.wait(patience(step));
  if (Pass& pass = passes_[step]; pass.runs <= kMeasured && !visit) pass.longest = std::max(pass.longest, waited);
  std::copy_n(out_->host<nn::Value>(), size, batch.values + first);
  if (logits > 0) std::copy_n(out_->host<float>(policy_offset(step)), logits, batch.policy + first_logit);
}

template <class T>
void GpuSession<T>::queue(int step) {
  Pass& pass = passes_[step];
  if (graphs_ && pass.runs > 0 && !pass.graph && !pass.refused) {
    pass.graph = Graph(stream_, [&] { run(step); });
    pass.refused = !pass.graph;
  }
  if (pass.graph) pass.graph.launch(stream_);
  else run(step);
  ++pass.runs;
}

template <class T>
void GpuSession<T>::run(int step, Probe* probe) {
  const Layout layout(step);
  const Input in{in_->device<std::uint64_t>(layout.masks), in_->device<float>(layout.values), in_->device<std::uint16_t>(layout.moves),
                 in_->device<std::uint32_t>(layout.first_move)};
  const Output out{out_->device<float>(), out_->device<float>(policy_offset(step))};
  probe ? model_.run(stream_, step, in, out, PassWay{}, probe) : model_.run(stream_, step, in, out);
}

template <class T>
bool GpuSession<T>::settle() {
  if (!stream_.outgrown()) return true;
  forget_graphs();
  return stream_.grow(stream_.arena().peak());
}

template <class T>
void GpuSession<T>::forget_graphs() {
  for (auto& [step, pass] : passes_) pass.graph = {}, pass.refused = false;
}

template <class T>
typename GpuSession<T>::Duration GpuSession<T>::patience(int step) const {
  constexpr Duration kFirst = std::chrono::minutes(2), kLeast = std::chrono::seconds(5);
  constexpr int kTimes = 20;
  Duration usual{};
  for (const auto& [size, pass] : passes_) {  // of the same size, else of the next larger one, else as many of the largest as it is
    if (pass.longest == Duration{}) continue;
    usual = pass.longest * ((step + size - 1) / size);
    if (size >= step) break;
  }
  return usual == Duration{} ? kFirst : std::max(kLeast, kTimes * usual);
}

template class GpuSession<float>;
template class GpuSession<half>;

}  // namespace rocm
