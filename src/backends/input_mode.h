// The option input_mode of back ends without a network: the input format, by its number in net files.
#pragma once
#include <algorithm>
#include <string>

#include "error.h"
#include "nn/backend.h"

inline chess::InputFormat input_mode(const nn::Options& options) {
  const std::int64_t mode = options.integer("input_mode", 1);
  const auto known = {1, 2, 3, 4, 5, 132, 133};
  if (std::find(known.begin(), known.end(), mode) == known.end())
    throw Error("input_mode is " + std::to_string(mode) + ", expected 1, 2, 3, 4, 5, 132 or 133");
  return static_cast<chess::InputFormat>(mode);
}
