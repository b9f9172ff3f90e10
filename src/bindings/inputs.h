// The Python class Inputs: positions of python-chess as a network takes them, and their legal moves, if wanted.
#pragma once
#include <cstdint>
#include <vector>

#include "chess/encode.h"

struct Inputs {
  int size() const { return static_cast<int>(planes.size()); }

  std::vector<chess::Planes> planes;          // (n)
  std::vector<std::uint32_t> first_move{0};   // (n + 1)
  std::vector<std::uint16_t> indices;         // of the legal moves of all positions, into the policy
  std::vector<std::uint16_t> moves;           // the same as python-chess has them: from | to << 6 | promotion << 12
};
