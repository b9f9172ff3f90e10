#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "settings.h"

namespace hip_emulated {
namespace {

using Use = std::array<size_t, kMostDevices>;  // bytes of each device

struct Allocation {
  size_t bytes, gap;  // gap: between the end and the guard page
  std::byte* mapping;
  size_t mapped;
  Use* use;
  Place place;
  int device;
};

std::mutex mutex;
std::map<const std::byte*, Allocation> allocations;  // by first byte
Use device_use{}, mapped_use{}, managed_use{};

const size_t kPage = sysconf(_SC_PAGESIZE);
constexpr size_t kSparse = size_t{256} << 20;
constexpr size_t kAlignment = 16;  // of the end, so that vector loads are aligned as with the real hipMalloc

size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// What an allocation counts against, and the most that may be.
std::pair<Use*, size_t> limit(Place place) {
  const Settings& s = settings();
  if (place == Place::kManaged) return {&managed_use, s.managed};
  if (place == Place::kDevice || (place == Place::kFineGrained && !s.integrated)) return {&device_use, s.memory};
  return {&mapped_use, s.integrated ? s.mapped : SIZE_MAX};
}

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

// Not one that was freed before: what still knows that faults. The system takes it where it is free, else another.
void* fresh_place(size_t bytes) {
  constexpr std::uintptr_t kFirst = std::uintptr_t{1} << 45, kEnd = kFirst * 3;
  static std::uintptr_t next = kFirst;
  if (next + bytes > kEnd) next = kFirst;
  return reinterpret_cast<void*>(std::exchange(next, next + bytes));
}

bool gap_is_clean(const std::byte* begin, const Allocation& a) {
  return std::all_of(begin + a.bytes, begin + a.bytes + a.gap, [](std::byte b) { return b == std::byte{0xFF}; });
}

}  // namespace

void* allocate(size_t bytes, Place place, int device) {
  const std::scoped_lock lock(mutex);
  const auto [use, most] = limit(place);
  if ((*use)[device] + bytes > most) return nullptr;
  const size_t body = round_up(std::max<size_t>(bytes, 1), kPage), mapped = body + 2 * kPage;
  void* mapping = mmap(fresh_place(mapped), mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(mapping) + kPage;
  if (mprotect(first, body, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, mapped);
    return nullptr;
  }
  const size_t gap = round_up(bytes, kAlignment) - bytes, fresh = settings().blocks < kAll ? gap : body > kSparse ? kPage : body;
  std::memset(first + body - fresh, 0xFF, fresh);
  std::byte* begin = first + body - bytes - gap;
  allocations[begin] = {bytes, gap, static_cast<std::byte*>(mapping), mapped, use, place, device};
  (*use)[device] += bytes;
  ++live_objects;
  return begin;
}

bool release(void* begin, bool pinned) {
  const std::scoped_lock lock(mutex);
  auto it = allocations.find(static_cast<std::byte*>(begin));
  if (it == allocations.end() || (it->second.place == Place::kPinned) != pinned) return false;
  const Allocation a = it->second;
  const bool clean = gap_is_clean(it->first, a);
  allocations.erase(it);
  munmap(a.mapping, a.mapped);
  (*a.use)[a.device] -= a.bytes;
  --live_objects;
  if (!clean) throw DeviceFault(hipErrorIllegalAddress, "bytes behind an allocation of " + std::to_string(a.bytes) + " were written");
  return true;
}

Place place_of(const void* pointer) {
  const std::scoped_lock lock(mutex);
  const auto it = find(pointer);
  return it == allocations.end() ? Place::kPageable : it->second.place;
}

Area allocation_of(const void* pointer) {
  const std::scoped_lock lock(mutex);
  const auto it = find(pointer);
  return it == allocations.end() ? Area{} : Area{const_cast<std::byte*>(it->first), it->second.bytes};
}

size_t free_memory(int device) {
  const std::scoped_lock lock(mutex);
  return settings().memory - std::min(device_use[device], settings().memory);
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
