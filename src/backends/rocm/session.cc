// A batch's way: planes and moves into pinned memory, one copy, the pass (as a graph from the second time on), one copy back. The host
// waits once.
#include "backends/rocm/session.h"

#include <algorithm>
#include <bit>

#include "chess/policy.h"

namespace rocm {
namespace {

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

}  // namespace

int ladder_step(int size, int most) {
  const int power = std::bit_ceil(static_cast<unsigned>(size)), between = power / 4 * 3;
  return std::min(most, power >= 32 && size <= between ? between : power);
}

template <class T>
GpuSession<T>::GpuSession(Model<T>& model, const Device& device, Planner& planner, int max_batch, bool graphs)
    : model_(model),
      stream_(device, planner),
      graphs_(graphs),
      max_moves_(std::size_t{chess::kPolicySize} * max_batch),
      largest_(max_batch),
      in_(device, Layout(max_batch).moves + max_moves_ * sizeof(std::uint16_t)),
      out_(device, policy_offset(max_batch) + max_moves_ * sizeof(float)) {
  exercise(1, true);
  reserve(stream_.arena().peak() * max_batch);
}

template <class T>
void GpuSession<T>::warm_up(int most) {
  for (int step = 0; step < most;) {
    step = ladder_step(step + 1, most);
    for (const bool policy : {false, true}) exercise(step, policy);
  }
}

template <class T>
void GpuSession<T>::exercise(int size, bool policy) {
  const std::vector<chess::Planes> planes(size);
  const std::vector<std::uint32_t> first_move(size + 1);  // none of any position
  std::vector<nn::Value> values(size);
  const std::uint16_t move = 0;
  float logit = 0;
  evaluate({size, planes.data(), &move, first_move.data(), policy ? &logit : nullptr, values.data()});
}

template <class T>
void GpuSession<T>::evaluate(const nn::Batch& batch) {
  check(hipSetDevice(stream_.device().index), "choosing the GPU");  // of this thread, which may be a new one
  for (int first = 0; first < batch.size;) {
    const int size = std::min(batch.size - first, largest_);
    try {
      evaluate(batch, first, size);
      first += size;
    } catch (const OutOfMemory&) {
      if (size == 1) throw;
      largest_ = ladder_step(size / 2, size);
    }
  }
}

template <class T>
void GpuSession<T>::evaluate(const nn::Batch& batch, int first, int size) {
  const int step = ladder_step(size, largest_);
  const Layout layout(step);
  auto* masks = in_.host<std::uint64_t>(layout.masks);
  auto* values = in_.host<float>(layout.values);
  for (int i = 0; i < size; ++i) {
    std::ranges::copy(batch.planes[first + i].mask, masks + i * chess::kPlanes);
    std::ranges::copy(batch.planes[first + i].value, values + i * chess::kPlanes);
  }
  std::fill(masks + size * chess::kPlanes, masks + step * chess::kPlanes, 0);
  std::fill(values + size * chess::kPlanes, values + step * chess::kPlanes, 0.0f);

  const Policy policy = !batch.policy ? kNone : batch.moves ? kOfMoves : kAll;
  std::size_t first_logit = std::size_t{chess::kPolicySize} * first, logits = policy == kAll ? std::size_t{chess::kPolicySize} * size : 0;
  if (policy == kOfMoves) {
    const std::uint32_t* begins = batch.first_move + first;
    first_logit = begins[0];
    logits = begins[size] - begins[0];
    if (logits > max_moves_) throw Error("a batch asks for the logits of " + std::to_string(logits) + " moves, more than there are");
    auto* first_move = in_.host<std::uint32_t>(layout.first_move);
    for (int i = 0; i <= step; ++i) first_move[i] = begins[std::min(i, size)] - begins[0];
    std::copy_n(batch.moves + first_logit, logits, in_.host<std::uint16_t>(layout.moves));
  }

  in_.send(stream_, policy == kOfMoves ? layout.moves + logits * sizeof(std::uint16_t) : layout.first_move);
  queue(step, policy);
  out_.fetch(stream_, policy_offset(step) + logits * sizeof(float));
  stream_.wait();
  std::copy_n(out_.host<nn::Value>(), size, batch.values + first);
  if (logits > 0) std::copy_n(out_.host<float>(policy_offset(step)), logits, batch.policy + first_logit);
  if (stream_.arena().outgrown()) reserve(stream_.arena().peak());
}

template <class T>
void GpuSession<T>::reserve(std::size_t bytes) {
  passes_.clear();  // their graphs know the old places
  stream_.arena().reserve(bytes);
}

template <class T>
void GpuSession<T>::queue(int step, Policy policy) {
  Pass& pass = passes_[step][policy];
  const Layout layout(step);
  const Input in{in_.device<std::uint64_t>(layout.masks), in_.device<float>(layout.values),
                 policy == kOfMoves ? in_.device<std::uint16_t>(layout.moves) : nullptr, in_.device<std::uint32_t>(layout.first_move)};
  const Output out{out_.device<float>(), policy == kNone ? nullptr : out_.device<float>(policy_offset(step))};
  const auto run = [&] { model_.run(stream_, step, in, out); };
  if (pass.graph) return pass.graph.launch(stream_);
  run();
  if (graphs_ && !pass.captured && !stream_.arena().outgrown()) {
    pass.graph = Graph(stream_, run);
    pass.captured = true;
  }
}

template class GpuSession<float>;
template class GpuSession<half>;

}  // namespace rocm
