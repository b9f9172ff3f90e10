// Runs the blocks of one kernel launch on this host thread, every GPU thread a fiber.
#pragma once
#include <string>

#include <hip/hip_runtime.h>

namespace hip_emulated {

void run(const Kernel& kernel);  // throws DeviceFault: an access out of bounds, a barrier or exchange not reached by all
[[noreturn]] void fail_thread(hipError_t error, const std::string& what);  // of the thread that runs now: the launch ends with a DeviceFault

}  // namespace hip_emulated
