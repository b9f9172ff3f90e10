// Layers of a pass on their way to somebody who looks at them (nn/layers.h), and back: to the host and, where they were changed, to the device
// again, while the pass waits.
#pragma once
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "backends/rocm/device/stream.h"
#include "nn/layers.h"

namespace rocm {

// How a layer lies in an array of the pass: so many rows a position, `stride` numbers from one to the next, with `groups` of numbers that
// begin `group` apart. What is stored times `factor` is the layer.
struct Rows {
  int count, stride;
  int groups = 1, group = 0;
  float factor = 1;
};

class Probe {
 public:
  // Of a pass over positions first .. first + count - 1 of what is looked at.
  Probe(Stream& stream, const nn::Visit& visit, const std::vector<nn::Layer>& layers, int first, int count, std::chrono::nanoseconds patience);

  bool wants(const std::string& name) const { return visit_.wanted.contains(name); }
  const std::vector<int>& shape(const std::string& name) const { return shapes_.at(name); }  // of one position
  template <class T>
  void show(const std::string& name, T* x, const Rows& rows);  // a layer that is wanted

 private:
  Stream& stream_;
  const nn::Visit& visit_;
  std::map<std::string, std::vector<int>> shapes_;
  const int first_, count_;
  const std::chrono::nanoseconds patience_;
};

}  // namespace rocm
