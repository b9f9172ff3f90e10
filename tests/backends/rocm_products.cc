// gemm() for test_rocm_gemm.py.
#include <algorithm>

#include "backends/rocm/device/quantise.h"
#include "backends/rocm/linear/gemm.h"
#include "backends/rocm/linear/gemm_trial.h"
#include "backends/rocm/kernels/kernels.h"
#include "rocm_calls.h"

namespace {

using calls::guarded, calls::planner, calls::stream, calls::upload;

thread_local std::string faults, way;

// What a test's product is, with host arrays; null or 0 for what it has not. norm: gain, then shift.
struct Asked {
  void *y, *side, *x, *w, *bias, *skip, *norm, *w8, *scales;
  int batch, rows, cols, depth, side_cols, one_w, in_place, activation;
  int kind, rows8;  // rows8: x, too, is taken in 8 bits, or in halves if w is there
};

template <class T>
void product(const Asked& a) {
  const std::size_t rows = sizeof(T) * a.batch * a.rows, y_bytes = rows * (a.cols - a.side_cols), side_bytes = rows * a.side_cols;
  const auto x = upload(a.x, rows * a.depth), w = upload(a.w, sizeof(T) * (a.one_w ? 1 : a.batch) * a.cols * a.depth),
             bias = upload(a.bias, sizeof(T) * a.cols), skip = upload(a.skip, y_bytes), y = upload(a.y, y_bytes), side = upload(a.side, side_bytes),
             norm = upload(a.norm, sizeof(T) * 2 * a.cols), w8 = upload(a.w8, std::size_t(a.cols) * a.depth),
             scales = upload(a.scales, sizeof(float) * ((a.cols + 7) / 8 * 8));
  T* const to = a.in_place ? skip.as<T>() : y.as<T>();
  if (!faults.empty()) hip_emulated_configure(faults.c_str());
  rocm::Product<T> p{to, x.as<T>(), w.as<T>(), bias.as<T>(), a.rows, a.cols, a.depth, a.batch, a.one_w != 0, static_cast<nn::Activation>(a.activation)};
  if (a.norm) p.norm = {skip.as<T>(), norm.as<T>(), norm.as<T>() + a.cols, 0.7f, 1e-3f};
  if (a.side_cols) p.side = side.as<T>(), p.side_cols = a.side_cols;
  if (a.w8) p.w8 = {w8.as<void>(), scales.as<float>(), static_cast<rocm::Numbers>(a.kind)};
  p.quantise = a.rows8;
  rocm::gemm<T>(*stream, p);
  stream->wait();
  if (!faults.empty()) hip_emulated_configure("");
  rocm::check(hipMemcpy(a.y, to, y_bytes, hipMemcpyDeviceToHost), "downloading");
  if (a.side_cols) rocm::check(hipMemcpy(a.side, side.as<T>(), side_bytes, hipMemcpyDeviceToHost), "downloading");
}

}  // namespace

extern "C" {
const char* untried_own_way(const char* architecture, int compute_units, int batch, int rows, int cols, int depth) {
  const rocm::Device device{.architecture = architecture, .compute_units = compute_units};
  return (way = rocm::untried_own_way(device, {.rows = rows, .cols = cols, .depth = depth, .batch = batch, .half = true})).c_str();
}

void fail_in_products(const char* settings) { faults = settings; }  // after the arrays are there

int run_product(int half_type, const Asked* asked, double measure_s) {
  return guarded([&] {
    planner->measure_for(measure_s);
    (half_type ? product<half> : product<float>)(*asked);
    planner->measure_for(0);
  });
}

// numbers (rows, cols) and scales (rows rounded up to 8) of a matrix.
int quantise(const float* matrix, int rows, int cols, int kind, std::uint8_t* numbers, float* scales) {
  return guarded([&] {
    const rocm::Quantised q = rocm::quantised({matrix, matrix + std::size_t(rows) * cols}, rows, cols, static_cast<rocm::Numbers>(kind), "of a test");
    std::ranges::copy(q.numbers, numbers);
    std::ranges::copy(q.scales, scales);
  });
}

// Whether the check of an auction accepts a product whose bias, or last row, or all is left out; 1 or 0, -1 for an error.
int trial_accepts(int without_bias, int without_last_row, int without_all, int w8, int kind, int quantise) {
  int accepted = -1;
  guarded([&] {
    const rocm::GemmShape shape{.rows = 9, .cols = 24, .depth = 48, .half = true, .bias = true, .w8 = w8 != 0, .kind = static_cast<rocm::Numbers>(kind),
                                .x8 = quantise != 0, .quantise = quantise != 0, .or_half = quantise != 0};
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
