// From men on squares to the number of a position in a subtable: pieces in the file's order, cut into groups, each group a digit.
// docs/spec/syzygy.md 3 to 6.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "chess/types.h"

namespace syzygy {

constexpr int kMostMen = 7;

// A man as files write it: 1 to 6 for pawn to king, and 8 more for colour 1.
using Code = std::uint8_t;
constexpr int type_of(Code code) { return (code & 7) - 1; }  // chess::PieceType
constexpr int colour_of(Code code) { return code >> 3; }

class Arrangement {
 public:
  // codes: the men in the file's order. order, order2: the places of the lead group and of the other side's pawns in the number (order2 is
  // of no matter without them). pawn_file: 0 to 3, of the lead pawn, in a table with pawns, else -1. Throws Error.
  Arrangement(std::span<const Code> codes, int order, int order2, int pawn_file);

  const std::vector<Code>& codes() const { return codes_; }
  std::uint64_t size() const { return size_; }  // of the subtable
  // squares: of the codes, in their order, and in the frame of the file's colours; they are changed.
  std::uint64_t index(chess::Square* squares) const;

  // Which of the pawns on these squares leads, as its place among them.
  static int lead_pawn(const chess::Square* pawns, int count);

 private:
  struct Group {
    int first, size;
    std::uint64_t factor;
  };
  void cut(bool pawns);
  std::uint64_t cardinality(const Group& group, bool second, int& free, int pawn_file) const;
  std::uint64_t lead_without_pawns(chess::Square* squares) const;
  std::uint64_t lead_with_pawns(chess::Square* squares) const;

  std::vector<Code> codes_;
  std::vector<Group> groups_;  // the lead first, then the other side's pawns if there are any
  bool pawns_ = false, second_ = false;
  std::uint64_t size_ = 1;
};

}  // namespace syzygy
