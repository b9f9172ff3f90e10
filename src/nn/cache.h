// The evaluation cache: what the network said of a position, first in first out. An entry is a run of a ring of bytes, so that
// neither insertion nor eviction allocates; an open-addressing table finds it. Speed is that of two cache misses a look-up.
// Shards, each with a lock of its own, keep threads out of each other's way.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "nn/backend.h"

namespace nn {

class Cache {
 public:
  explicit Cache(std::size_t capacity);  // positions; 0: nothing is kept
  ~Cache();

  // True on a hit: the key is there with the same number of moves. Fills `value` and priors[0 .. moves - 1], packed as in
  // softmax.h. With moves == 0 any entry of that key matches and `priors` is not touched.
  bool find(std::uint64_t key, int moves, Value* value, std::uint16_t* priors) const;
  void prefetch(std::uint64_t key) const;  // a find() of this key will follow: its memory is on the way
  void insert(std::uint64_t key, const Value& value, int moves, const std::uint16_t* priors);  // ignored if the key is there
  void clear();
  std::size_t capacity() const { return capacity_; }

 private:
  class Shard;
  Shard& shard(std::uint64_t key) const;

  std::size_t capacity_;
  int shard_count_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace nn
