// The launchers of src/backends/rocm/kernels for the tests, callable through ctypes: pointers, ints, and the type by a flag. Every
// launcher is one line of LAUNCHER below; its arguments are spelled by the test.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

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
                     int out_stride, int compute_units),
         nullptr, P(out), P(q), P(k), P(v), P(bias), batch, heads, head_dim, in_stride, out_stride, compute_units)
LAUNCHER(attention_map, (int half_type, void* map, void* q, void* k, void* bias, int batch, int heads, int head_dim, int stride),
         nullptr, static_cast<float*>(map), P(q), P(k), P(bias), batch, heads, head_dim, stride)
LAUNCHER(mix_values, (int half_type, void* out, void* map, void* v, int batch, int heads, int head_dim, int stride, int out_stride),
         nullptr, P(out), static_cast<float*>(map), P(v), batch, heads, head_dim, stride, out_stride)
LAUNCHER(layer_norm, (int half_type, void* y, void* x, void* bias, void* skip, void* gain, void* shift, int rows, int cols, float alpha,
                      int activation, float eps),
         nullptr, P(y), P(x), 1, cols, P(bias), P(skip), P(gain), P(shift), rows, cols, alpha, Activation(activation), eps)
int layer_norm_parts(int half_type, void* y, void* x, int parts, int ld, void* bias, void* skip, void* gain, void* shift, int rows, int cols,
                     float alpha, int activation, float eps) {
  return launch([&] {
    const auto run = [&]<class T>(T) {
      rocm::launch_layer_norm<float, T>(nullptr, P(y), static_cast<float*>(x), parts, ld, P(bias), P(skip), P(gain), P(shift), rows, cols, alpha,
                                        Activation(activation), eps);
    };
    half_type ? run(half{}) : run(float{});
  });
}
int gemm(int half_type, void* y, void* side, int side_cols, void* x, void* w, void* bias, int batch, int rows, int cols, int depth, int one_w,
         int activation, int tile, int splits, float* parts) {  // with what has to follow
  return launch([&] {
    const auto run = [&]<class T>(T) {
      rocm::launch_gemm<T>(nullptr, P(y), P(side), side_cols, P(x), P(w), P(bias), batch, rows, cols, depth, one_w, Activation(activation), tile,
                           splits, parts);
      if (rocm::gemm_parts_bytes<T>(batch, rows, cols, splits) > 0)
        rocm::launch_gemm_finish<float, T>(nullptr, P(y), P(side), side_cols, parts, splits, P(bias), size_t(batch) * rows, cols,
                                           (cols + 7) / 8 * 8, Activation(activation));
    };
    half_type ? run(half{}) : run(float{});
  });
}
int gemm_int8(int, void* y, void* side, int side_cols, void* x, void* w, float* scales, void* bias, int rows, int cols, int depth, int activation,
              int tile, int splits, float* parts) {  // with what has to follow
  return launch([&] {
    using T = half;
    rocm::launch_gemm_int8(nullptr, P(y), P(side), side_cols, P(x), static_cast<int8_t*>(w), scales, P(bias), rows, cols, depth,
                           Activation(activation), tile, splits, parts);
    if (rocm::gemm_parts_bytes<half>(1, rows, cols, splits) > 0)
      rocm::launch_gemm_finish<float, half>(nullptr, P(y), P(side), side_cols, parts, splits, P(bias), rows, cols, (cols + 7) / 8 * 8,
                                            Activation(activation));
  });
}
// kind: of rocm::Numbers
int gemm_rows8(int, void* y, void* side, int side_cols, void* x, float* row_scales, void* w, float* col_scales, void* bias, int rows, int cols,
               int depth, int activation, int tile, int kind) {
  return launch([&] {
    using T = half;
    const auto numbers = rocm::Numbers(kind);
    rocm::launch_gemm_rows8(nullptr, P(y), P(side), side_cols, {x, row_scales, numbers}, {w, col_scales, numbers}, P(bias), rows, cols, depth,
                            Activation(activation), tile);
  });
}
int quantise_rows(int, void* numbers, float* scales, void* x, int rows, int cols, int kind) {
  return launch([&] { rocm::launch_quantise_rows(nullptr, {numbers, scales, rocm::Numbers(kind)}, static_cast<half*>(x), rows, cols); });
}
int activate_rows(int, void* numbers, float* scales, void* y, void* x, void* bias, int rows, int cols, int activation, int kind) {
  return launch([&] {
    using T = half;
    rocm::launch_activate_rows(nullptr, {numbers, scales, rocm::Numbers(kind)}, P(y), P(x), P(bias), rows, cols, Activation(activation));
  });
}
int layer_norm_8(int, void* y, void* x, int parts, int ld, void* bias, void* skip, void* gain, void* shift, void* numbers, float* scales, int rows,
                 int cols, float alpha, int activation, float eps, int kind) {  // of one whole product, or of its parts in float
  return launch([&] {
    using T = half;
    const auto run = [&]<class Part>(Part*) {
      rocm::launch_layer_norm<Part, T>(nullptr, P(y), static_cast<Part*>(x), std::max(parts, 1), ld, P(bias), P(skip), P(gain), P(shift), rows, cols,
                                       alpha, Activation(activation), eps, {numbers, scales, rocm::Numbers(kind)});
    };
    parts ? run(static_cast<float*>(nullptr)) : run(static_cast<half*>(nullptr));
  });
}
LAUNCHER(expand_weights, (int half_type, void* w, void* int8, float* scales, int rows, int cols),
         nullptr, P(w), static_cast<int8_t*>(int8), scales, rows, cols)
