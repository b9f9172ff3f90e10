// demux: every batch is split evenly over all back ends, which work at the same time. One search thread keeps all busy.
#include <atomic>
#include <future>

#include "backends/combine/children.h"
#include "chess/policy.h"

namespace {

// Positions begin .. end - 1 of a batch as a batch of its own. `first_move` holds its offsets, counted from its own start.
nn::Batch slice(const nn::Batch& batch, int begin, int end, std::vector<std::uint32_t>& first_move) {
  nn::Batch part;
  part.size = end - begin;
  part.planes = batch.planes + begin;
  if (batch.values) part.values = batch.values + begin;
  if (batch.moves) {
    const std::uint32_t skipped = batch.first_move[begin];
    first_move.assign(batch.first_move + begin, batch.first_move + end + 1);
    for (std::uint32_t& first : first_move) first -= skipped;
    part.moves = batch.moves + skipped;
    part.first_move = first_move.data();
    if (batch.policy) part.policy = batch.policy + skipped;
  } else if (batch.policy) {
    part.policy = batch.policy + static_cast<std::size_t>(begin) * chess::kPolicySize;
  }
  return part;
}

class Demux final : public nn::Backend {
 public:
  Demux(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("demux", network, options)), info_(common_info("demux", children_)) {
    info_.max_batch *= static_cast<int>(children_.size());
    info_.best_batch *= static_cast<int>(children_.size());
    info_.threads = 1;
  }
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Split>(*this); }

 private:
  class Split final : public nn::Session {
   public:
    explicit Split(Demux& owner) : owner_(owner), first_moves_(owner.children_.size()) {
      for (const auto& child : owner.children_) sessions_.push_back(child->open());
    }
    void evaluate(const nn::Batch& batch) override {
      const int count = static_cast<int>(sessions_.size());
      const int turn = static_cast<int>(owner_.next_++ % count);  // who gets the odd ones rotates
      std::vector<std::future<void>> parts;  // a future's destructor waits: no part outlives the batch, even after an error
      for (int i = 0, begin = 0; i < count; ++i) {
        const int end = begin + batch.size / count + (i < batch.size % count);
        const int child = (turn + i) % count;
        if (end > begin)
          parts.push_back(std::async(std::launch::async, [&, this, begin, end, child] {
            sessions_[child]->evaluate(slice(batch, begin, end, first_moves_[child]));
          }));
        begin = end;
      }
      for (auto& part : parts) part.get();
      if (!owner_.info_.moves_left && batch.values)
        for (int i = 0; i < batch.size; ++i) batch.values[i].m = 0;
    }

   private:
    Demux& owner_;
    std::vector<std::unique_ptr<nn::Session>> sessions_;
    std::vector<std::vector<std::uint32_t>> first_moves_;
  };

  Children children_;
  nn::Info info_;
  std::atomic<unsigned> next_ = 0;
};

const nn::Registration registration(
    "demux", [](auto network, const nn::Options& options) { return std::make_unique<Demux>(std::move(network), options); },
    nullptr, false);

}  // namespace
