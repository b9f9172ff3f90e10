// gemm() for test_rocm_gemm.py.
#include "backends/rocm/linear/gemm_trial.h"
#include "backends/rocm/kernels/kernels.h"
#include "rocm_calls.h"

namespace {

using calls::guarded, calls::planner, calls::stream, calls::upload;

thread_local std::string faults;

template <class T>
void product(void* y, const void* x, const void* w, const void* bias, const void* skip, int batch, int rows, int cols, int depth, bool one_w,
             bool in_place, int activation, const void* norm) {
  const std::size_t y_bytes = sizeof(T) * batch * rows * cols;
  const auto dx = upload(x, sizeof(T) * batch * rows * depth), dw = upload(w, sizeof(T) * (one_w ? 1 : batch) * cols * depth),
             db = upload(bias, sizeof(T) * cols), ds = upload(skip, y_bytes), dy = upload(y, y_bytes),
             dn = upload(norm, sizeof(T) * 2 * cols);
  T* const to = in_place ? ds.as<T>() : dy.as<T>();
  if (!faults.empty()) hip_emulated_configure(faults.c_str());
  rocm::Product<T> p{to, dx.as<T>(), dw.as<T>(), db.as<T>(), ds.as<T>(), rows, cols, depth, batch, one_w, static_cast<nn::Activation>(activation)};
  if (norm) p.norm = {dn.as<T>(), dn.as<T>() + cols, 0.7f, 1e-3f};
  rocm::gemm<T>(*stream, p);
  stream->wait();
  if (!faults.empty()) hip_emulated_configure("");
  rocm::check(hipMemcpy(y, to, y_bytes, hipMemcpyDeviceToHost), "downloading");
}

}  // namespace

extern "C" {
void fail_in_products(const char* settings) { faults = settings; }  // after the arrays are there

int run_product(int half_type, void* y, void* x, void* w, void* bias, void* skip, int batch, int rows, int cols, int depth, int one_w,
                int in_place, int activation, void* norm, double measure_s) {  // norm: gain, then shift; or null
  return guarded([&] {
    planner->measure_for(measure_s);
    (half_type ? product<half> : product<float>)(y, x, w, bias, skip, batch, rows, cols, depth, one_w, in_place, activation, norm);
    planner->measure_for(0);
  });
}

// Whether the check of an auction accepts a product whose bias, or last row, or all is left out; 1 or 0, -1 for an error.
int trial_accepts(int without_bias, int without_last_row, int without_all) {
  int accepted = -1;
  guarded([&] {
    const rocm::GemmShape shape{9, 24, 40, 1, true, true, true};
    accepted = rocm::GemmTrial<half>(*stream, shape).good([&](rocm::Product<half> p) {
      if (without_bias) p.bias = nullptr;
      if (without_last_row) p.rows -= 1;
      if (!without_all) rocm::gemm(*stream, p);
      return true;
    });
  });
  return accepted;
}
}
