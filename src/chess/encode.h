// From a game to the network's input: 112 bit planes with a value each (every input format of Lc0 nets).
#pragma once
#include <array>
#include <cstdint>

#include "chess/history.h"

namespace chess {

inline constexpr int kPlanes = 112;

struct Planes {
  std::array<Bitboard, kPlanes> mask{};  // the squares that hold the value; the others hold 0
  std::array<float, kPlanes> value{};
};

// The numbers are those of the net file's NetworkFormat.input.
enum class InputFormat {
  kClassical = 1,
  kCastlingPlane = 2,
  kCanonical = 3,
  kCanonicalHectoplies = 4,
  kCanonicalV2 = 5,
  kCanonicalHectopliesArmageddon = 132,
  kCanonicalV2Armageddon = 133,
};

enum class HistoryFill { kNo, kFenOnly, kAlways };

// What the canonical formats do to the board of `position`: bits 1 mirror files, 2 mirror ranks, 4 reflect in h1-a8.
// 0 for the other formats.
int canonical_transform(const Position& position, InputFormat format);

Planes encode(const History& history, InputFormat format, HistoryFill fill);

// One plane as 64 floats, square by square.
void expand_plane(Bitboard mask, float value, float* squares);

}  // namespace chess
