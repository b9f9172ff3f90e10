#include "syzygy/table.h"

#include <algorithm>
#include <bit>

#include "error.h"

namespace syzygy {

using chess::Bitboard, chess::Square;

Men::Men(const chess::Board& board) : black(board.black_to_move()) {
  for (int type = 0; type < 6; ++type) {
    const Bitboard ours = board.ours(static_cast<chess::PieceType>(type)), theirs = board.theirs(static_cast<chess::PieceType>(type));
    of[black][type] = black ? chess::flip_ranks(ours) : ours;
    of[!black][type] = black ? chess::flip_ranks(theirs) : theirs;
  }
}

static std::uint64_t material_of(auto&& count) {  // count(side, type)
  std::uint64_t key = 0;
  for (int side = 0; side < 2; ++side)
    for (int type = 0; type < chess::kKing; ++type) key = key << 4 | count(side, type);
  return key;
}

std::uint64_t Men::material() const {
  return material_of([this](int side, int type) { return std::popcount(of[side][type]); });
}
std::uint64_t Men::mirrored_material() const {
  return material_of([this](int side, int type) { return std::popcount(of[!side][type]); });
}
int Men::count() const {
  int sum = 0;
  for (const auto& side : of)
    for (Bitboard men : side) sum += std::popcount(men);
  return sum;
}

std::uint64_t Ending::material() const {
  return material_of([this](int side, int type) { return count[side][type]; });
}
int Ending::men() const {
  int sum = 0;
  for (const auto& side : count)
    for (int men : side) sum += men;
  return sum;
}

Table::Table(const std::string& path, const Ending& ending, Kind kind) : file_(path), ending_(ending) { parse(kind); }

void Table::parse(Kind kind) {
  const auto bytes = file_.bytes();
  if (bytes.size() < 32 || bytes.size() % 64 != 16) throw Error("its length is not that of a table");
  Reader file(bytes.first(bytes.size() - 16));  // without the checksum
  if (file.number(4) != (kind == Kind::kWdl ? 0x5d23e871 : 0xa50c66d7)) throw Error("it does not begin like a table");
  const int flags = file.number(1), men = ending_.men();
  if ((flags & 3) != (ending_.pawns() << 1 | !ending_.symmetric())) throw Error("it is another ending's");
  sides_ = kind == Kind::kWdl && !ending_.symmetric() ? 2 : 1;
  const int files = ending_.pawns() ? 4 : 1;
  const bool both_have_pawns = ending_.count[0][chess::kPawn] && ending_.count[1][chess::kPawn];

  std::vector<Arrangement> arrangements;
  for (int f = 0; f < files; ++f) {
    const int order = file.number(1), order2 = both_have_pawns ? file.number(1) : 0;
    const auto codes = file.take(men);
    for (int side = 0; side < sides_; ++side) {
      std::vector<Code> list;
      std::array<std::array<int, 6>, 2> count{};
      for (std::uint8_t byte : codes) {
        const Code code = byte >> 4 * side & 15;
        if ((code & 7) < 1 || (code & 7) > 6) throw Error("its pieces make no sense");
        list.push_back(code);
        ++count[colour_of(code)][type_of(code)];
      }
      const bool exchanged = count != ending_.count;
      if (exchanged && (count[0] != ending_.count[1] || count[1] != ending_.count[0])) throw Error("it is another ending's");
      if (!arrangements.empty() && (exchanged != colours_exchanged_ || (files == 4 && list[0] != arrangements[0].codes()[0])))
        throw Error("its pieces make no sense");
      colours_exchanged_ = exchanged;
      arrangements.emplace_back(list, order >> 4 * side & 15, order2 >> 4 * side & 15, files == 4 ? f : -1);
    }
  }
  file.align(2);
  for (Arrangement& arrangement : arrangements) {
    Pairs pairs(file, arrangement.size());
    subtables_.push_back({std::move(arrangement), std::move(pairs), {}});
  }
  if (kind == Kind::kDtz) parse_maps(file);
  for (Subtable& subtable : subtables_) subtable.pairs.read_sparse(file);
  for (Subtable& subtable : subtables_) subtable.pairs.read_lengths(file);
  for (Subtable& subtable : subtables_) subtable.pairs.read_data(file);
}

void Table::parse_maps(Reader& file) {
  for (Subtable& subtable : subtables_) {
    const int flags = subtable.pairs.flags();
    if (flags & Pairs::kConstant || !(flags & Pairs::kMapped)) continue;
    const int width = flags & Pairs::kWideMap ? 2 : 1;
    if (width == 2) file.align(2);
    for (auto& list : subtable.map) {
      list.resize(file.number(width));
      for (std::uint16_t& entry : list) entry = file.number(width);
    }
  }
  file.align(2);
}

Table::Place Table::locate(const Men& men) const {
  // Real colours from those of the file: by who has the men of its colour 0 or, where both have the same, by who is to move.
  const bool flip = ending_.symmetric() ? men.black : (men.material() != ending_.material()) != colours_exchanged_;
  const bool side = men.black != flip;
  const auto squares_of = [&](Code code) { return men.of[colour_of(code) != flip][type_of(code)]; };
  const int ranks = flip && ending_.pawns() ? 56 : 0;

  int file = 0;
  if (ending_.pawns()) {
    Square pawns[kMostMen];
    int count = 0;
    for (Bitboard rest = squares_of(subtables_[0].arrangement.codes()[0]); rest;) pawns[count++] = chess::pop_lowest(rest) ^ ranks;
    file = chess::file_of(pawns[Arrangement::lead_pawn(pawns, count)]);
    file = std::min(file, 7 - file);
  }
  Place place{subtables_[file * sides_ + (sides_ == 2 && side)], side, {}};
  const auto& codes = place.subtable.arrangement.codes();
  Bitboard rest = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (i == 0 || codes[i] != codes[i - 1]) rest = squares_of(codes[i]);
    place.squares[i] = chess::pop_lowest(rest) ^ ranks;
  }
  return place;
}

int Table::wdl(const Men& men) const {
  Place place = locate(men);
  const int value = place.subtable.pairs.value(place.subtable.arrangement.index(place.squares));
  if (value > 4) throw Error("a value in it makes no sense");
  return value - 2;
}

bool Table::stores(const Men& men) const {
  if (ending_.symmetric()) return true;  // both sides map to the same
  const Place place = locate(men);
  return place.side == ((place.subtable.pairs.flags() & Pairs::kBlackStored) != 0);
}

int Table::dtz(const Men& men, int wdl) const {
  Place place = locate(men);
  const Pairs& pairs = place.subtable.pairs;
  int value = pairs.value(place.subtable.arrangement.index(place.squares));
  const int flags = pairs.flags();
  if (!(flags & Pairs::kConstant) && flags & Pairs::kMapped) {
    const auto& map = place.subtable.map[wdl == 2 ? 0 : wdl == -2 ? 1 : wdl == 1 ? 2 : 3];
    if (value >= static_cast<int>(map.size())) throw Error("a value in it makes no sense");
    value = map[value];
  }
  if (!(wdl == 2 && flags & Pairs::kWinsInPlies) && !(wdl == -2 && flags & Pairs::kLossesInPlies)) value *= 2;
  value += wdl == 2 || wdl == -2 ? 1 : 101;
  return wdl > 0 ? value : -value;
}

}  // namespace syzygy
