// The weights of a network in the layouts that oneDNN prefers, each packed once and shared by all sessions.
#pragma once
#include <dnnl.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "nn/network.h"

namespace cpu {

using Floats = std::vector<float>;

// A fully connected layer y = W x + b. The numbers are made when somebody packs them: plans for further batch sizes
// find them packed already.
struct Linear {
  std::string key;  // its name among the packed weights
  int out = 0, in = 0;
  std::function<Floats()> weights;  // (out, in)
  std::function<Floats()> biases;  // (out); null for none
};

Linear linear(const nn::Network& network, const std::string& prefix);  // prefix_w and prefix_b
Linear linear(const nn::Network& network, const std::string& weights, const std::string& biases);
Linear unbiased(const nn::Network& network, const std::string& weights, int in);
Linear scaled(Linear layer, float factor);  // factor * (W x + b)
Linear stacked(const std::vector<Linear>& layers);  // the outputs of several layers after each other
Linear columns(Linear layer, int first, int count);  // the part of W that meets these inputs
Linear from_squares(Linear layer);  // takes inputs as (square, channel) instead of (channel, square)
Linear convolution1x1(const nn::Network& network, const std::string& prefix, int in);  // of one square

class Weights {
 public:
  Weights(std::shared_ptr<const nn::Network> network, dnnl::engine engine)
      : network_(std::move(network)), engine_(std::move(engine)) {}
  const nn::Network& network() const { return *network_; }
  const dnnl::engine& engine() const { return engine_; }

  // `make()` gives floats that lie as `plain` says; they come back as `wanted`.
  dnnl::memory packed(const std::string& key, const dnnl::memory::desc& wanted, const dnnl::memory::desc& plain,
                      const std::function<Floats()>& make);
  // A table for our own kernels, made once.
  std::shared_ptr<const Floats> table(const std::string& key, const std::function<Floats()>& make);

 private:
  std::shared_ptr<const nn::Network> network_;
  dnnl::engine engine_;
  std::mutex mutex_;
  std::multimap<std::string, dnnl::memory> packed_;  // one layer may be wanted in different layouts
  std::map<std::string, std::shared_ptr<const Floats>> tables_;
};

}  // namespace cpu
