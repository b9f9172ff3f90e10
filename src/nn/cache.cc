#include "nn/cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace nn {
namespace {

constexpr std::size_t kMeanEntry = 18;  // words the ring offers for each position of the capacity: up to 60 moves
constexpr std::size_t kMaxMoves = 512;
constexpr std::size_t kTouch = kHugePage / sizeof(std::uint64_t);

// The words of an entry: key, q and d, m and the number of moves, then four priors each.
struct Header {
  std::uint64_t key;
  Value value;
  std::uint32_t moves;
};
constexpr std::size_t kHeader = sizeof(Header) / sizeof(std::uint64_t);
static_assert(kHeader == 3);

constexpr std::size_t entry_size(std::size_t moves) { return kHeader + (moves + 3) / 4; }

// A slot is a tag, the upper half of the key, above the place of the entry in the ring plus 1; 0: empty.
constexpr std::uint32_t tag(std::uint64_t key_or_slot) { return static_cast<std::uint32_t>(key_or_slot >> 32); }
constexpr std::size_t place(std::uint64_t slot) { return static_cast<std::uint32_t>(slot) - std::size_t{1}; }
constexpr std::uint64_t make_slot(std::uint64_t key, std::size_t place) { return key >> 32 << 32 | (place + 1); }

// Threads meet in single words. A slot is emptied before its entry is overwritten, so who reads a newer word of the entry finds
// the slot changed.
std::uint64_t load(std::uint64_t& word) { return std::atomic_ref(word).load(std::memory_order_acquire); }
void store(std::uint64_t& word, std::uint64_t value) { std::atomic_ref(word).store(value, std::memory_order_release); }

}  // namespace

Cache::Cache(std::size_t capacity)
    : capacity_(capacity),
      slot_count_(capacity * 19 / 10 + 1),
      ring_size_((capacity + 4) * kMeanEntry + entry_size(kMaxMoves)),
      slots_memory_(allocate_pages(slot_count_ * sizeof(std::uint64_t))),
      ring_memory_(allocate_pages(ring_size_ * sizeof(std::uint64_t))),
      slots_(reinterpret_cast<std::uint64_t*>(slots_memory_.get())),
      ring_(reinterpret_cast<std::uint64_t*>(ring_memory_.get())),
      end_(ring_size_) {}

bool Cache::find(std::uint64_t key, int moves, Value* value, std::uint16_t* priors) const {
  for (std::size_t i = home(tag(key));; i = next(i)) {
    const std::uint64_t slot = load(slots_[i]);
    if (slot == 0) return false;
    if (tag(slot) != tag(key)) continue;
    std::uint64_t* entry = ring_ + place(slot);
    if (load(entry[0]) != key) continue;
    const auto header = std::bit_cast<Header>(std::array{key, load(entry[1]), load(entry[2])});
    const auto wanted = static_cast<std::size_t>(moves);
    if (moves > 0 && header.moves != wanted) return false;
    for (std::size_t j = 0; j < wanted; j += 4) {
      const std::uint64_t four = load(entry[kHeader + j / 4]);
      std::memcpy(priors + j, &four, sizeof(std::uint16_t) * std::min<std::size_t>(4, wanted - j));
    }
    *value = header.value;
    return load(slots_[i]) == slot;
  }
}

void Cache::prefetch(std::uint64_t key) const { __builtin_prefetch(&slots_[home(tag(key))]); }

void Cache::insert(std::span<const std::uint64_t> keys, const Value* values, const std::uint32_t* first_move,
                   const std::uint16_t* priors) {
  if (capacity_ == 0) return;
  std::size_t untouched = ring_size_;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i)
      insert(keys[i], values[i], {priors + first_move[i], priors + first_move[i + 1]});
    if (head_ + kTouch > touched_ && touched_ < ring_size_) {
      untouched = touched_;
      touched_ += kTouch;
    }
  }
  touch_pages(ring_ + untouched, std::min(kTouch, ring_size_ - untouched));  // before anybody waits for it
}

void Cache::insert(std::uint64_t key, const Value& value, std::span<const std::uint16_t> priors) {
  if (contains(key)) return;
  const std::size_t size = entry_size(priors.size());
  while (count_ == capacity_) evict();
  if (head_ + size > ring_size_) {  // back to the start: what is left at the end is skipped
    while (count_ > 0 && tail_ >= head_) evict();
    end_ = head_;
    head_ = 0;
  }
  while (count_ > 0 && tail_ >= head_ && tail_ < head_ + size) evict();

  const auto header = std::bit_cast<std::array<std::uint64_t, kHeader>>(
      Header{key, value, static_cast<std::uint32_t>(priors.size())});
  for (std::size_t i = 0; i < kHeader; ++i) store(ring_[head_ + i], header[i]);
  for (std::size_t j = 0; j < priors.size(); j += 4) {
    std::uint64_t four = 0;
    std::memcpy(&four, priors.data() + j, sizeof(std::uint16_t) * std::min<std::size_t>(4, priors.size() - j));
    store(ring_[head_ + kHeader + j / 4], four);
  }
  std::size_t i = home(tag(key));
  while (slots_[i] != 0) i = next(i);
  store(slots_[i], make_slot(key, head_));
  if (count_++ == 0) tail_ = head_;
  head_ += size;
}

bool Cache::contains(std::uint64_t key) const {
  for (std::size_t i = home(tag(key));; i = next(i)) {
    const std::uint64_t slot = load(slots_[i]);
    if (slot == 0 || (tag(slot) == tag(key) && load(ring_[place(slot)]) == key)) return slot != 0;
  }
}

// Drops the oldest entry. The slots after it move up, so that no search ends early at the hole; a reader may miss one on its way.
void Cache::evict() {
  const auto oldest = std::bit_cast<Header>(std::array{load(ring_[tail_]), load(ring_[tail_ + 1]), load(ring_[tail_ + 2])});
  std::size_t hole = home(tag(oldest.key));
  while (slots_[hole] != make_slot(oldest.key, tail_)) hole = next(hole);
  for (std::size_t i = next(hole); slots_[i] != 0; i = next(i)) {
    const std::size_t from = home(tag(slots_[i]));
    const bool stays = hole < i ? hole < from && from <= i : hole < from || from <= i;
    if (stays) continue;
    store(slots_[hole], slots_[i]);
    hole = i;
  }
  store(slots_[hole], 0);
  tail_ += entry_size(oldest.moves);
  --count_;
  if (tail_ == end_) {
    tail_ = 0;
    end_ = ring_size_;
  }
}

void Cache::clear() {
  const std::lock_guard lock(mutex_);
  std::fill_n(slots_, slot_count_, 0);
  count_ = head_ = tail_ = 0;
  end_ = ring_size_;
}

std::shared_ptr<Cache> make_cache(std::size_t positions) {
  for (positions = std::min(positions, Cache::kMostPositions);; positions /= 2) {
    try {
      return std::make_shared<Cache>(positions);
    } catch (const std::bad_alloc&) {
      if (positions == 0) throw;
    }
  }
}

}  // namespace nn
