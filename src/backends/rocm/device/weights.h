// The weights on the device, each array made and uploaded once, at its first use, and shared by all threads.
#pragma once
#include <hip/hip_fp16.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/rocm/device/device.h"
#include "backends/rocm/kernels/rows8.h"
#include "nn/description.h"

namespace rocm {

class Weights {
 public:
  // The weight as T (float, half or int) on the calling thread's device, made when it is wanted for the first time. Values beyond half's
  // range throw Error. Thread-safe; waits for the upload.
  template <class T>
  const T* array(const nn::Weight& weight);
  // A matrix in 8 bits, as quantised() makes it; likewise.
  Rows8 in_8_bits(const nn::Weight& matrix, Numbers kind);

 private:
  template <class N>
  const DeviceMemory& keep(const std::string& key, const std::vector<N>& values);

  std::mutex mutex_;
  std::unordered_map<std::string, DeviceMemory> arrays_;  // by key
};

}  // namespace rocm
