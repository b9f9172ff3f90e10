// Runs the blocks of one kernel launch on this host thread, every GPU thread a fiber.
#pragma once
#include <hip/hip_runtime.h>

namespace hip_emulated {

void run(const Kernel& kernel);  // throws DeviceFault: an access out of bounds, a barrier or exchange not reached by all

}  // namespace hip_emulated
