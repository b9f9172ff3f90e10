// Part of a batch as a batch of its own.
#pragma once
#include <vector>

#include "nn/backend.h"

// Positions begin .. end - 1. `first_move` holds the offsets of the part's moves, counted from its own start.
nn::Batch slice(const nn::Batch& batch, int begin, int end, std::vector<std::uint32_t>& first_move);