// Microseconds of gemm in halves with what has to follow, on arrays of zeros: the least mean of three series of `runs`.
int time_gemm(int rows, int cols, int depth, int tile, int splits, int runs, float* microseconds) {
  void *y = nullptr, *x = nullptr, *w = nullptr, *parts = nullptr;
  hipStream_t stream = nullptr;
  hipEvent_t begin = nullptr, end = nullptr;
  const size_t parts_bytes = rocm::gemm_parts_bytes<half>(1, rows, cols, splits);
  const auto series = [&](int count) {
    for (int i = 0; i < count; ++i) {
      rocm::launch_gemm<half>(stream, static_cast<half*>(y), nullptr, 0, static_cast<half*>(x), static_cast<half*>(w), nullptr, 1, rows, cols,
                              depth, true, Activation::kNone, tile, splits, static_cast<float*>(parts));
      if (parts)
        rocm::launch_gemm_finish<float, half>(stream, static_cast<half*>(y), nullptr, 0, static_cast<float*>(parts), splits, nullptr, rows, cols,
                                              (cols + 7) / 8 * 8, Activation::kNone);
    }
  };
  const int status = launch([&] {
    const auto fresh = [](void*& p, size_t bytes) {
      if (bytes && (hipMalloc(&p, bytes) != hipSuccess || hipMemset(p, 0, bytes) != hipSuccess)) throw std::runtime_error("out of memory");
    };
    fresh(y, size_t(rows) * cols * 2), fresh(x, size_t(rows) * depth * 2), fresh(w, size_t(cols) * depth * 2), fresh(parts, parts_bytes);
    if (hipStreamCreateWithFlags(&stream, hipStreamNonBlocking) != hipSuccess) throw std::runtime_error("no stream");
    if (hipEventCreate(&begin) != hipSuccess || hipEventCreate(&end) != hipSuccess) throw std::runtime_error("no events");
    if (hipDeviceSynchronize() != hipSuccess) throw std::runtime_error("the device failed");  // the zeros are of another stream
    series(3);
    *microseconds = INFINITY;
    for (int i = 0; i < 3; ++i) {
      float milliseconds = 0;
      (void)hipEventRecord(begin, stream);
      series(runs);
      (void)hipEventRecord(end, stream);
      (void)hipEventSynchronize(end);
      (void)hipEventElapsedTime(&milliseconds, begin, end);
      *microseconds = std::min(*microseconds, 1000 * milliseconds / runs);
    }
  });
  for (hipEvent_t e : {begin, end})
    if (e) (void)hipEventDestroy(e);
  if (stream) (void)hipStreamDestroy(stream);
  for (void* p : {y, x, w, parts})
    if (p) (void)hipFree(p);
  return status;
}
LAUNCHER(expand_tokens, (int half_type, void* out, void* masks, void* values, void* encoding, int batch, int extra, int shared, int stride),
         nullptr, P(out), static_cast<uint64_t*>(masks), static_cast<float*>(values), P(encoding), batch, extra, shared, stride)
LAUNCHER(expand_pieces, (int half_type, void* out, void* masks, void* values, int batch),
         nullptr, P(out), static_cast<uint64_t*>(masks), static_cast<float*>(values), batch)
LAUNCHER(bias_activation, (int half_type, void* y, void* x, void* bias, void* skip, void* multiply, void* add, int rows, int cols,
                           int activation),
         nullptr, P(y), P(x), P(bias), P(skip), P(multiply), P(add), rows, cols, Activation(activation))
