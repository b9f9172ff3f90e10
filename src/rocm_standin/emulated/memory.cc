#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "settings.h"

namespace hip_emulated {
namespace {

struct Allocation {
  size_t bytes, gap;  // gap: between the end and the guard page
  std::byte* mapping;
  size_t mapped;
  Place place;
  int device;
};

std::mutex mutex;
std::map<const std::byte*, Allocation> allocations;  // by first byte
std::array<size_t, kMostDevices> used{};             // bytes of each device's memory

const size_t kPage = sysconf(_SC_PAGESIZE);
constexpr size_t kAlignment = 16;  // of the end, so that vector loads are aligned as with the real hipMalloc

size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// The allocation at or before an address, with its guard pages.
auto find(const void* address) {
  const auto* byte = static_cast<const std::byte*>(address);
  auto it = allocations.upper_bound(byte);
  if (it != allocations.begin()) {
    auto before = std::prev(it);
    if (byte < before->second.mapping + before->second.mapped) return before;
  }
  return it != allocations.end() && byte >= it->second.mapping ? it : allocations.end();
}

bool gap_is_clean(const std::byte* begin, const Allocation& a) {
  return std::all_of(begin + a.bytes, begin + a.bytes + a.gap, [](std::byte b) { return b == std::byte{0xFF}; });
}

}  // namespace

void* allocate(size_t bytes, Place place, int device) {
  const std::scoped_lock lock(mutex);
  if (place == Place::kDevice && used[device] + bytes > settings().memory) return nullptr;
  const size_t body = round_up(std::max<size_t>(bytes, 1), kPage), mapped = body + 2 * kPage;
  void* mapping = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(mapping) + kPage;
  if (mprotect(first, body, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, mapped);
    return nullptr;
  }
  std::memset(first, 0xFF, body);
  std::byte* begin = first + body - round_up(bytes, kAlignment);
  allocations[begin] = {bytes, round_up(bytes, kAlignment) - bytes, static_cast<std::byte*>(mapping), mapped, place, device};
  if (place == Place::kDevice) used[device] += bytes;
  ++live_objects;
  return begin;
}

bool release(void* begin, Place place) {
  const std::scoped_lock lock(mutex);
  auto it = allocations.find(static_cast<std::byte*>(begin));
  if (it == allocations.end() || it->second.place != place) return false;
  const Allocation a = it->second;
  const bool clean = gap_is_clean(it->first, a);
  allocations.erase(it);
  munmap(a.mapping, a.mapped);
  if (place == Place::kDevice) used[a.device] -= a.bytes;
  --live_objects;
  if (!clean) throw DeviceFault(hipErrorIllegalAddress, "bytes behind an allocation of " + std::to_string(a.bytes) + " were written");
  return true;
}

Place place_of(const void* pointer) {
  const std::scoped_lock lock(mutex);
  const auto it = find(pointer);
  return it == allocations.end() ? Place::kPageable : it->second.place;
}

size_t free_memory(int device) {
  const std::scoped_lock lock(mutex);
  return settings().memory - std::min(used[device], settings().memory);
}

std::string describe(const void* address) {
  const std::scoped_lock lock(mutex);
  const auto it = find(address);
  if (it == allocations.end()) return "an address outside all allocations";
  const auto offset = static_cast<const std::byte*>(address) - it->first;
  return "byte " + std::to_string(offset) + " of an allocation of " + std::to_string(it->second.bytes) + " bytes";
}

void check_stray_writes() {
  const std::scoped_lock lock(mutex);
  for (const auto& [begin, a] : allocations) {
    if (gap_is_clean(begin, a)) continue;
    std::memset(const_cast<std::byte*>(begin) + a.bytes, 0xFF, a.gap);
    throw DeviceFault(hipErrorIllegalAddress, "a write past an allocation of " + std::to_string(a.bytes) + " bytes");
  }
}

void check_range(const void* pointer, size_t bytes, const std::string& what) {
  const std::scoped_lock lock(mutex);
  const auto it = find(pointer);
  const auto* begin = static_cast<const std::byte*>(pointer);
  if (it != allocations.end() && begin >= it->first && begin + bytes <= it->first + it->second.bytes) return;
  throw DeviceFault(hipErrorIllegalAddress, what + ": " + std::to_string(bytes) + " bytes do not lie in one allocation of the device");
}

}  // namespace hip_emulated
