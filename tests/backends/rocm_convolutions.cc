// conv3x3() and the plan table for test_rocm_conv.py, callable through ctypes: one stream, host arrays.
#include <cstring>
#include <memory>

#include "backends/rocm/conv.h"
#include "backends/rocm/plan_table.h"

namespace {

thread_local std::string error, plans;
std::unique_ptr<rocm::Stream> stream;

template <class F>
int guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception& e) {
    error = e.what();
    return 1;
  }
}

rocm::DeviceMemory upload(const void* from, std::size_t bytes) {
  rocm::DeviceMemory memory(from ? bytes : 0);
  if (from) rocm::check(hipMemcpy(memory.as<void>(), from, bytes, hipMemcpyHostToDevice), "uploading");
  return memory;
}

nn::Array array(const float* data, std::size_t size) {
  return {.encoding = nn::Array::Encoding::kFloat32, .data = reinterpret_cast<const std::byte*>(data), .size = size};
}

// weights (out, in, 3, 3) and biases (out) are floats; se is w1, b1, w2, b2 one behind the other.
template <class T>
void convolve(void* y, const void* x, const float* weights, const float* biases, const void* se, const void* skip, int batch, int in, int out,
              int width, bool in_place, int activation) {
  rocm::Weights all(std::make_shared<nn::Network>(
      nn::Architecture{}, std::map<std::string, nn::Array>{{"c.weights", array(weights, std::size_t(out) * in * 9)}, {"c.biases", array(biases, out)}}));
  rocm::Convolution<T> convolution(all, "c");
  const std::size_t y_bytes = sizeof(T) * batch * 64 * out;
  const auto dx = upload(x, sizeof(T) * batch * 64 * in), dse = upload(se, sizeof(T) * (3 * width * out + width + 2 * out)),
             ds = upload(skip, y_bytes), dy = upload(y, y_bytes);
  const T* const w = dse.as<T>();
  const rocm::SqueezeExcitation<T> excitation{w, w + width * out, w + width * out + width, w + 3 * width * out + width, width};
  T* const to = in_place ? ds.as<T>() : dy.as<T>();
  rocm::conv3x3<T>(*stream, to, dx.as<T>(), convolution, se ? &excitation : nullptr, ds.as<T>(), batch, static_cast<nn::Activation>(activation));
  stream->wait();
  rocm::check(hipMemcpy(y, to, y_bytes, hipMemcpyDeviceToHost), "downloading");
}

}  // namespace

extern "C" {
const char* last_error() { return error.c_str(); }
int open_stream() { return guarded([] { stream = std::make_unique<rocm::Stream>(rocm::read_device(0)); }); }
void close_stream() { stream.reset(); }
void configure(const char* settings) { hip_emulated_configure(settings); }
size_t live_objects() { return hip_emulated_live_objects(); }

int run_convolution(int half_type, void* y, void* x, float* weights, float* biases, void* se, void* skip, int batch, int in, int out, int width,
                    int in_place, int activation, int measure) {
  return guarded([&] {
    const auto measuring = measure ? std::make_unique<rocm::Measuring>() : nullptr;
    (half_type ? convolve<half> : convolve<float>)(y, x, weights, biases, se, skip, batch, in, out, width, in_place, activation);
  });
}

const char* save_plans() { return (plans = rocm::save_plans()).c_str(); }
void load_plans(const char* text) { rocm::load_plans(text); }
void clear_plans() { rocm::clear_plans(); }
void shun(const char* library, int shunned) { rocm::shun(library, shunned); }
}