LAUNCHER(patches, (int half_type, void* out, void* x, int batch, int channels), nullptr, P(out), P(x), batch, channels)
LAUNCHER(squeeze_excitation, (int half_type, void* y, void* x, void* bias, void* skip, void* w1, void* b1, void* w2, void* b2, int width,
                              int batch, int channels, int hidden, int end),
         nullptr, P(y), P(x), P(bias), P(skip), {P(w1), P(b1), P(w2), P(b2), width}, batch, channels, Activation(hidden), Activation(end))
LAUNCHER(winograd_input, (int half_type, void* v, void* x, int batch, int channels), nullptr, P(v), P(x), batch, channels)
int winograd_output(int half_type, void* y, void* m, void* bias, void* skip, void* w1, void* b1, void* w2, void* b2, int width, int batch,
                    int channels, int activation) {
  return launch([&] {
    const auto run = [&]<class T>(T) {
      const rocm::SqueezeExcitation<T> se{P(w1), P(b1), P(w2), P(b2), width};
      rocm::launch_winograd_output<T>(nullptr, P(y), P(m), P(bias), P(skip), width ? &se : nullptr, batch, channels, Activation(activation));
    };
    half_type ? run(half{}) : run(float{});
  });
}
int winograd_between(int half_type, void* v, void* x, void* m, void* bias, void* skip, void* w1, void* b1, void* w2, void* b2, int width, int batch,
                     int channels, int activation) {
  return launch([&] {
    const auto run = [&]<class T>(T) {
      const rocm::SqueezeExcitation<T> se{P(w1), P(b1), P(w2), P(b2), width};
      rocm::launch_winograd_between<T>(nullptr, P(v), P(x), P(m), P(bias), P(skip), width ? &se : nullptr, batch, channels, Activation(activation));
    };
    half_type ? run(half{}) : run(float{});
  });
}
// w (count, 2, 9, channels / 32, channels, 32), b (count, 2, channels); se: w1, b1, w2, b2 of each block, or null.
int tower(int, void* y, void* x, void* masks, void* values, void* input_w, void* input_b, void* w, void* b, void* se, int width, int count,
          int batch, int activation, int tile) {
  return launch([&] {
    using T = half;
    const int channels = rocm::kTowerTiles[tile].channels;
    rocm::TowerPart<half> part{P(input_w), P(input_b), count, {}};
    for (int i = 0; i < count; ++i) {
      const half *const layers = P(w) + size_t(2) * i * 9 * channels * channels, *const biases = P(b) + 2 * i * channels,
                 *const w1 = P(se) + i * (3 * width * channels + width + 2 * channels), *const b1 = w1 + width * channels,
                 *const w2 = b1 + width, *const b2 = w2 + 2 * width * channels;
      part.blocks[i] = {layers, biases, layers + 9 * channels * channels, biases + channels, {w1, b1, w2, b2, width}};
    }
    rocm::launch_tower(nullptr, P(y), P(x), static_cast<uint64_t*>(masks), static_cast<float*>(values), part, batch, Activation(activation), tile);
  });
}
int smolgen(int, void* y, void* hidden, float* scratch, void* x, void* compress, void* dense1, void* bias1, void* gain1, void* shift1, void* dense2,
            void* bias2, void* gain2, void* shift2, void* generate, float eps, int batch, int channels, int heads, int activation) {
  return launch([&] {
    using T = half;
    rocm::launch_smolgen(nullptr, P(y), P(hidden), scratch, P(x), {P(compress), P(dense1), P(bias1), P(gain1), P(shift1), P(dense2), P(bias2), P(gain2),
                         P(shift2), P(generate), eps, eps}, batch, channels, heads, Activation(activation));
  });
}
LAUNCHER(policy_map, (int half_type, void* out, void* logits, void* table, void* moves, void* first, int batch, int width),
         nullptr, static_cast<float*>(out), P(logits), static_cast<int*>(table), static_cast<uint16_t*>(moves),
         static_cast<uint32_t*>(first), batch, width)
LAUNCHER(attention_policy, (int half_type, void* out, void* queries_keys, void* promotions, void* places, void* moves, void* first, int batch,
                            int depth),
         nullptr, static_cast<float*>(out), P(queries_keys), P(promotions), static_cast<int*>(places), static_cast<uint16_t*>(moves),
         static_cast<uint32_t*>(first), batch, depth)
LAUNCHER(values, (int half_type, void* out, void* value, void* value_w, void* value_b, int value_width, void* moves, void* moves_w,
                  void* moves_b, int moves_width, int batch, int wdl),
         nullptr, static_cast<float*>(out), rocm::LastLayer<T>{P(value), P(value_w), P(value_b), value_width},
         rocm::LastLayer<T>{P(moves), P(moves_w), P(moves_b), moves_width}, batch, wdl)
}
