// MIOpen over cuDNN: forward convolution in immediate mode over packed NCHW or NHWC tensors; a solution is one of cuDNN's algorithms.
#pragma once
#include <cudnn.h>
#include <hip/hip_runtime.h>

using miopenHandle_t = cudnnHandle_t;
using miopenConvolutionDescriptor_t = cudnnConvolutionDescriptor_t;
using miopenAcceleratorQueue_t = cudaStream_t;
using miopenStatus_t = cudnnStatus_t;
constexpr miopenStatus_t miopenStatusSuccess = CUDNN_STATUS_SUCCESS, miopenStatusBadParm = CUDNN_STATUS_BAD_PARAM,
                         miopenStatusInvalidValue = CUDNN_STATUS_BAD_PARAM, miopenStatusAllocFailed = CUDNN_STATUS_ALLOC_FAILED,
                         miopenStatusInternalError = CUDNN_STATUS_INTERNAL_ERROR,
                         miopenStatusNotImplemented = CUDNN_STATUS_NOT_SUPPORTED;
using miopenDataType_t = cudnnDataType_t;
constexpr miopenDataType_t miopenHalf = CUDNN_DATA_HALF, miopenFloat = CUDNN_DATA_FLOAT;
enum miopenTensorLayout_t { miopenTensorNCHW = 0, miopenTensorNHWC = 1 };
enum miopenConvolutionMode_t { miopenConvolution = 0 };
enum miopenConvAlgorithm_t {
  miopenConvolutionAlgoGEMM = 0,
  miopenConvolutionAlgoDirect = 1,
  miopenConvolutionAlgoFFT = 2,
  miopenConvolutionAlgoWinograd = 3,
  miopenConvolutionAlgoImplicitGEMM = 5,
};
struct miopenConvSolution_t {
  float time;
  size_t workspace_size;
  std::uint64_t solution_id;
  miopenConvAlgorithm_t algorithm;
};

// MIOpen has one descriptor for tensors and weights.
struct miopenTensorDescriptor {
  cudnnTensorDescriptor_t tensor;
  cudnnFilterDescriptor_t filter;
  miopenDataType_t type;
};
using miopenTensorDescriptor_t = miopenTensorDescriptor*;

#define miopenGetErrorString cudnnGetErrorString
#define miopenDestroy cudnnDestroy
#define miopenCreateConvolutionDescriptor cudnnCreateConvolutionDescriptor
#define miopenDestroyConvolutionDescriptor cudnnDestroyConvolutionDescriptor

#define STANDIN_RETURN_IF(call) \
  if (miopenStatus_t status = (call)) return status

inline miopenStatus_t miopenGetVersion(size_t* major, size_t* minor, size_t* patch) {
  const size_t version = cudnnGetVersion();
  *major = version / 10000, *minor = version / 100 % 100, *patch = version % 100;
  return miopenStatusSuccess;
}

inline miopenStatus_t miopenCreateWithStream(miopenHandle_t* handle, miopenAcceleratorQueue_t stream) {
  STANDIN_RETURN_IF(cudnnCreate(handle));
  return cudnnSetStream(*handle, stream);
}

inline miopenStatus_t miopenCreateTensorDescriptor(miopenTensorDescriptor_t* tensor) {
  *tensor = new miopenTensorDescriptor{};
  STANDIN_RETURN_IF(cudnnCreateTensorDescriptor(&(*tensor)->tensor));
  return cudnnCreateFilterDescriptor(&(*tensor)->filter);
}

inline miopenStatus_t miopenDestroyTensorDescriptor(miopenTensorDescriptor_t tensor) {
  STANDIN_RETURN_IF(cudnnDestroyTensorDescriptor(tensor->tensor));
  STANDIN_RETURN_IF(cudnnDestroyFilterDescriptor(tensor->filter));
  delete tensor;
  return miopenStatusSuccess;
}

// lens are N, C, H, W in either layout.
inline miopenStatus_t miopenSetNdTensorDescriptorWithLayout(miopenTensorDescriptor_t tensor, miopenDataType_t type,
                                                            miopenTensorLayout_t layout, const int* lens, int count) {
  if (count != 4 || (layout != miopenTensorNCHW && layout != miopenTensorNHWC)) return miopenStatusNotImplemented;
  const cudnnTensorFormat_t format = layout == miopenTensorNHWC ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
  tensor->type = type;
  STANDIN_RETURN_IF(cudnnSetTensor4dDescriptor(tensor->tensor, format, type, lens[0], lens[1], lens[2], lens[3]));
  return cudnnSetFilter4dDescriptor(tensor->filter, type, format, lens[0], lens[1], lens[2], lens[3]);
}

