// One solution: each image as a matrix of patches in the workspace, then a product.
#include <miopen/miopen.h>

#include <algorithm>
#include <set>

#include "product.h"
#include "memory.h"
#include "settings.h"
#include "stream.h"

using namespace hip_emulated;

struct miopenTensorDescriptor {
  miopenDataType_t type = miopenFloat;
  miopenTensorLayout_t layout = miopenTensorNCHW;
  int n = 0, c = 0, h = 0, w = 0;
  auto operator<=>(const miopenTensorDescriptor&) const = default;
};
struct miopenConvolutionDescriptor {
  int pad_h = 0, pad_w = 0;
  auto operator<=>(const miopenConvolutionDescriptor&) const = default;
};

namespace {

constexpr std::uint64_t kSolution = 85;

struct Problem {
  miopenTensorDescriptor w, x, y;
  miopenConvolutionDescriptor convolution;
  auto operator<=>(const Problem&) const = default;

  int patch() const { return w.c * w.h * w.w; }
  size_t workspace() const { return size_t(patch()) * y.h * y.w * (x.type == miopenHalf ? 2 : 4); }
  bool sensible() const {
    return x.layout == w.layout && x.layout == y.layout && x.n == y.n && x.c == w.c && y.c == w.n && x.type == w.type &&
           x.type == y.type && x.n > 0 && patch() > 0 && y.c > 0 &&
           y.h == x.h + 2 * convolution.pad_h - w.h + 1 && y.w == x.w + 2 * convolution.pad_w - w.w + 1 && y.h > 0 && y.w > 0;
  }
};

// The patches of one image, NCHW to (channel, kernel row, kernel column, square), NHWC to (square, kernel row, kernel column, channel).
template <class T>
void gather_patches(const Problem& p, const T* image, T* to) {
  const bool nhwc = p.x.layout == miopenTensorNHWC;
  const int squares = p.y.h * p.y.w;
  for (int square = 0; square < squares; ++square) {
    for (int i = 0; i < p.w.h; ++i) {
      for (int j = 0; j < p.w.w; ++j) {
        const int row = square / p.y.w + i - p.convolution.pad_h, col = square % p.y.w + j - p.convolution.pad_w;
        const bool inside = row >= 0 && row < p.x.h && col >= 0 && col < p.x.w;
        for (int c = 0; c < p.w.c; ++c) {
          const int from = nhwc ? (row * p.x.w + col) * p.x.c + c : (c * p.x.h + row) * p.x.w + col;
          const int k = nhwc ? (i * p.w.w + j) * p.w.c + c : (c * p.w.h + i) * p.w.w + j;
          to[nhwc ? square * p.patch() + k : k * squares + square] = inside ? image[from] : T{};
        }
      }
    }
  }
}

void convolve(const Problem& p, const void* w, const void* x, void* y, void* workspace) {
  const Type type = p.x.type == miopenHalf ? Type::kHalf : Type::kFloat;
  const size_t in = size_t(p.x.c) * p.x.h * p.x.w * size_of(type), squares = size_t(p.y.h) * p.y.w;
  check_range(x, in * p.x.n, "MIOpen: x");
  check_range(workspace, p.workspace(), "MIOpen: workspace");
  for (const size_t n : blocks_that_run(p.x.n)) {
    const auto* image = static_cast<const std::byte*>(x) + n * in;
    if (type == Type::kHalf) gather_patches(p, reinterpret_cast<const std::uint16_t*>(image), static_cast<std::uint16_t*>(workspace));
    else gather_patches(p, reinterpret_cast<const float*>(image), static_cast<float*>(workspace));
    void* const to = static_cast<std::byte*>(y) + n * p.y.c * squares * size_of(type);
    Gemm g;
    g.k = p.patch();
    if (p.x.layout == miopenTensorNHWC) {  // row-major y = patches w^T is column-major y^T = w patches^T
      g.transpose_a = true;
      g.m = p.y.c, g.n = squares;
      g.a = {w, type, g.k}, g.b = {workspace, type, g.k}, g.d = {to, type, g.m};
    } else {  // row-major y = w patches is column-major y^T = patches^T w^T
      g.m = squares, g.n = p.y.c;
      g.a = {workspace, type, g.m}, g.b = {w, type, g.k}, g.d = {to, type, g.m};
    }
    run(g, "MIOpen");
  }
}

template <class T>
miopenStatus_t create(T** object) {
  if (!object) return miopenStatusBadParm;
  *object = new T;
  ++live_objects;
  return miopenStatusSuccess;
}

template <class T>
miopenStatus_t destroy(T* object) {
  if (!object) return miopenStatusBadParm;
  delete object;
  --live_objects;
  return miopenStatusSuccess;
}

}  // namespace

