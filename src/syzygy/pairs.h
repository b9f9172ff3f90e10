// One subtable: its values in the order of their numbers, as Huffman codes of symbols that stand for pairs of symbols.
// docs/spec/syzygy.md 7 and 8.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "syzygy/reader.h"

namespace syzygy {

class Pairs {
 public:
  // Reads the header of a subtable of `size` values. Throws Error.
  Pairs(Reader& file, std::uint64_t size);
  // The three parts that follow all headers, in this order; a file holds each for all of its subtables.
  void read_sparse(Reader& file);
  void read_lengths(Reader& file);
  void read_data(Reader& file);

  int flags() const { return flags_; }
  // Value number `index`. Throws Error where the file is damaged.
  int value(std::uint64_t index) const;

  enum Flag { kBlackStored = 1, kMapped = 2, kWinsInPlies = 4, kLossesInPlies = 8, kWideMap = 16, kConstant = 128 };

 private:
  struct Symbol {
    std::uint16_t left, right;  // right is kLeaf: one value, left
    std::uint32_t values;       // that it stands for
  };
  static constexpr int kLeaf = 0xfff;

  std::uint32_t count_values(int symbol, int depth);
  int length_of_block(std::uint64_t block) const;

  std::uint64_t size_;
  int flags_ = 0, constant_ = 0;
  int block_bits_ = 0;   // log2 of a block's bytes
  int sparse_bits_ = 0;  // log2 of the values between two sparse entries
  std::uint32_t extra_ = 0, blocks_ = 0;
  int min_length_ = 0;                  // of a code
  std::vector<std::uint64_t> lowest_;   // by length: the smallest code, at the top of 64 bits
  std::vector<std::uint32_t> offset_;   // by length: its symbol
  std::vector<Symbol> symbols_;
  std::span<const std::uint8_t> sparse_, lengths_, data_;
};

}  // namespace syzygy
