#include "nn/cache.h"

#include <cstring>
#include <mutex>
#include <new>

#include "nn/pages.h"

namespace nn {
namespace {

constexpr int kShards = 16;
constexpr std::size_t kSmall = 4096;       // up to here one shard, so that the capacity is exact
constexpr std::size_t kMeanEntry = 144;    // bytes the ring offers for each position of the capacity: up to 60 moves
constexpr std::size_t kMaxMoves = 512;

struct Entry {
  std::uint64_t key;
  Value value;
  std::uint32_t moves;

  std::uint16_t* priors() { return reinterpret_cast<std::uint16_t*>(this + 1); }  // the run goes on, padded to 8 bytes
};

constexpr std::size_t entry_size(std::size_t moves) { return (sizeof(Entry) + 2 * moves + 7) / 8 * 8; }

struct Slot {
  std::uint32_t tag;    // upper half of the key
  std::uint32_t place;  // of the entry, in units of 8 bytes, plus 1; 0: empty
};

}  // namespace

class Cache::Shard {
 public:
  void create(std::size_t capacity) {
    capacity_ = capacity;
    slot_count_ = capacity * 19 / 10 + 1;
    ring_size_ = (capacity + 4) * kMeanEntry + entry_size(kMaxMoves);
    slots_memory_ = allocate_pages(slot_count_ * sizeof(Slot));
    slots_ = reinterpret_cast<Slot*>(slots_memory_.get());
    ring_ = allocate_pages(ring_size_);
    end_ = ring_size_;
  }

  bool find(std::uint64_t key, int moves, Value* value, std::uint16_t* priors) {
    const std::lock_guard lock(mutex_);
    Entry* entry = lookup(key);
    if (!entry || (moves > 0 && entry->moves != static_cast<std::uint32_t>(moves))) return false;
    *value = entry->value;
    if (moves > 0) std::memcpy(priors, entry->priors(), sizeof(std::uint16_t) * static_cast<std::size_t>(moves));
    return true;
  }

  void insert(std::uint64_t key, const Value& value, int moves, const std::uint16_t* priors) {
    const std::lock_guard lock(mutex_);
    if (lookup(key)) return;
    const std::size_t size = entry_size(static_cast<std::size_t>(moves));
    while (count_ == capacity_) evict();
    if (head_ + size > ring_size_) {  // back to the start: what is left at the end is skipped
      while (count_ > 0 && tail_ >= head_) evict();
      end_ = head_;
      head_ = 0;
    }
    while (count_ > 0 && tail_ >= head_ && tail_ < head_ + size) evict();
    Entry* entry = new (ring_.get() + head_) Entry{key, value, static_cast<std::uint32_t>(moves)};
    std::memcpy(entry->priors(), priors, sizeof(std::uint16_t) * static_cast<std::size_t>(moves));
    std::size_t i = home(tag(key));
    while (slots_[i].place) i = next(i);
    slots_[i] = {tag(key), static_cast<std::uint32_t>(head_ / 8 + 1)};
    if (count_++ == 0) tail_ = head_;
    head_ += size;
  }

  void prefetch(std::uint64_t key) const { __builtin_prefetch(&slots_[home(tag(key))]); }

  void clear() {
    const std::lock_guard lock(mutex_);
    std::memset(slots_, 0, slot_count_ * sizeof(Slot));
    count_ = head_ = tail_ = 0;
    end_ = ring_size_;
  }

 private:
  static std::uint32_t tag(std::uint64_t key) { return static_cast<std::uint32_t>(key >> 32); }
  std::size_t home(std::uint32_t tag) const { return static_cast<std::size_t>(tag) * slot_count_ >> 32; }
  std::size_t next(std::size_t i) const { return i + 1 == slot_count_ ? 0 : i + 1; }
  Entry* at(std::uint32_t place) const {
    return std::launder(reinterpret_cast<Entry*>(ring_.get() + std::size_t{place - 1} * 8));
  }

  Entry* lookup(std::uint64_t key) const {
    for (std::size_t i = home(tag(key)); slots_[i].place; i = next(i))
      if (slots_[i].tag == tag(key) && at(slots_[i].place)->key == key) return at(slots_[i].place);
    return nullptr;
  }

  // Drops the oldest entry. The slots after it move up, so that no search ends early at the hole.
  void evict() {
    const Entry& oldest = *std::launder(reinterpret_cast<Entry*>(ring_.get() + tail_));
    const auto place = static_cast<std::uint32_t>(tail_ / 8 + 1);
    std::size_t hole = home(tag(oldest.key));
    while (slots_[hole].place != place) hole = next(hole);
    for (std::size_t i = next(hole); slots_[i].place; i = next(i)) {
      const std::size_t from = home(slots_[i].tag);
      const bool stays = hole < i ? hole < from && from <= i : hole < from || from <= i;
      if (stays) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    tail_ += entry_size(oldest.moves);
    --count_;
    if (tail_ == end_) {
      tail_ = 0;
      end_ = ring_size_;
    }
  }

  mutable std::mutex mutex_;
  std::size_t capacity_ = 0, slot_count_ = 0, ring_size_ = 0;
  std::size_t count_ = 0;
  std::size_t head_ = 0;  // bytes: where the next entry goes
  std::size_t tail_ = 0;  // the oldest entry
  std::size_t end_ = 0;   // where the older part of the ring stops
  Pages slots_memory_, ring_;
  Slot* slots_ = nullptr;
};

Cache::Cache(std::size_t capacity) : capacity_(capacity), shard_count_(capacity > kSmall ? kShards : 1) {
  if (capacity == 0) return;
  shards_ = std::make_unique<Shard[]>(static_cast<std::size_t>(shard_count_));
  for (int i = 0; i < shard_count_; ++i)
    shards_[static_cast<std::size_t>(i)].create((capacity + static_cast<std::size_t>(i)) / static_cast<std::size_t>(shard_count_));
}

Cache::~Cache() = default;

Cache::Shard& Cache::shard(std::uint64_t key) const { return shards_[key % static_cast<std::uint64_t>(shard_count_)]; }

bool Cache::find(std::uint64_t key, int moves, Value* value, std::uint16_t* priors) const {
  return shards_ && shard(key).find(key, moves, value, priors);
}

void Cache::prefetch(std::uint64_t key) const {
  if (shards_) shard(key).prefetch(key);
}

void Cache::insert(std::uint64_t key, const Value& value, int moves, const std::uint16_t* priors) {
  if (shards_) shard(key).insert(key, value, moves, priors);
}

void Cache::clear() {
  for (int i = 0; shards_ && i < shard_count_; ++i) shards_[static_cast<std::size_t>(i)].clear();
}

}  // namespace nn
