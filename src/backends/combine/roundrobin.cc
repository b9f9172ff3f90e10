// roundrobin: successive batches go to successive back ends, whoever asks. As many search threads as back ends keep all busy.
#include <atomic>

#include "backends/combine/children.h"

namespace {

class RoundRobin final : public nn::Backend {
 public:
  RoundRobin(std::shared_ptr<const nn::Network> network, const nn::Options& options)
      : children_(create_children("roundrobin", network, options)), info_(common_info("roundrobin", children_)) {
    info_.threads = static_cast<int>(children_.size());
  }
  const nn::Info& info() const override { return info_; }
  bool has_more_room() const override { return any_has_more_room(children_); }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Turns>(*this); }

 private:
  class Turns final : public nn::Session {
   public:
    explicit Turns(RoundRobin& owner) : owner_(owner), sessions_(owner.children_.size()) {}
    void evaluate(const nn::Batch& batch) override {
      const std::size_t turn = owner_.next_++ % sessions_.size();
      if (!sessions_[turn]) sessions_[turn] = owner_.children_[turn]->open();
      sessions_[turn]->evaluate(batch);
      if (!owner_.info_.moves_left && batch.values)
        for (int i = 0; i < batch.size; ++i) batch.values[i].m = 0;
    }
    void rest() override { rest_all(sessions_); }

   private:
    RoundRobin& owner_;
    std::vector<std::unique_ptr<nn::Session>> sessions_;  // one a child, opened at its first turn
  };

  Children children_;
  nn::Info info_;
  std::atomic<std::size_t> next_ = 0;
};

const nn::Registration kRoundrobin(
    "roundrobin",
    [](auto network, const nn::Options& options) { return std::make_unique<RoundRobin>(std::move(network), options); },
    nullptr, false);

}  // namespace
