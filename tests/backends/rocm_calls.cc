// The stream, its planner and the emulation for rocm_calls.py.
#include "rocm_calls.h"

#include "backends/rocm/linear/libraries.h"

namespace calls {
thread_local std::string error;
std::unique_ptr<rocm::Planner> planner;
std::unique_ptr<rocm::Stream> stream;
}  // namespace calls

namespace {
thread_local std::string text;
}

extern "C" {
int has_matrix_instructions(const char* architecture) { return rocm::has_matrix_instructions(architecture); }
const char* last_error() { return calls::error.c_str(); }
void close_stream() { calls::stream.reset(), calls::planner.reset(); }
int open_stream(const char* without, const char* plans) {
  close_stream();
  return calls::guarded([&] {
    const rocm::Device device = rocm::read_device(0);
    calls::planner = std::make_unique<rocm::Planner>(device, without, plans);
    calls::stream = std::make_unique<rocm::Stream>(device, *calls::planner);
  });
}
int wait_for_two_fills(int patience_ms) {
  return calls::guarded([&] {
    const rocm::DeviceMemory memory(1);
    for (int i = 0; i < 2; ++i) rocm::check(hipMemsetAsync(memory.as<void>(), i, 1, *calls::stream), "filling");
    calls::stream->wait(std::chrono::milliseconds(patience_ms));
  });
}
const char* plans() { return (text = calls::planner->plans()).c_str(); }
void configure(const char* settings) { hip_emulated_configure(settings); }
size_t live_objects() { return hip_emulated_live_objects(); }
}
