#include "backends/rocm/linear/conv_library.h"

namespace rocm {
namespace {

constexpr bool ok(miopenStatus_t status) { return status == miopenStatusSuccess; }

}  // namespace

std::unique_ptr<LibraryConvolution> LibraryConvolution::make(Stream& stream, bool half, int batch, int in, int out) {
  const miopenHandle_t handle = stream.miopen();
  std::unique_ptr<LibraryConvolution> made(new LibraryConvolution);
  LibraryConvolution& c = *made;
  const auto describe = [&](miopenTensorDescriptor_t& tensor, int n, int channels, int size) {
    const int dims[] = {n, channels, size, size};
    return ok(miopenCreateTensorDescriptor(&tensor)) &&
           ok(miopenSetNdTensorDescriptorWithLayout(tensor, half ? miopenHalf : miopenFloat, miopenTensorNHWC, dims, 4));
  };
  if (!describe(c.x_, batch, in, 8) || !describe(c.w_, out, in, 3) || !describe(c.y_, batch, out, 8)) return nullptr;
  if (!ok(miopenCreateConvolutionDescriptor(&c.convolution_)) ||
      !ok(miopenInitConvolutionDescriptor(c.convolution_, miopenConvolution, 1, 1, 1, 1, 1, 1)))
    return nullptr;
  std::size_t count = 0;  // the list is sorted by estimated time
  if (!ok(miopenConvolutionForwardGetSolution(handle, c.w_, c.x_, c.convolution_, c.y_, 1, &count, &c.solution_)) || count == 0) return nullptr;
  const auto id = c.solution_.solution_id;  // the list has only an estimate of the workspace
  if (!ok(miopenConvolutionForwardGetSolutionWorkspaceSize(handle, c.w_, c.x_, c.convolution_, c.y_, id, &c.solution_.workspace_size)) ||
      !ok(miopenConvolutionForwardCompileSolution(handle, c.w_, c.x_, c.convolution_, c.y_, id)))
    return nullptr;
  return made;
}

LibraryConvolution::~LibraryConvolution() {
  for (miopenTensorDescriptor_t tensor : {x_, w_, y_})
    if (tensor) (void)miopenDestroyTensorDescriptor(tensor);
  if (convolution_) (void)miopenDestroyConvolutionDescriptor(convolution_);
}

bool LibraryConvolution::run(Stream& stream, void* y, const void* x, const void* w) {
  const Arena::Scope scope(stream.arena());
  const std::size_t bytes = solution_.workspace_size;
  void* const workspace = bytes ? stream.arena().take(bytes) : nullptr;
  return ok(miopenConvolutionForwardImmediate(stream.miopen(), w_, w, x_, x, convolution_, y_, y, workspace, bytes, solution_.solution_id));
}

}  // namespace rocm
