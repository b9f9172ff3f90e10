#include "backends/combine/children.h"

#include <algorithm>

#include "error.h"
#include "nn/evaluator.h"

namespace {

// A back end that others hold too.
class Held final : public nn::Backend {
 public:
  explicit Held(std::shared_ptr<nn::Evaluator> held) : held_(std::move(held)) {}
  const nn::Info& info() const override { return held_->info(); }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<Borrowed>(*held_); }
  std::vector<std::string> take_news() override { return held_->take_news(); }
  bool has_more_room() const override { return held_->has_more_room(); }

 private:
  class Borrowed final : public nn::Session {
   public:
    explicit Borrowed(nn::Evaluator& held) : held_(held) {}
    void evaluate(const nn::Batch& batch) override { held_.open().evaluate(batch); }

   private:
    nn::Evaluator& held_;
  };

  std::shared_ptr<nn::Evaluator> held_;
};

}  // namespace

Children create_children(const std::string& name, const std::shared_ptr<const nn::Network>& network,
                         const nn::Options& options, std::size_t least) {
  Children children;
  for (const auto& [child, child_options, made] : options.children)
    children.push_back(made ? std::make_unique<Held>(made)
                            : nn::create_backend(child_options.text("backend", child), network, child_options));
  if (children.size() < least)
    throw Error(name + " has " + std::to_string(children.size()) + " back ends, expected at least " + std::to_string(least) +
                ": name them in BackendOptions as (backend=cpu),(backend=random)");
  const nn::Info& first = children.front()->info();
  for (const auto& child : children)
    if (child->info().input_format != first.input_format || child->info().wdl != first.wdl)
      throw Error(name + ": its back ends differ in input format or in having WDL: " + first.device + " and " +
                  child->info().device);
  return children;
}

nn::Info common_info(const std::string& name, const Children& children) {
  nn::Info info = children.front()->info();
  std::string devices = info.device;
  for (auto child = children.begin() + 1; child != children.end(); ++child) {
    const nn::Info& other = (*child)->info();
    devices += "; " + other.device;
    info.moves_left &= other.moves_left;
    info.half |= other.half;
    info.cpu &= other.cpu;
    info.max_batch = std::min(info.max_batch, other.max_batch);
    info.best_batch = std::min(info.best_batch, other.best_batch);
    info.threads = std::max(info.threads, other.threads);
    info.sizes.insert(info.sizes.end(), other.sizes.begin(), other.sizes.end());
  }
  std::ranges::sort(info.sizes);
  info.sizes.erase(std::unique(info.sizes.begin(), info.sizes.end()), info.sizes.end());
  info.device = name + " of " + devices;
  return info;
}

bool any_has_more_room(const Children& children) {
  return std::ranges::any_of(children, [](const auto& child) { return child->has_more_room(); });
}

void rest_all(const std::vector<std::unique_ptr<nn::Session>>& sessions) {
  for (const auto& session : sessions)
    if (session) session->rest();
}
