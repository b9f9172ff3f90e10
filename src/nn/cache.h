// The evaluation cache: what the network said of a position, first in first out. An entry is a run of a ring of words, so that
// neither insertion nor eviction allocates; an open-addressing table finds it. Speed is that of two cache misses a look-up.
//
// Threads share one table. Readers write nothing, not even a lock, so no cache line of theirs has to come from another core; they
// notice when an entry goes while they copy it. Writers come with a whole batch and lock once for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "nn/backend.h"
#include "nn/pages.h"

namespace nn {

class Cache {
 public:
  static constexpr std::size_t kMostPositions = 200'000'000;  // places of entries have 32 bits
  // capacity: positions, at most kMostPositions; 0: nothing is kept. Throws std::bad_alloc.
  explicit Cache(std::size_t capacity);

  // True on a hit: the key is there with the same number of moves. Fills `value` and priors[0 .. moves - 1], packed as in
  // softmax.h; a miss leaves anything there. With moves == 0 any entry of that key matches and `priors` is not touched.
  bool find(std::uint64_t key, int moves, Value* value, std::uint16_t* priors) const;
  void prefetch(std::uint64_t key) const;  // a find() of this key will follow: its memory is on the way
  // A batch: position i has the priors first_move[i] .. first_move[i + 1] - 1. Keys that are there already are ignored.
  void insert(std::span<const std::uint64_t> keys, const Value* values, const std::uint32_t* first_move,
              const std::uint16_t* priors);
  void clear();  // while nobody else uses it
  std::size_t capacity() const { return capacity_; }

 private:
  std::size_t home(std::uint32_t tag) const { return static_cast<std::size_t>(tag) * slot_count_ >> 32; }
  std::size_t next(std::size_t slot) const { return slot + 1 == slot_count_ ? 0 : slot + 1; }
  void insert(std::uint64_t key, const Value& value, std::span<const std::uint16_t> priors);
  bool contains(std::uint64_t key) const;
  void evict();

  const std::size_t capacity_, slot_count_, ring_size_;  // the ring's in words
  Pages slots_memory_, ring_memory_;
  std::uint64_t* const slots_;
  std::uint64_t* const ring_;

  std::mutex mutex_;  // of what writers alone use
  std::size_t count_ = 0;
  std::size_t head_ = 0;     // words: where the next entry goes
  std::size_t tail_ = 0;     // the oldest entry
  std::size_t end_ = 0;      // where the older part of the ring stops
  std::size_t touched_ = 0;  // so much of the ring has memory
};

// As many positions as are asked for, or as memory and the cache itself allow: a smaller one costs time, none would cost the game.
std::shared_ptr<Cache> make_cache(std::size_t positions);

}  // namespace nn
