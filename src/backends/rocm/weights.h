// The weights on the device, each array made and uploaded once, at its first use, and shared by all threads.
#pragma once
#include <hip/hip_fp16.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/rocm/device.h"
#include "nn/network.h"

namespace rocm {

using Floats = std::vector<float>;

class Weights {
 public:
  explicit Weights(std::shared_ptr<const nn::Network> network) : network_(std::move(network)) {}
  const nn::Network& network() const { return *network_; }

  // The array `key` as T (float, half or int) on the calling thread's device, from the floats of `make` when it is wanted for the
  // first time. Values beyond half's range throw Error. Thread-safe; waits for the upload.
  template <class T>
  const T* array(const std::string& key, const std::function<Floats()>& make);

 private:
  std::shared_ptr<const nn::Network> network_;
  std::mutex mutex_;
  std::map<std::string, DeviceMemory> arrays_;
};

}  // namespace rocm
