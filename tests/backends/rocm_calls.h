// What the calls of the ROCm back end that tests make through ctypes have in common: one stream, host arrays, errors as text.
#pragma once
#include <exception>
#include <memory>
#include <string>

#include "backends/rocm/device/stream.h"
#include "backends/rocm/linear/planner.h"

namespace calls {

// Defined in one file, not inline: the libraries of both wave widths are loaded at once, and each has its own.
extern thread_local std::string error;
extern std::unique_ptr<rocm::Planner> planner;
extern std::unique_ptr<rocm::Stream> stream;

template <class F>
int guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception& e) {
    error = e.what();
    return 1;
  }
}

inline rocm::DeviceMemory upload(const void* from, std::size_t bytes) {
  rocm::DeviceMemory memory(from ? bytes : 0);
  if (from) rocm::check(hipMemcpy(memory.as<void>(), from, bytes, hipMemcpyHostToDevice), "uploading");
  return memory;
}

}  // namespace calls
