// The weights of a network in the layouts that oneDNN prefers, each packed once and shared by all sessions.
#pragma once
#include <dnnl.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "nn/description.h"

namespace cpu {

using nn::Floats;

class Weights {
 public:
  Weights(std::shared_ptr<const nn::Network> network, dnnl::engine engine)
      : description_(nn::describe(std::move(network))), engine_(std::move(engine)) {}
  const nn::Description& description() const { return description_; }
  const dnnl::engine& engine() const { return engine_; }

  // The numbers of `weight`, which lie as `plain` says, as `wanted`.
  dnnl::memory packed(const nn::Weight& weight, const dnnl::memory::desc& wanted, const dnnl::memory::desc& plain);
  // A table for our own kernels, made once and kept as long as this.
  const float* table(const nn::Weight& weight);

 private:
  nn::Description description_;
  dnnl::engine engine_;
  std::mutex mutex_;
  std::multimap<std::string, dnnl::memory> packed_;  // one weight may be wanted in different layouts
  std::map<std::string, Floats> tables_;
};

}  // namespace cpu
