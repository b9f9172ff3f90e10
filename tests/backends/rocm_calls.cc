// The stream, the emulation and the plan table for rocm_calls.py.
#include "rocm_calls.h"

#include "backends/rocm/linear/plan_table.h"

namespace calls {
thread_local std::string error;
std::unique_ptr<rocm::Stream> stream;
}  // namespace calls

namespace {
thread_local std::string plans;
}

extern "C" {
const char* last_error() { return calls::error.c_str(); }
int open_stream() { return calls::guarded([] { calls::stream = std::make_unique<rocm::Stream>(rocm::read_device(0)); }); }
void close_stream() { calls::stream.reset(); }
void configure(const char* settings) { hip_emulated_configure(settings); }
size_t live_objects() { return hip_emulated_live_objects(); }

const char* save_plans() { return (plans = rocm::save_plans()).c_str(); }
void load_plans(const char* text) { rocm::load_plans(text); }
void clear_plans() { rocm::clear_plans(); }
void shun(const char* library, int shunned) { rocm::shun(library, shunned); }
void interrupt_measuring(int stop) { rocm::interrupt_measuring(stop); }
}
