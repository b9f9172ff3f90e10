// MIOpen on the CPU: forward convolution in immediate mode over packed NCHW or NHWC tensors.
#pragma once
#include <hip/hip_runtime.h>

typedef struct miopenHandle* miopenHandle_t;
typedef struct miopenTensorDescriptor* miopenTensorDescriptor_t;
typedef struct miopenConvolutionDescriptor* miopenConvolutionDescriptor_t;
typedef hipStream_t miopenAcceleratorQueue_t;

enum miopenStatus_t {
  miopenStatusSuccess = 0,
  miopenStatusInvalidValue = 2,
  miopenStatusBadParm = 3,
  miopenStatusAllocFailed = 4,
  miopenStatusInternalError = 5,
  miopenStatusNotImplemented = 6,
  miopenStatusUnknownError = 7,
};
enum miopenDataType_t { miopenHalf = 0, miopenFloat = 1 };
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

extern "C" {
const char* miopenGetErrorString(miopenStatus_t error);
miopenStatus_t miopenGetVersion(size_t* major, size_t* minor, size_t* patch);
miopenStatus_t miopenCreateWithStream(miopenHandle_t* handle, miopenAcceleratorQueue_t stream);
miopenStatus_t miopenDestroy(miopenHandle_t handle);

miopenStatus_t miopenCreateTensorDescriptor(miopenTensorDescriptor_t* tensor);
miopenStatus_t miopenDestroyTensorDescriptor(miopenTensorDescriptor_t tensor);
miopenStatus_t miopenSet4dTensorDescriptor(miopenTensorDescriptor_t tensor, miopenDataType_t type, int n, int c, int h, int w);
miopenStatus_t miopenSetNdTensorDescriptorWithLayout(miopenTensorDescriptor_t tensor, miopenDataType_t type,
                                                     miopenTensorLayout_t layout, const int* lens, int count);  // N, C, H, W

miopenStatus_t miopenCreateConvolutionDescriptor(miopenConvolutionDescriptor_t* convolution);
miopenStatus_t miopenDestroyConvolutionDescriptor(miopenConvolutionDescriptor_t convolution);
miopenStatus_t miopenInitConvolutionDescriptor(miopenConvolutionDescriptor_t convolution, miopenConvolutionMode_t mode, int pad_h,
                                               int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w);

miopenStatus_t miopenConvolutionForwardGetSolutionCount(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                        miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                        miopenTensorDescriptor_t y, size_t* count);
miopenStatus_t miopenConvolutionForwardGetSolution(miopenHandle_t handle, miopenTensorDescriptor_t w, miopenTensorDescriptor_t x,
                                                   miopenConvolutionDescriptor_t convolution, miopenTensorDescriptor_t y,
                                                   size_t max_count, size_t* count, miopenConvSolution_t* solutions);
miopenStatus_t miopenConvolutionForwardGetSolutionWorkspaceSize(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                                miopenTensorDescriptor_t x,
                                                                miopenConvolutionDescriptor_t convolution,
                                                                miopenTensorDescriptor_t y, std::uint64_t solution, size_t* bytes);
miopenStatus_t miopenConvolutionForwardCompileSolution(miopenHandle_t handle, miopenTensorDescriptor_t w,
                                                       miopenTensorDescriptor_t x, miopenConvolutionDescriptor_t convolution,
                                                       miopenTensorDescriptor_t y, std::uint64_t solution);
miopenStatus_t miopenConvolutionForwardImmediate(miopenHandle_t handle, miopenTensorDescriptor_t w_desc, const void* w,
                                                 miopenTensorDescriptor_t x_desc, const void* x,
                                                 miopenConvolutionDescriptor_t convolution, miopenTensorDescriptor_t y_desc,
                                                 void* y, void* workspace, size_t workspace_bytes, std::uint64_t solution);
}
