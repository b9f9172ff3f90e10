// Big zeroed memory straight from the system, in huge pages where it has them: random access to hundreds of megabytes would
// otherwise spend much of its time in page tables and page faults. Untouched parts cost nothing.
#pragma once
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace nn {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

struct PagesFree {
  std::size_t bytes = 0;
  void operator()(std::byte* memory) const { munmap(memory, bytes); }
};
using Pages = std::unique_ptr<std::byte, PagesFree>;

// Starts at a multiple of 2 MB. Throws std::bad_alloc. Where little of it may ever be used, huge pages would only be zeroed for nothing.
inline Pages allocate_pages(std::size_t bytes, bool huge = true) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  const std::size_t reserved = bytes + kHugePage;  // some of it is cut off for the alignment
  void* start = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  void* memory = start;
  std::size_t space = reserved;
  std::align(kHugePage, bytes, memory, space);
  const std::size_t before = reserved - space;
  if (before > 0) munmap(start, before);
  if (space > bytes) munmap(static_cast<std::byte*>(memory) + bytes, space - bytes);
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  return Pages(static_cast<std::byte*>(memory), PagesFree{bytes});
}

// Makes the system provide the memory now: the first touch of a page may take it milliseconds. Changes nothing, even if other threads
// are at work there with atomic operations.
inline void touch_pages(std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kPage = 4096 / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < count; i += kPage) {
    std::uint64_t zero = 0;
    std::atomic_ref(words[i]).compare_exchange_strong(zero, 0, std::memory_order_relaxed);
  }
}

}  // namespace nn
