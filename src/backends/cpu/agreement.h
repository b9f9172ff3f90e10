// How far the answers of one back end lie from those of another for the same network, over varied positions.
#pragma once
#include "nn/backend.h"

namespace cpu {

struct Agreement {
  double divergence;  // of the legal moves' policy: KL(exact, other), mean
  double q;           // mean difference
  double best_moves;  // share of positions in which both prefer the same move
};

// Over 64 positions of games at random, always the same.
Agreement agreement(nn::Backend& exact, nn::Backend& other);

}  // namespace cpu
