// Which way a pass goes: with the parts that do not depend on each other (smolgen and the queries, keys and values; the heads) one behind the
// other, or beside each other on two streams; and with smolgen layer by layer or by kernels of its own. Small kernels leave most of a GPU idle, but streams
// that wait for each other cost time too, and what that is differs from driver to driver; what a part of a pass is worth depends on what runs beside it: so
// the whole pass is measured each way, where it is short enough for the difference to be seen.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <vector>

#include "backends/rocm/kernels/kernels.h"
#include "backends/rocm/linear/choices.h"
#include "backends/rocm/network.h"
#include "chess/policy.h"

namespace rocm {
namespace {

struct PassShape {
  std::string net;
  int batch = 0;
  bool half = false;
  bool smolgen = false;  // may be by its kernels
  auto operator<=>(const PassShape&) const = default;
};

template <class T>
struct PassTask {
  Model<T>* model;
  Input in;
  Output out;
};

// The pass itself, as often as it takes: it changes nothing that it reads.
template <class T>
class PassTrial {
 public:
  PassTrial(Stream& stream, const PassShape& shape, const PassTask<T>& task) : stream_(stream), batch_(shape.batch), task_(task) {}

  PassTask<T> task() const { return task_; }

  bool good(const std::function<bool(const PassTask<T>&)>& run) {
    if (is_long_ || !run(task_)) return false;
    const Answers answers = read();
    if (!known_) {  // the first of all, whose products have been measured by now
      known_ = answers;
      constexpr auto kLong = std::chrono::milliseconds(5);
      is_long_ = true;
      for (int i = 0; is_long_ && i < 3; ++i) {  // of which one may have met a library that was still loading
        run(task_);
        is_long_ = stream_.wait() > kLong;
      }
      return true;
    }
    return near(answers, *known_);
  }

 private:
  struct Answers {
    std::vector<float> values, logits;
  };

  Answers read() {
    Answers answers;
    copy(answers.values, task_.out.values, 3 * batch_);
    if (!task_.out.policy) return answers;
    std::vector<std::uint32_t> logits = {unsigned(batch_) * chess::kPolicySize};
    if (task_.in.moves) copy(logits, task_.in.first_move + batch_, 1);
    copy(answers.logits, task_.out.policy, logits[0]);
    return answers;
  }

  template <class N>
  void copy(std::vector<N>& to, const N* from, std::size_t count) {
    to.resize(count);
    if (count == 0) return;
    check(hipMemcpyAsync(to.data(), from, count * sizeof(N), hipMemcpyDeviceToHost, stream_), "reading a result");
    stream_.wait();
  }

  // The products are other ones, each with its own roundings, of which a logit has its share of the largest.
  static bool near(const Answers& a, const Answers& b) {
    constexpr float kTolerance = 0.05f;
    float most = 0;
    for (const float logit : b.logits) most = std::max(most, std::abs(logit));
    return std::ranges::equal(a.values, b.values, [](float x, float y) { return std::abs(x - y) <= kTolerance * (1 + std::abs(y)); }) &&
           std::ranges::equal(a.logits, b.logits, [&](float x, float y) { return std::abs(x - y) <= kTolerance * (1 + most); });
  }

  Stream& stream_;
  const int batch_;
  std::optional<Answers> known_;
  bool is_long_ = false;
  PassTask<T> task_;
};

template <class T>
struct Passes {
  using Shape = PassShape;
  using Task = PassTask<T>;
  struct Way : PassWay {
    static constexpr bool library = false;
  };

  static PassTrial<T> trial(Stream& stream, const Shape& s, const Task& task) { return {stream, s, task}; }
  static std::string key(Stream& stream, const Shape& s) {
    return stream.device().kind() + (s.half ? "/half" : "/float") + "/pass/b" + std::to_string(s.batch) + '/' + s.net;
  }
  static std::vector<std::string> defaults(Stream&, const Shape&) { return {"behind"}; }
  static std::vector<std::string> candidates(Stream&, const Shape& s) {
    std::vector<std::string> names;
    for (const Way& way : ways(s)) names.push_back(name_of(way));
    return names;
  }
  static std::optional<Way> make(Stream& stream, const Shape& s, const std::string& name) {
    for (const Way& way : ways(s)) {
      if (name != name_of(way)) continue;
      if (way.beside) stream.side();
      return way;
    }
    return std::nullopt;
  }

  static bool run(Stream& stream, const Shape& s, const Way& way, const Task& task) {
    try {
      task.model->run(stream, s.batch, task.in, task.out, way, nullptr);
    } catch (const OutOfMemory&) {  // a second stream has workspaces of its own
      if (!way.beside) throw;
      return false;
    }
    return true;
  }

 private:
  static std::vector<Way> ways(const Shape& s) {
    std::vector<Way> found = {{{false, false}}, {{true, false}}};
    if (s.smolgen && s.batch <= SmolgenShape::kMostPositions) found.insert(found.end(), {{{false, true}}, {{true, true}}});
    return found;
  }
  static std::string name_of(const Way& way) {  // "behind", "beside+smolgen"
    return (way.beside ? std::string("beside") : "behind") + (way.smolgen ? "+smolgen" : "");
  }
};

}  // namespace

template <class T>
void Model<T>::run(Stream& stream, int batch, const Input& in, const Output& out) {
  std::string products;
  bool all_in_8 = false;  // else the weights are there in halves too, as smolgen's kernels read them
  if (eight_bits_.in(batch)) {
    all_in_8 = eight_bits_.always_from;
    products = (*eight_bits_.products == Numbers::kInt8 ? "/int8x8" : "/fp8x8") + std::string(all_in_8 ? "" : "/half");
  }
  Choices<Passes<T>>::queue(stream, {structure_ + products, batch, sizeof(T) == 2, smolgen_fits_ && !all_in_8}, {this, in, out});
}

template void Model<float>::run(Stream&, int, const Input&, const Output&);
template void Model<half>::run(Stream&, int, const Input&, const Output&);

}  // namespace rocm
