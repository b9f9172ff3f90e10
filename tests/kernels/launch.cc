// The launchers of src/backends/rocm/kernels for the tests, callable through ctypes: pointers, ints, and the type by a flag. Every
// launcher is one line of LAUNCHER below; its arguments are spelled by the test.
#include <cstring>

#include "backends/rocm/kernels/kernels.h"

namespace {
thread_local std::string error;

int check(hipError_t status) {
  if (status != hipSuccess) error = hipGetErrorString(status);
  return status;
}

template <class F> int launch(F&& f) {
  try {
    f();
  } catch (const std::exception& e) {
    error = e.what();
    return -1;
  }
  if (int status = check(hipGetLastError())) return status;
  return check(hipDeviceSynchronize());
}
}  // namespace

extern "C" {
const char* last_error() { return error.c_str(); }
int device_alloc(void** p, size_t bytes) { return check(hipMalloc(p, bytes)); }
int device_free(void* p) { return check(hipFree(p)); }
int copy_in(void* to, const void* from, size_t bytes) { return check(hipMemcpy(to, from, bytes, hipMemcpyHostToDevice)); }
int copy_out(void* to, const void* from, size_t bytes) { return check(hipMemcpy(to, from, bytes, hipMemcpyDeviceToHost)); }

// The C interface of launch_NAME<T>: NAME(half?, arguments ...).
#define LAUNCHER(name, parameters, ...)                                 \
  int name parameters {                                                 \
    return launch([&] {                                                 \
      const auto run = [&]<class T>(T) { rocm::launch_##name(__VA_ARGS__); }; \
      half_type ? run(half{}) : run(float{});                           \
    });                                                                 \
  }
#define P(x) static_cast<T*>(x)
using Activation = nn::Activation;

LAUNCHER(attention, (int half_type, void* out, void* q, void* k, void* v, void* bias, int batch, int heads, int head_dim, int in_stride,
                     int out_stride),
         nullptr, P(out), P(q), P(k), P(v), P(bias), batch, heads, head_dim, in_stride, out_stride)
LAUNCHER(layer_norm, (int half_type, void* y, void* x, void* bias, void* skip, void* gain, void* shift, int rows, int cols, float alpha,
                      int activation, float eps),
         nullptr, P(y), P(x), P(bias), P(skip), P(gain), P(shift), rows, cols, alpha, Activation(activation), eps)
LAUNCHER(gemm, (int half_type, void* y, void* x, void* w, void* bias, void* skip, int batch, int rows, int cols, int depth, int one_w,
                int activation),
         nullptr, P(y), P(x), P(w), P(bias), P(skip), batch, rows, cols, depth, one_w, Activation(activation))
LAUNCHER(expand_tokens, (int half_type, void* out, void* masks, void* values, void* encoding, int batch, int extra, int shared, int stride),
         nullptr, P(out), static_cast<uint64_t*>(masks), static_cast<float*>(values), P(encoding), batch, extra, shared, stride)
LAUNCHER(expand_pieces, (int half_type, void* out, void* masks, void* values, int batch),
         nullptr, P(out), static_cast<uint64_t*>(masks), static_cast<float*>(values), batch)
LAUNCHER(bias_activation, (int half_type, void* y, void* x, void* bias, void* skip, void* multiply, void* add, int rows, int cols,
                           int activation),
         nullptr, P(y), P(x), P(bias), P(skip), P(multiply), P(add), rows, cols, Activation(activation))
LAUNCHER(policy_map, (int half_type, void* out, void* logits, void* table, void* moves, void* first, int batch, int width),
         nullptr, static_cast<float*>(out), P(logits), static_cast<int*>(table), static_cast<uint16_t*>(moves),
         static_cast<uint32_t*>(first), batch, width)
LAUNCHER(promotion_logits, (int half_type, void* flat, void* m, void* k, void* w, int batch, int depth, float scale),
         nullptr, P(flat), P(m), P(k), P(w), batch, depth, scale)
LAUNCHER(values, (int half_type, void* out, void* value, void* moves, int batch, int wdl),
         nullptr, static_cast<float*>(out), P(value), P(moves), batch, wdl)
}
