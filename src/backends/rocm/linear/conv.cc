#include "backends/rocm/linear/conv.h"

#include <memory>

#include "backends/rocm/kernels/winograd.h"
#include "backends/rocm/linear/choices.h"
#include "backends/rocm/linear/conv_library.h"
#include "backends/rocm/linear/conv_trial.h"
#include "backends/rocm/linear/conv_weights.h"
#include "backends/rocm/linear/gemm.h"

namespace rocm {

namespace {

// ways ------------------------------------------------------------------------

// What follows the bare convolution z; bias may be null.
template <class T>
void finish(Stream& stream, const ConvolutionTask<T>& t, const T* z, const T* bias) {
  if (t.se) launch_squeeze_excitation<T>(stream, t.y, z, bias, t.skip, *t.se, t.batch, t.out, t.activation, t.activation);
  else launch_bias_activation<T>(stream, t.y, z, bias, t.skip, nullptr, nullptr, t.batch * 64, t.out, t.activation);
}

template <class T>
void run_winograd(Stream& stream, const ConvolutionTask<T>& t) {
  const int tiles = t.batch * kTiles;
  T *v = stream.arena().take<T>(std::size_t(kPoints) * tiles * t.in), *m = stream.arena().take<T>(std::size_t(kPoints) * tiles * t.out);
  launch_winograd_input(stream, v, t.x, t.batch, t.in);
  multiply_winograd(stream, m, v, t.weights(true), t.batch, t.in, t.out);
  if (!t.se || winograd_excites(t.out)) {
    launch_winograd_output<T>(stream, t.y, m, t.bias, t.skip, t.se, t.batch, t.out, t.activation);
  } else {
    T* const z = stream.arena().take<T>(std::size_t(t.batch) * 64 * t.out);
    launch_winograd_output<T>(stream, z, m, t.bias, nullptr, nullptr, t.batch, t.out, nn::Activation::kNone);
    finish<T>(stream, t, z, nullptr);
  }
}

template <class T>
void run_patches(Stream& stream, const ConvolutionTask<T>& t) {
  const std::size_t squares = std::size_t(t.batch) * 64;
  const bool fused = !t.se && !t.skip;
  T *rows = stream.arena().take<T>(squares * 9 * t.in), *z = fused ? t.y : stream.arena().take<T>(squares * t.out);
  launch_patches(stream, rows, t.x, t.batch, t.in);
  Product<T> product{z, rows, t.weights(false), t.bias};
  product.rows = squares, product.cols = t.out, product.depth = 9 * t.in;
  if (fused) product.activation = t.activation;
  gemm(stream, product);
  if (!fused) finish<T>(stream, t, z, nullptr);
}

template <class T>
bool run_library(Stream& stream, LibraryConvolution& library, const ConvolutionTask<T>& t) {
  T* const z = stream.arena().take<T>(std::size_t(t.batch) * 64 * t.out);
  if (!library.run(stream, z, t.x, t.weights(false))) return false;
  finish<T>(stream, t, z, t.bias);
  return true;
}

// plans -----------------------------------------------------------------------

std::string key_of(Stream& stream, const ConvolutionShape& s) {
  std::size_t major = 0, minor = 0, patch = 0;
  (void)miopenGetVersion(&major, &minor, &patch);
  const auto word = [](auto number) { return std::to_string(number); };
  return stream.device().kind() + "/miopen" + word(major) + '.' + word(minor) + '.' + word(patch) +
         (s.half ? "/half" : "/float") + "/conv3x3/b" + word(s.batch) + "/i" + word(s.in) + "/o" + word(s.out) +
         (s.se ? "/se" + word(s.se) : "") + (s.skip ? "/skip" : "");
}

template <class T>
struct Convolve {
  using Shape = ConvolutionShape;
  using Task = ConvolutionTask<T>;
  struct Way {
    std::unique_ptr<LibraryConvolution> library;  // "miopen"; or our own:
    bool winograd = false;                        // "winograd", else "patches"
  };

  static ConvolutionTrial<T> trial(Stream& stream, const Shape& s, const Task&) { return {stream, s}; }
  static std::string key(Stream& stream, const Shape& s) { return key_of(stream, s); }

  // Winograd reads 36 weights where patches read 9, and has a quarter of their multiplications: it loses while weights are most of the
  // traffic. Where that ends is a guess until it was measured.
  static std::vector<std::string> defaults(Stream&, const Shape& s) { return {s.batch <= 2 ? "patches" : "winograd"}; }
  static std::vector<std::string> candidates(Stream&, const Shape&) { return {"winograd", "patches", "miopen"}; }

  static std::optional<Way> make(Stream& stream, const Shape& s, const std::string& name) {
    if (name == "winograd" || name == "patches") return Way{nullptr, name == "winograd"};
    if (name != "miopen" || !stream.planner().may_call(name)) return std::nullopt;
    auto library = LibraryConvolution::make(stream, s.half, s.batch, s.in, s.out);
    return library ? std::optional(Way{std::move(library)}) : std::nullopt;
  }

  static bool run(Stream& stream, const Shape&, const Way& way, const Task& task) {
    const Arena::Scope scope(stream.arena());
    if (way.library && !run_library(stream, *way.library, task)) return false;
    if (!way.library) way.winograd ? run_winograd(stream, task) : run_patches(stream, task);
    check(hipGetLastError(), "launching a convolution");
    return true;
  }
};

}  // namespace

template <class T>
void multiply_winograd(Stream& stream, T* m, const T* v, const T* w, int batch, int in, int out) {
  Product<T> product{m, v, w};
  product.rows = batch * kTiles, product.cols = out, product.depth = in, product.batch = kPoints, product.one_w = false;
  gemm(stream, product);
}

template void multiply_winograd(Stream&, float*, const float*, const float*, int, int, int);
template void multiply_winograd(Stream&, half*, const half*, const half*, int, int, int);

template <class T>
void conv3x3(Stream& stream, Weights& weights, T* y, const T* x, const nn::Convolution& c, const SqueezeExcitation<T>* se, const T* skip,
             int batch, nn::Activation activation) {
  const auto in_layout = [&](bool winograd) { return weights.array<T>(winograd ? winograd_weights(c.w) : direct_weights(c.w)); };
  Choices<Convolve<T>>::queue(stream, {batch, c.in(), c.out(), se ? se->width : 0, sizeof(T) == 2, skip != nullptr},
                              {y, x, in_layout, weights.array<T>(c.b), se, skip, batch, c.in(), c.out(), activation});
}

template void conv3x3(Stream&, Weights&, float*, const float*, const nn::Convolution&, const SqueezeExcitation<float>*, const float*, int,
                      nn::Activation);
template void conv3x3(Stream&, Weights&, half*, const half*, const nn::Convolution&, const SqueezeExcitation<half>*, const half*, int,
                      nn::Activation);

}  // namespace rocm
