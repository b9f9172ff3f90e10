// MIOpen over cuDNN: forward convolution in immediate mode over packed NCHW tensors; a solution is one of cuDNN's algorithms.
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

inline miopenStatus_t miopenSet4dTensorDescriptor(miopenTensorDescriptor_t tensor, miopenDataType_t type, int n, int c, int h, int w) {
  tensor->type = type;
  STANDIN_RETURN_IF(cudnnSetTensor4dDescriptor(tensor->tensor, CUDNN_TENSOR_NCHW, type, n, c, h, w));
  return cudnnSetFilter4dDescriptor(tensor->filter, type, CUDNN_TENSOR_NCHW, n, c, h, w);
}

inline miopenStatus_t miopenInitConvolutionDescriptor(miopenConvolutionDescriptor_t convolution, miopenConvolutionMode_t mode,
                                                      int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                                      int dilation_w) {
  if (mode != miopenConvolution) return miopenStatusNotImplemented;
  return cudnnSetConvolution2dDescriptor(convolution, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w,
                                         CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
}

// Halves use tensor cores, floats are not rounded to TF32.
inline miopenStatus_t miopenStandinMath(miopenConvolutionDescriptor_t convolution, miopenTensorDescriptor_t x) {
  return cudnnSetConvolutionMathType(convolution, x->type == miopenHalf ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);
}

inline miopenStatus_t miopenConvolutionForwardGetSolutionCount(miopenHandle_t handle, miopenTensorDescriptor_t,
                                                               miopenTensorDescriptor_t, miopenConvolutionDescriptor_t,
                                                               miopenTensorDescriptor_t, size_t* count) {
  int most = 0;
  STANDIN_RETURN_IF(cudnnGetConvolutionForwardAlgorithmMaxCount(handle, &most));
  *count = most;
  return miopenStatusSuccess;
}

inline miopenStatus_t miopenConvolutionForwardGetSolution(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                          miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                          miopenTensorDescriptor_t y, size_t max_count, size_t* count,
                                                          miopenConvSolution_t* solutions) {
  cudnnConvolutionFwdAlgoPerf_t found[CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
  int n = 0;
  STANDIN_RETURN_IF(miopenStandinMath(convolution, x));
  STANDIN_RETURN_IF(cudnnGetConvolutionForwardAlgorithm_v7(handle, x->tensor, w->filter, convolution, y->tensor,
                                                           CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &n, found));
  *count = 0;
  for (int i = 0; i < n && *count < max_count; ++i) {
    if (found[i].status != CUDNN_STATUS_SUCCESS) continue;
    const bool winograd = found[i].algo == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD ||
                          found[i].algo == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED;
    solutions[(*count)++] = {found[i].time, found[i].memory, static_cast<std::uint64_t>(found[i].algo),
                             winograd ? miopenConvolutionAlgoWinograd : miopenConvolutionAlgoImplicitGEMM};
  }
  return miopenStatusSuccess;
}

inline miopenStatus_t miopenConvolutionForwardGetSolutionWorkspaceSize(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                                       miopenTensorDescriptor_t x,
                                                                       miopenConvolutionDescriptor_t convolution,
                                                                       miopenTensorDescriptor_t y, std::uint64_t solution,
                                                                       size_t* bytes) {
  STANDIN_RETURN_IF(miopenStandinMath(convolution, x));
  return cudnnGetConvolutionForwardWorkspaceSize(handle, x->tensor, w->filter, convolution, y->tensor,
                                                 static_cast<cudnnConvolutionFwdAlgo_t>(solution), bytes);
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
  STANDIN_RETURN_IF(miopenStandinMath(convolution, x_desc));
  return cudnnConvolutionForward(handle, &one, x_desc->tensor, x, w_desc->filter, w, convolution,
                                 static_cast<cudnnConvolutionFwdAlgo_t>(solution), workspace, workspace_bytes, &zero,
                                 y_desc->tensor, y);
}
#undef STANDIN_RETURN_IF
