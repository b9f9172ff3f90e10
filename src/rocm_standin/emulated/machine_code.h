// Executes a launch as the machine code that the real compiler made of the kernel, in place of the host's build of it: see isa.h.
#pragma once
#include <functional>
#include <string>

#include <hip/hip_runtime.h>

namespace hip_emulated {

// Runs the blocks through `run`, which is given a kernel of one thread a wave. Throws DeviceFault, naming the kernel, for what cannot be
// found, packed or executed.
void run_machine_code(const Kernel& kernel, const std::function<void(const Kernel&)>& run);

std::string position_in_machine_code();  // of the wave that runs now, for messages; "" where none does

}  // namespace hip_emulated
