// Random numbers that no other search has. To ask the system for each seed costs a search of a hundred visits more than its moves do: in a
// virtual machine the processor's own generator is looked for by an instruction that the host must carry out.
#pragma once
#include <mutex>
#include <random>

#include "process.h"

namespace search {

inline std::mt19937_64 fresh_random() {
  const process::Undivided work;
  static std::mutex mutex;
  static std::mt19937_64 seeds{std::random_device{}()};
  const std::lock_guard lock(mutex);
  return std::mt19937_64(seeds());
}

}  // namespace search