inline miopenStatus_t miopenSet4dTensorDescriptor(miopenTensorDescriptor_t tensor, miopenDataType_t type, int n, int c, int h, int w) {
  const int lens[] = {n, c, h, w};
  return miopenSetNdTensorDescriptorWithLayout(tensor, type, miopenTensorNCHW, lens, 4);
}

inline miopenStatus_t miopenInitConvolutionDescriptor(miopenConvolutionDescriptor_t convolution, miopenConvolutionMode_t mode,
                                                      int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                                      int dilation_w) {
  if (mode != miopenConvolution) return miopenStatusNotImplemented;
  return cudnnSetConvolution2dDescriptor(convolution, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w,
                                         CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
}

// A solution is an algorithm and the arithmetic it uses: algorithm + 256 * cudnnMathType_t.
inline cudnnConvolutionFwdAlgo_t miopenStandinAlgorithm(std::uint64_t solution) {
  return static_cast<cudnnConvolutionFwdAlgo_t>(solution % 256);
}
inline miopenStatus_t miopenStandinSetMath(miopenConvolutionDescriptor_t convolution, std::uint64_t solution) {
  return cudnnSetConvolutionMathType(convolution, static_cast<cudnnMathType_t>(solution / 256));
}

inline miopenStatus_t miopenConvolutionForwardGetSolutionCount(miopenHandle_t handle, miopenTensorDescriptor_t,
                                                               miopenTensorDescriptor_t, miopenConvolutionDescriptor_t,
                                                               miopenTensorDescriptor_t, size_t* count) {
  int most = 0;
  STANDIN_RETURN_IF(cudnnGetConvolutionForwardAlgorithmMaxCount(handle, &most));
  *count = most;
  return miopenStatusSuccess;
}

// Halves may use tensor cores, floats are not rounded to TF32.
inline miopenStatus_t miopenConvolutionForwardGetSolution(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                          miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                          miopenTensorDescriptor_t y, size_t max_count, size_t* count,
                                                          miopenConvSolution_t* solutions) {
  *count = 0;
  cudnnConvolutionFwdAlgoPerf_t found[32];
  int n = 0;
  STANDIN_RETURN_IF(cudnnSetConvolutionMathType(convolution, x->type == miopenHalf ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH));
  STANDIN_RETURN_IF(cudnnGetConvolutionForwardAlgorithm_v7(handle, x->tensor, w->filter, convolution, y->tensor, 32, &n, found));
  for (int i = 0; i < n && *count < max_count; ++i) {
    if (found[i].status != CUDNN_STATUS_SUCCESS) continue;
    const bool winograd = found[i].algo == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD ||
                          found[i].algo == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED;
    solutions[(*count)++] = {found[i].time, found[i].memory, found[i].algo + std::uint64_t{256} * found[i].mathType,
                             winograd ? miopenConvolutionAlgoWinograd : miopenConvolutionAlgoImplicitGEMM};
  }
  return miopenStatusSuccess;
}

inline miopenStatus_t miopenConvolutionForwardGetSolutionWorkspaceSize(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                                       miopenTensorDescriptor_t x,
                                                                       miopenConvolutionDescriptor_t convolution,
                                                                       miopenTensorDescriptor_t y, std::uint64_t solution,
                                                                       size_t* bytes) {
  STANDIN_RETURN_IF(miopenStandinSetMath(convolution, solution));
  return cudnnGetConvolutionForwardWorkspaceSize(handle, x->tensor, w->filter, convolution, y->tensor,
                                                 miopenStandinAlgorithm(solution), bytes);
}

inline miopenStatus_t miopenConvolutionForwardCompileSolution(miopenHandle_t, miopenTensorDescriptor_t, miopenTensorDescriptor_t,
                                                              miopenConvolutionDescriptor_t, miopenTensorDescriptor_t,
                                                              std::uint64_t) {
  return miopenStatusSuccess;  // cuDNN brings compiled kernels
}

inline miopenStatus_t miopenConvolutionForwardImmediate(miopenHandle_t handle, miopenTensorDescriptor_t w_desc, const void* w,
                                                        miopenTensorDescriptor_t x_desc, const void* x,
                                                        miopenConvolutionDescriptor_t convolution,
                                                        miopenTensorDescriptor_t y_desc, void* y, void* workspace,
                                                        size_t workspace_bytes, std::uint64_t solution) {
  const float one = 1, zero = 0;
  STANDIN_RETURN_IF(miopenStandinSetMath(convolution, solution));
  return cudnnConvolutionForward(handle, &one, x_desc->tensor, x, w_desc->filter, w, convolution,
                                 miopenStandinAlgorithm(solution), workspace, workspace_bytes, &zero,
                                 y_desc->tensor, y);
}
#undef STANDIN_RETURN_IF
