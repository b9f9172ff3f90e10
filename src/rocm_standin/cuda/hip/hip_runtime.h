// HIP over the CUDA runtime: the functions that the back end calls, renamed. Where a name is missing the back end does not compile.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>

// runtime ---------------------------------------------------------------------

using hipError_t = cudaError_t;
constexpr hipError_t hipSuccess = cudaSuccess;
constexpr hipError_t hipErrorInvalidValue = cudaErrorInvalidValue;
constexpr hipError_t hipErrorOutOfMemory = cudaErrorMemoryAllocation;
constexpr hipError_t hipErrorInvalidConfiguration = cudaErrorInvalidConfiguration;
constexpr hipError_t hipErrorNoDevice = cudaErrorNoDevice;
constexpr hipError_t hipErrorInvalidDevice = cudaErrorInvalidDevice;
constexpr hipError_t hipErrorInvalidHandle = cudaErrorInvalidResourceHandle;
constexpr hipError_t hipErrorNotReady = cudaErrorNotReady;
constexpr hipError_t hipErrorIllegalAddress = cudaErrorIllegalAddress;
constexpr hipError_t hipErrorLaunchFailure = cudaErrorLaunchFailure;
constexpr hipError_t hipErrorNotSupported = cudaErrorNotSupported;
constexpr hipError_t hipErrorStreamCaptureUnsupported = cudaErrorStreamCaptureUnsupported;
constexpr hipError_t hipErrorStreamCaptureInvalidated = cudaErrorStreamCaptureInvalidated;
constexpr hipError_t hipErrorUnknown = cudaErrorUnknown;

using hipStream_t = cudaStream_t;
using hipEvent_t = cudaEvent_t;
using hipGraph_t = cudaGraph_t;
using hipGraphExec_t = cudaGraphExec_t;
using hipGraphNode_t = cudaGraphNode_t;
using hipFuncAttributes = cudaFuncAttributes;

using hipMemcpyKind = cudaMemcpyKind;
constexpr hipMemcpyKind hipMemcpyHostToHost = cudaMemcpyHostToHost, hipMemcpyHostToDevice = cudaMemcpyHostToDevice,
                        hipMemcpyDeviceToHost = cudaMemcpyDeviceToHost, hipMemcpyDeviceToDevice = cudaMemcpyDeviceToDevice,
                        hipMemcpyDefault = cudaMemcpyDefault;
using hipStreamCaptureMode = cudaStreamCaptureMode;
constexpr hipStreamCaptureMode hipStreamCaptureModeGlobal = cudaStreamCaptureModeGlobal,
                               hipStreamCaptureModeThreadLocal = cudaStreamCaptureModeThreadLocal,
                               hipStreamCaptureModeRelaxed = cudaStreamCaptureModeRelaxed;
using hipStreamCaptureStatus = cudaStreamCaptureStatus;
constexpr hipStreamCaptureStatus hipStreamCaptureStatusNone = cudaStreamCaptureStatusNone,
                                 hipStreamCaptureStatusActive = cudaStreamCaptureStatusActive,
                                 hipStreamCaptureStatusInvalidated = cudaStreamCaptureStatusInvalidated;
using hipFuncAttribute = cudaFuncAttribute;
constexpr hipFuncAttribute hipFuncAttributeMaxDynamicSharedMemorySize = cudaFuncAttributeMaxDynamicSharedMemorySize;
constexpr unsigned hipHostMallocDefault = cudaHostAllocDefault, hipHostMallocPortable = cudaHostAllocPortable,
                   hipHostMallocMapped = cudaHostAllocMapped, hipHostMallocCoherent = 0x40000000;
constexpr unsigned hipDeviceMallocDefault = 0, hipDeviceMallocFinegrained = 1;
constexpr unsigned hipStreamDefault = cudaStreamDefault, hipStreamNonBlocking = cudaStreamNonBlocking;
constexpr unsigned hipEventDefault = cudaEventDefault, hipEventBlockingSync = cudaEventBlockingSync,
                   hipEventDisableTiming = cudaEventDisableTiming;

