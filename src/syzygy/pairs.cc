#include "syzygy/pairs.h"

#include <cstring>

namespace syzygy {

static std::uint64_t big_endian(const std::uint8_t* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return __builtin_bswap64(word);
}

static std::uint32_t little_endian(const std::uint8_t* bytes, int count) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, count);
  return value;
}

static void require(bool good, const char* what) {
  if (!good) throw Error(what);
}

Pairs::Pairs(Reader& file, std::uint64_t size) : size_(size) {
  flags_ = file.number(1);
  if (flags_ & kConstant) {
    constant_ = file.number(1);
    return;
  }
  block_bits_ = file.number(1);
  sparse_bits_ = file.number(1);
  extra_ = file.number(1);
  blocks_ = file.number(4);
  const int max_length = file.number(1);
  min_length_ = file.number(1);
  require(block_bits_ <= 24 && sparse_bits_ >= 1 && sparse_bits_ <= 31, "its block sizes make no sense");
  require(min_length_ >= 1 && min_length_ <= max_length && max_length <= 32, "its code lengths make no sense");
  const int lengths = max_length - min_length_ + 1;
  for (int i = 0; i < lengths; ++i) offset_.push_back(file.number(2));

  // The codes of the longest length begin at 0; each shorter length goes on where the longer ended.
  std::vector<std::uint64_t> base(lengths);
  for (int i = lengths - 2; i >= 0; --i) {
    require(offset_[i] >= offset_[i + 1], "its codes make no sense");
    const std::uint64_t twice = base[i + 1] + offset_[i] - offset_[i + 1];
    require(twice % 2 == 0, "its codes make no sense");
    base[i] = twice / 2;
    require(base[i] <= std::uint64_t{1} << (min_length_ + i), "its codes make no sense");
  }
  require(offset_.back() == 0, "its codes make no sense");
  for (int i = 0; i < lengths; ++i) {
    const bool none = base[i] >> (min_length_ + i) != 0;  // no code is so short: no word may reach it
    lowest_.push_back(none ? ~std::uint64_t{0} : base[i] << (64 - min_length_ - i));
  }

  const std::uint32_t count = file.number(2);
  const auto pairs = file.take(3 * std::uint64_t{count});
  require(count >= 1 && count <= kLeaf && offset_[0] + (std::uint64_t{1} << min_length_) - base[0] <= count, "its symbols make no sense");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint8_t* const b = &pairs[3 * i];
    symbols_.push_back({static_cast<std::uint16_t>(b[0] | (b[1] & 15) << 8), static_cast<std::uint16_t>(b[1] >> 4 | b[2] << 4), 0});
  }
  for (std::uint32_t i = 0; i < count; ++i) count_values(i, 0);
  if (count % 2) file.take(1);
}

std::uint32_t Pairs::count_values(int symbol, int depth) {
  require(symbol < static_cast<int>(symbols_.size()) && depth < 256, "its symbols make no sense");  // a cycle has no end
  Symbol& s = symbols_[symbol];
  if (s.values == 0) {
    s.values = s.right == kLeaf ? 1 : count_values(s.left, depth + 1) + count_values(s.right, depth + 1);
    require(s.values <= 65536, "its symbols make no sense");
  }
  return s.values;
}

void Pairs::read_sparse(Reader& file) {
  if (!(flags_ & kConstant)) sparse_ = file.take(6 * ((size_ + (std::uint64_t{1} << sparse_bits_) - 1) >> sparse_bits_));
}

void Pairs::read_lengths(Reader& file) {
  if (!(flags_ & kConstant)) lengths_ = file.take(2 * (std::uint64_t{blocks_} + extra_));
}

void Pairs::read_data(Reader& file) {
  if (flags_ & kConstant) return;
  file.align(64);
  data_ = file.take(std::uint64_t{blocks_} << block_bits_);
}

int Pairs::length_of_block(std::uint64_t block) const {
  require(block < std::uint64_t{blocks_} + extra_, "its index leads nowhere");
  return little_endian(&lengths_[2 * block], 2) + 1;
}

int Pairs::value(std::uint64_t index) const {
  if (flags_ & kConstant) return constant_;
  require(index < size_, "its index leads nowhere");

  // From the nearest sparse entry, which names the block and the place in it of the value in the middle of its range.
  const std::uint8_t* const entry = &sparse_[6 * (index >> sparse_bits_)];
  std::uint64_t block = little_endian(entry, 4);
  std::int64_t rest = static_cast<std::int64_t>(index & ((std::uint64_t{1} << sparse_bits_) - 1)) -
                      (std::int64_t{1} << (sparse_bits_ - 1)) + little_endian(entry + 4, 2);
  while (rest < 0) rest += length_of_block(--block);  // before block 0 the number wraps and is refused
  for (int length; rest >= (length = length_of_block(block)); ++block) rest -= length;
  require(block < blocks_, "its index leads nowhere");

  // Its codes up to the symbol that stands for the value. Up to 12 bytes beyond the block are read: the file has 16 more.
  const std::uint8_t* next = &data_[block << block_bits_];
  std::uint64_t word = big_endian(next);
  next += 8;
  int fresh = 64;  // bits of word
  const std::int64_t most = std::int64_t{8} << block_bits_;
  std::uint32_t symbol;
  for (std::int64_t used = 0;;) {
    int longer = 0;
    while (word < lowest_[longer]) ++longer;
    const int length = min_length_ + longer;
    symbol = offset_[longer] + static_cast<std::uint32_t>((word - lowest_[longer]) >> (64 - length));
    require(symbol < symbols_.size() && (used += length) <= most, "its codes lead nowhere");
    if (rest < symbols_[symbol].values) break;
    rest -= symbols_[symbol].values;
    word <<= length;
    if ((fresh -= length) < 32) {
      std::uint32_t more;
      std::memcpy(&more, next, sizeof more);
      next += 4;
      word |= std::uint64_t{__builtin_bswap32(more)} << (32 - fresh);
      fresh += 32;
    }
  }
  for (const Symbol* s; (s = &symbols_[symbol])->right != kLeaf;) {
    const std::int64_t left = symbols_[s->left].values;
    symbol = rest < left ? s->left : s->right;
    if (rest >= left) rest -= left;
  }
  return symbols_[symbol].left;
}

}  // namespace syzygy
