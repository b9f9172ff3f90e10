// The arrays between a network's layers, by name: what can be looked at and replaced in a pass. Names and shapes are said here alone; the
// back ends' network.cc show the arrays under them.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "nn/description.h"

namespace nn {

struct Layer {
  std::string name;
  std::vector<int> shape;  // of one position; squares before channels
};

// In the order of a pass.
std::vector<Layer> layers(const Description& description);

// Somebody who looks into a pass.
struct Visit {
  std::set<std::string> wanted;  // names of layers
  // Called in the evaluating thread for each of them, with the array of positions first .. first + count - 1 of the batch, (count, *shape).
  // True: the pass goes on with what is in it now.
  std::function<bool(const std::string& name, int first, int count, float* values)> see;
};

}  // namespace nn
