// One file: .rtbw, win, draw or loss of every position of an ending, or .rtbz, the distance to the next capture or pawn move of one side.
// docs/spec/syzygy.md 2 and 9.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "chess/board.h"
#include "syzygy/arrangement.h"
#include "syzygy/mapped_file.h"
#include "syzygy/pairs.h"

namespace syzygy {

// A position as the files see it, in real colours.
struct Men {
  explicit Men(const chess::Board& board);
  // What kinds of men are there: four bits for each, the kings left out.
  std::uint64_t material() const;
  std::uint64_t mirrored_material() const;  // with the colours exchanged
  int count() const;

  chess::Bitboard of[2][6];  // White's and Black's, by chess::PieceType
  bool black;                // to move
};

// The men of an ending: "KRPvKB" has K, R and P on side 0.
struct Ending {
  std::string name;
  std::array<std::array<int, 6>, 2> count{};  // by chess::PieceType
  std::uint64_t material() const;             // with side 0 as White
  bool pawns() const { return count[0][chess::kPawn] + count[1][chess::kPawn] > 0; }
  bool symmetric() const { return count[0] == count[1]; }
  int men() const;
};

enum class Kind { kWdl, kDtz };

class Table {
 public:
  Table(const std::string& path, const Ending& ending, Kind kind);  // throws Error

  // Of a position of this ending; throw Error where the file is damaged.
  // What is stored of win, draw or loss, 2 to -2, for the side to move: a lower bound where a capture decides.
  int wdl(const Men& men) const;
  // Plies to the next capture or pawn move, and 100 more if wdl is 1 or -1; signed as wdl, which must not be 0. Only if it is stored for
  // the side to move, and no winning capture or pawn move is there.
  bool stores(const Men& men) const;
  int dtz(const Men& men, int wdl) const;

 private:
  struct Subtable {
    Arrangement arrangement;
    Pairs pairs;
    std::array<std::vector<std::uint16_t>, 4> map;  // of wins, losses, cursed wins, blessed losses
  };
  struct Place {
    const Subtable& subtable;
    bool side;  // colour to move, as the file counts
    chess::Square squares[kMostMen];
  };
  Place locate(const Men& men) const;
  void parse(Kind kind);
  void parse_maps(Reader& file);

  MappedFile file_;
  Ending ending_;
  int sides_ = 1;                    // to move, each with its subtable
  bool colours_exchanged_ = false;   // the file's colour 0 is side 1 of the name
  std::vector<Subtable> subtables_;  // for each file of the lead pawn, for each side
};

}  // namespace syzygy