struct miopenHandle {
  hipStream_t stream = nullptr;
  std::set<Problem> compiled;
};

extern "C" {

const char* miopenGetErrorString(miopenStatus_t error) {
  switch (error) {
    case miopenStatusSuccess: return "miopenStatusSuccess";
    case miopenStatusInvalidValue: return "miopenStatusInvalidValue";
    case miopenStatusBadParm: return "miopenStatusBadParm";
    case miopenStatusAllocFailed: return "miopenStatusAllocFailed";
    case miopenStatusInternalError: return "miopenStatusInternalError";
    case miopenStatusNotImplemented: return "miopenStatusNotImplemented";
    default: return "miopenStatusUnknownError";
  }
}

miopenStatus_t miopenGetVersion(size_t* major, size_t* minor, size_t* patch) {
  *major = 3, *minor = 5, *patch = 1;
  return miopenStatusSuccess;
}

miopenStatus_t miopenCreateWithStream(miopenHandle_t* handle, miopenAcceleratorQueue_t stream) {
  if (ready(true) != hipSuccess) return miopenStatusUnknownError;
  if (fails(Fault::kAlloc)) return miopenStatusAllocFailed;
  const miopenStatus_t status = create(handle);
  if (status == miopenStatusSuccess) (*handle)->stream = stream;
  return status;
}

miopenStatus_t miopenDestroy(miopenHandle_t handle) { return destroy(handle); }

miopenStatus_t miopenCreateTensorDescriptor(miopenTensorDescriptor_t* tensor) { return create(tensor); }
miopenStatus_t miopenDestroyTensorDescriptor(miopenTensorDescriptor_t tensor) { return destroy(tensor); }

miopenStatus_t miopenSetNdTensorDescriptorWithLayout(miopenTensorDescriptor_t tensor, miopenDataType_t type,
                                                     miopenTensorLayout_t layout, const int* lens, int count) {
  if (!tensor || !lens) return miopenStatusBadParm;
  if ((type != miopenHalf && type != miopenFloat) || (layout != miopenTensorNCHW && layout != miopenTensorNHWC) || count != 4) {
    return miopenStatusNotImplemented;
  }
  if (*std::min_element(lens, lens + 4) < 1) return miopenStatusBadParm;
  *tensor = {type, layout, lens[0], lens[1], lens[2], lens[3]};
  return miopenStatusSuccess;
}

miopenStatus_t miopenSet4dTensorDescriptor(miopenTensorDescriptor_t tensor, miopenDataType_t type, int n, int c, int h, int w) {
  const int lens[] = {n, c, h, w};
  return miopenSetNdTensorDescriptorWithLayout(tensor, type, miopenTensorNCHW, lens, 4);
}

miopenStatus_t miopenCreateConvolutionDescriptor(miopenConvolutionDescriptor_t* convolution) { return create(convolution); }
miopenStatus_t miopenDestroyConvolutionDescriptor(miopenConvolutionDescriptor_t convolution) { return destroy(convolution); }

miopenStatus_t miopenInitConvolutionDescriptor(miopenConvolutionDescriptor_t convolution, miopenConvolutionMode_t mode, int pad_h,
                                               int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w) {
  if (!convolution || pad_h < 0 || pad_w < 0) return miopenStatusBadParm;
  if (mode != miopenConvolution || stride_h != 1 || stride_w != 1 || dilation_h != 1 || dilation_w != 1) {
    return miopenStatusNotImplemented;
  }
  *convolution = {pad_h, pad_w};
  return miopenStatusSuccess;
}

miopenStatus_t miopenConvolutionForwardGetSolutionCount(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                        miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                        miopenTensorDescriptor_t y, size_t* count) {
  if (!handle || !w || !x || !convolution || !y || !count) return miopenStatusBadParm;
  if (ready(true) != hipSuccess || fails(Fault::kPlan)) return miopenStatusUnknownError;
  if (!Problem{*w, *x, *y, *convolution}.sensible()) return miopenStatusBadParm;
  *count = 1;
  return miopenStatusSuccess;
}

miopenStatus_t miopenConvolutionForwardGetSolution(miopenHandle_t handle, miopenTensorDescriptor_t w, miopenTensorDescriptor_t x,
                                                   miopenConvolutionDescriptor_t convolution, miopenTensorDescriptor_t y,
                                                   size_t max_count, size_t* count, miopenConvSolution_t* solutions) {
  const miopenStatus_t status = miopenConvolutionForwardGetSolutionCount(handle, w, x, convolution, y, count);
  if (status != miopenStatusSuccess) return status;
  if (!solutions || max_count < 1) return miopenStatusBadParm;
  solutions[0] = {1, Problem{*w, *x, *y, *convolution}.workspace(), kSolution, miopenConvolutionAlgoGEMM};
  return miopenStatusSuccess;
}

miopenStatus_t miopenConvolutionForwardGetSolutionWorkspaceSize(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                                miopenTensorDescriptor_t x,
                                                                miopenConvolutionDescriptor_t convolution,
                                                                miopenTensorDescriptor_t y, std::uint64_t solution,
                                                                size_t* bytes) {
  size_t count;
  const miopenStatus_t status = miopenConvolutionForwardGetSolutionCount(handle, w, x, convolution, y, &count);
  if (status != miopenStatusSuccess) return status;
  *bytes = Problem{*w, *x, *y, *convolution}.workspace();
  return solution == kSolution ? miopenStatusSuccess : miopenStatusInvalidValue;
}

miopenStatus_t miopenConvolutionForwardCompileSolution(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                       miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                       miopenTensorDescriptor_t y, std::uint64_t solution) {
  size_t bytes;
  const miopenStatus_t status =
      miopenConvolutionForwardGetSolutionWorkspaceSize(handle, w, x, convolution, y, solution, &bytes);
  if (status == miopenStatusSuccess) handle->compiled.insert({*w, *x, *y, *convolution});
  return status;
}

miopenStatus_t miopenConvolutionForwardImmediate(miopenHandle_t handle, miopenTensorDescriptor_t w_desc, const void* w,
                                                 miopenTensorDescriptor_t x_desc, const void* x,
                                                 miopenConvolutionDescriptor_t convolution, miopenTensorDescriptor_t y_desc,
                                                 void* y, void* workspace, size_t workspace_bytes, std::uint64_t solution) {
  if (!handle || !w_desc || !w || !x_desc || !x || !convolution || !y_desc || !y) return miopenStatusBadParm;
  if (ready(false) != hipSuccess) return miopenStatusUnknownError;
  const Problem p{*w_desc, *x_desc, *y_desc, *convolution};
  if (solution != kSolution || workspace_bytes < p.workspace()) return miopenStatusInvalidValue;
  if (!handle->compiled.contains(p)) {  // compiles now, which a capture does not allow
    const miopenStatus_t status = miopenConvolutionForwardCompileSolution(handle, w_desc, x_desc, convolution, y_desc, solution);
    if (status != miopenStatusSuccess) return status;
  }
  if (fails(Fault::kConv)) return miopenStatusInternalError;
  enqueue(handle->stream, [=] { convolve(p, w, x, y, workspace); });
  return miopenStatusSuccess;
}

}  // extern "C"
