// conv3x3() for test_rocm_conv.py.
#include "backends/rocm/linear/conv.h"
#include "rocm_calls.h"

namespace {

using calls::guarded, calls::planner, calls::stream, calls::upload;

// weights (out, in, 3, 3) and biases (out) are floats; se is w1, b1, w2, b2 one behind the other.
template <class T>
void convolve(void* y, const void* x, const float* weights, const float* biases, const void* se, const void* skip, int batch, int in, int out,
              int width, bool in_place, int activation) {
  rocm::Weights all;
  const nn::Convolution convolution{{"w", {out, in, 3, 3}, [&] { return nn::Floats(weights, weights + std::size_t(out) * in * 9); }},
                                    {"b", {out}, [&] { return nn::Floats(biases, biases + out); }}};
  const std::size_t y_bytes = sizeof(T) * batch * 64 * out;
  const auto dx = upload(x, sizeof(T) * batch * 64 * in), dse = upload(se, sizeof(T) * (3 * width * out + width + 2 * out)),
             ds = upload(skip, y_bytes), dy = upload(y, y_bytes);
  const T* const w = dse.as<T>();
  const rocm::SqueezeExcitation<T> excitation{w, w + width * out, w + width * out + width, w + 3 * width * out + width, width};
  T* const to = in_place ? ds.as<T>() : dy.as<T>();
  rocm::conv3x3<T>(*stream, all, to, dx.as<T>(), convolution, se ? &excitation : nullptr, ds.as<T>(), batch, static_cast<nn::Activation>(activation));
  stream->wait();
  rocm::check(hipMemcpy(y, to, y_bytes, hipMemcpyDeviceToHost), "downloading");
}

}  // namespace

extern "C" {
int run_convolution(int half_type, void* y, void* x, float* weights, float* biases, void* se, void* skip, int batch, int in, int out, int width,
                    int in_place, int activation, double measure_s) {
  return guarded([&] {
    planner->measure_for(measure_s);
    (half_type ? convolve<half> : convolve<float>)(y, x, weights, biases, se, skip, batch, in, out, width, in_place, activation);
    planner->measure_for(0);
  });
}
}
