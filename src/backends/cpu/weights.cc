#include "backends/cpu/weights.h"

namespace cpu {

dnnl::memory Weights::packed(const nn::Weight& weight, const dnnl::memory::desc& wanted, const dnnl::memory::desc& plain) {
  std::lock_guard lock(mutex_);
  for (auto [found, last] = packed_.equal_range(weight.key); found != last; ++found)
    if (found->second.get_desc() == wanted) return found->second;

  Floats values = weight.make();
  dnnl::memory from(plain, engine_, values.data());
  dnnl::memory to(wanted, engine_);
  dnnl::stream stream(engine_);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  return packed_.emplace(weight.key, to)->second;
}

const float* Weights::table(const nn::Weight& weight) {
  std::lock_guard lock(mutex_);
  Floats& values = tables_[weight.key];
  if (values.empty()) values = weight.make();
  return values.data();
}

}  // namespace cpu