#define hipRuntimeGetVersion cudaRuntimeGetVersion
#define hipDriverGetVersion cudaDriverGetVersion
#define hipSetDevice cudaSetDevice
#define hipGetDevice cudaGetDevice
#define hipDeviceSynchronize cudaDeviceSynchronize
#define hipDeviceReset cudaDeviceReset
#define hipGetLastError cudaGetLastError
#define hipPeekAtLastError cudaPeekAtLastError
#define hipGetErrorName cudaGetErrorName
#define hipGetErrorString cudaGetErrorString
#define hipMalloc cudaMalloc
#define hipMallocManaged cudaMallocManaged
#define hipFree cudaFree
#define hipHostFree cudaFreeHost
#define hipHostGetDevicePointer cudaHostGetDevicePointer
#define hipMemGetInfo cudaMemGetInfo
#define hipMemcpy cudaMemcpy
#define hipMemcpyAsync cudaMemcpyAsync
#define hipMemset cudaMemset
#define hipMemsetAsync cudaMemsetAsync
#define hipStreamCreate cudaStreamCreate
#define hipStreamCreateWithFlags cudaStreamCreateWithFlags
#define hipStreamDestroy cudaStreamDestroy
#define hipStreamSynchronize cudaStreamSynchronize
#define hipStreamQuery cudaStreamQuery
#define hipStreamWaitEvent cudaStreamWaitEvent
#define hipEventCreate cudaEventCreate
#define hipEventCreateWithFlags cudaEventCreateWithFlags
#define hipEventDestroy cudaEventDestroy
#define hipEventRecord cudaEventRecord
#define hipEventSynchronize cudaEventSynchronize
#define hipEventQuery cudaEventQuery
#define hipEventElapsedTime cudaEventElapsedTime
#define hipStreamBeginCapture cudaStreamBeginCapture
#define hipStreamEndCapture cudaStreamEndCapture
#define hipStreamIsCapturing cudaStreamIsCapturing
#define hipGraphLaunch cudaGraphLaunch
#define hipGraphDestroy cudaGraphDestroy
#define hipGraphExecDestroy cudaGraphExecDestroy
#define hipFuncGetAttributes cudaFuncGetAttributes
#define hipFuncSetAttribute cudaFuncSetAttribute

inline hipError_t hipGetDeviceCount(int* count) {
  const hipError_t error = cudaGetDeviceCount(count);
  return error == cudaErrorInsufficientDriver ? hipErrorNoDevice : error;  // CUDA's word for no driver at all
}
inline hipError_t hipGraphInstantiate(hipGraphExec_t* exec, hipGraph_t graph, hipGraphNode_t*, char*, size_t) {
  return cudaGraphInstantiate(exec, graph, 0);
}
inline hipError_t hipExtMallocWithFlags(void** pointer, size_t bytes, unsigned) { return cudaMalloc(pointer, bytes); }
template <class T> hipError_t hipHostMalloc(T** pointer, size_t bytes, unsigned flags = hipHostMallocDefault) {
  return cudaHostAlloc(reinterpret_cast<void**>(pointer), bytes, flags & ~hipHostMallocCoherent);  // always coherent here
}

struct hipDeviceProp_t {
  char name[256];
  char gcnArchName[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlock;
  int warpSize;
  int maxThreadsPerBlock;
  int multiProcessorCount;
  int integrated;
  int major, minor;
  int pciDomainID, pciBusID, pciDeviceID;
};

inline hipError_t hipGetDeviceProperties(hipDeviceProp_t* to, int device) {
  cudaDeviceProp from;
  if (hipError_t error = cudaGetDeviceProperties(&from, device)) return error;
  *to = {{}, {}, from.totalGlobalMem, from.sharedMemPerBlock, from.warpSize, from.maxThreadsPerBlock, from.multiProcessorCount,
         from.integrated, from.major, from.minor, from.pciDomainID, from.pciBusID, from.pciDeviceID};
  std::snprintf(to->name, sizeof to->name, "%s", from.name);
  std::snprintf(to->gcnArchName, sizeof to->gcnArchName, "sm_%d%d", from.major, from.minor);
  return hipSuccess;
}

// kernel language -------------------------------------------------------------

#ifdef __CUDACC__
#define HIP_KERNEL_NAME(...) __VA_ARGS__
#define HIP_DYNAMIC_SHARED(type, name) extern __shared__ type name[];
#define hipLaunchKernelGGL(kernel, grid, block, lds, stream, ...) \
  do {                                                            \
    (kernel)<<<(grid), (block), (lds), (stream)>>>(__VA_ARGS__);  \
  } while (0)

__device__ inline int __lane_id() {
  return ((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x) % 32;
}
template <class T> __device__ inline T __shfl(T value, int source, int width = 32) {
  return __shfl_sync(0xffffffffu, value, source, width);
}
template <class T> __device__ inline T __shfl_xor(T value, int mask, int width = 32) {
  return __shfl_xor_sync(0xffffffffu, value, mask, width);
}
template <class T> __device__ inline T __shfl_up(T value, unsigned delta, int width = 32) {
  return __shfl_up_sync(0xffffffffu, value, delta, width);
}
template <class T> __device__ inline T __shfl_down(T value, unsigned delta, int width = 32) {
  return __shfl_down_sync(0xffffffffu, value, delta, width);
}
#define __ballot(predicate) static_cast<unsigned long long>(__ballot_sync(0xffffffffu, (predicate)))  // CUDA declares another one
#endif
