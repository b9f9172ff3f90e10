// Device memory: each allocation ends at a guard page, so that an access past it faults at once. Fresh memory, and the up to
// 15 bytes between the end and the guard page, hold 0xFF: NaN in fp32 and fp16. Allocations beyond 256 MiB take the machine's memory
// only where they are touched, and hold zeros.
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>

#include <hip/hip_runtime.h>

namespace hip_emulated {

// Thrown while queued work runs: from then on the device is lost.
struct DeviceFault : std::runtime_error {
  DeviceFault(hipError_t error, const std::string& what) : std::runtime_error(what), error(error) {}
  hipError_t error;
};

enum class Place { kDevice, kPinned, kFineGrained, kManaged, kPageable };

void* allocate(size_t bytes, Place place, int device);  // nullptr: there is no room of that kind
bool release(void* begin, bool pinned);            // false: not such an allocation; throws DeviceFault for a stray write
Place place_of(const void* pointer);
size_t free_memory(int device);

struct Area {
  std::byte* begin;
  size_t bytes;
};
Area allocation_of(const void* pointer);           // that it points into; without a begin: none
std::string describe(const void* address);         // where an address lies, for messages
void check_stray_writes();                         // throws DeviceFault if the bytes behind an allocation changed

// Throws DeviceFault unless all bytes lie inside one allocation. `what` names the operand: "rocblas_gemm_ex: A".
void check_range(const void* pointer, size_t bytes, const std::string& what);

}  // namespace hip_emulated
