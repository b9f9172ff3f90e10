// HIP on the CPU, for tests: the part of the runtime and of the kernel language that the back end uses. Every GPU thread of a
// block is a fiber with real barriers and wave exchanges, device memory has guard pages, streams run as late as they may.
// Compile with -DHIP_EMULATED_WAVE=32 or 64. Link the kernels into a shared library without thread_local variables of its
// own: __shared__ becomes one, and all of that library's are filled with NaN before each block.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <vector>

#if HIP_EMULATED_WAVE != 32 && HIP_EMULATED_WAVE != 64
#error "compile with -DHIP_EMULATED_WAVE=32 or -DHIP_EMULATED_WAVE=64"
#endif

// runtime ---------------------------------------------------------------------

enum [[nodiscard]] hipError_t {
  hipSuccess = 0,
  hipErrorInvalidValue = 1,
  hipErrorOutOfMemory = 2,
  hipErrorInvalidConfiguration = 9,
  hipErrorInvalidMemcpyDirection = 21,
  hipErrorNoDevice = 100,
  hipErrorInvalidDevice = 101,
  hipErrorInvalidHandle = 400,
  hipErrorNotReady = 600,
  hipErrorIllegalAddress = 700,
  hipErrorLaunchFailure = 719,
  hipErrorNotSupported = 801,
  hipErrorStreamCaptureUnsupported = 900,
  hipErrorStreamCaptureInvalidated = 901,
  hipErrorStreamCaptureUnmatched = 903,
  hipErrorStreamCaptureUnjoined = 904,
  hipErrorCapturedEvent = 907,
  hipErrorUnknown = 999,
};

typedef struct ihipStream_t* hipStream_t;
typedef struct ihipEvent_t* hipEvent_t;
typedef struct ihipGraph* hipGraph_t;
typedef struct hipGraphExec* hipGraphExec_t;
typedef struct hipGraphNode* hipGraphNode_t;

enum hipMemcpyKind { hipMemcpyHostToHost, hipMemcpyHostToDevice, hipMemcpyDeviceToHost, hipMemcpyDeviceToDevice, hipMemcpyDefault };
enum hipStreamCaptureMode { hipStreamCaptureModeGlobal, hipStreamCaptureModeThreadLocal, hipStreamCaptureModeRelaxed };
enum hipStreamCaptureStatus { hipStreamCaptureStatusNone, hipStreamCaptureStatusActive, hipStreamCaptureStatusInvalidated };
enum hipFuncAttribute { hipFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum : unsigned {
  hipHostMallocDefault = 0, hipHostMallocPortable = 1, hipHostMallocMapped = 2, hipHostMallocCoherent = 0x40000000,
  hipDeviceMallocDefault = 0, hipDeviceMallocFinegrained = 1,
  hipStreamDefault = 0, hipStreamNonBlocking = 1,
  hipEventDefault = 0, hipEventBlockingSync = 1, hipEventDisableTiming = 2,
};

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

struct hipFuncAttributes {
  int maxThreadsPerBlock;
};

extern "C" {
hipError_t hipRuntimeGetVersion(int* version);
hipError_t hipDriverGetVersion(int* version);
hipError_t hipGetDeviceCount(int* count);
hipError_t hipSetDevice(int device);
hipError_t hipGetDevice(int* device);
hipError_t hipDeviceSynchronize();
hipError_t hipDeviceReset();
hipError_t hipGetLastError();
hipError_t hipPeekAtLastError();
const char* hipGetErrorName(hipError_t error);
const char* hipGetErrorString(hipError_t error);  // says for a fault what the emulation saw: kernel, block, thread, address

hipError_t hipExtMallocWithFlags(void** pointer, size_t bytes, unsigned flags);
hipError_t hipFree(void* pointer);
hipError_t hipHostFree(void* pointer);
hipError_t hipHostGetDevicePointer(void** device, void* host, unsigned flags);
hipError_t hipMemGetInfo(size_t* free, size_t* total);
hipError_t hipMemcpy(void* to, const void* from, size_t bytes, hipMemcpyKind kind);
hipError_t hipMemcpyAsync(void* to, const void* from, size_t bytes, hipMemcpyKind kind, hipStream_t stream);
hipError_t hipMemset(void* to, int value, size_t bytes);
hipError_t hipMemsetAsync(void* to, int value, size_t bytes, hipStream_t stream);

hipError_t hipStreamCreate(hipStream_t* stream);
hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned flags);
hipError_t hipStreamDestroy(hipStream_t stream);
hipError_t hipStreamSynchronize(hipStream_t stream);
hipError_t hipStreamQuery(hipStream_t stream);
hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event, unsigned flags);

hipError_t hipEventCreate(hipEvent_t* event);
hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned flags);
hipError_t hipEventDestroy(hipEvent_t event);
hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream);
hipError_t hipEventSynchronize(hipEvent_t event);
hipError_t hipEventQuery(hipEvent_t event);
hipError_t hipEventElapsedTime(float* ms, hipEvent_t start, hipEvent_t stop);

hipError_t hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode);
hipError_t hipStreamEndCapture(hipStream_t stream, hipGraph_t* graph);
hipError_t hipStreamIsCapturing(hipStream_t stream, hipStreamCaptureStatus* status);
hipError_t hipGraphInstantiate(hipGraphExec_t* exec, hipGraph_t graph, hipGraphNode_t* error_node, char* log, size_t log_bytes);
hipError_t hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream);
hipError_t hipGraphDestroy(hipGraph_t graph);
hipError_t hipGraphExecDestroy(hipGraphExec_t exec);

hipError_t hipFuncGetAttributes(hipFuncAttributes* attributes, const void* kernel);
hipError_t hipFuncSetAttribute(const void* kernel, hipFuncAttribute attribute, int value);

// Of the emulation alone; see settings.h.
void hip_emulated_configure(const char* settings);
size_t hip_emulated_calls(const char* kind);  // of a fail= so far
size_t hip_emulated_live_objects();  // allocations, streams, events, graphs and library handles not yet destroyed
}

hipError_t hipMalloc(void** pointer, size_t bytes);
hipError_t hipMallocManaged(void** pointer, size_t bytes, unsigned flags = 1);
hipError_t hipHostMalloc(void** pointer, size_t bytes, unsigned flags = 0);
template <class T> hipError_t hipMalloc(T** pointer, size_t bytes) { return hipMalloc(reinterpret_cast<void**>(pointer), bytes); }
template <class T> hipError_t hipHostMalloc(T** pointer, size_t bytes, unsigned flags = 0) {
  return hipHostMalloc(reinterpret_cast<void**>(pointer), bytes, flags);
}

// kernel language -------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define HIP_KERNEL_NAME(...) __VA_ARGS__
#define HIP_DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(hip_emulated::dynamic_lds());

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// Of the fiber that runs now; a fiber never leaves its host thread.
extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;
extern __thread int warpSize;

namespace hip_emulated {

enum class Written { kNothing, kFloats, kHalves, kOther };

struct Argument {
  std::vector<std::byte> bytes;
  bool is_pointer;
  Written writes;  // what a pointer to mutable memory leads to
};

struct Kernel {
  const void* address;
  dim3 grid, block;
  size_t dynamic_lds;  // bytes
  int wave;
  std::function<void()> thread;  // the kernel with its arguments, as one thread runs it
  std::function<std::vector<Argument>()> arguments;  // for machine code, which takes them in its own order of bytes
};

template <class P>
Argument describe_argument(const P& value) {
  static_assert(std::is_trivially_copyable_v<P>);
  using Target = std::remove_pointer_t<P>;
  Written writes = Written::kNothing;
  if constexpr (std::is_pointer_v<P> && !std::is_const_v<Target>)
    writes = std::is_same_v<Target, float> ? Written::kFloats : std::is_class_v<Target> && sizeof(Target) == 2 ? Written::kHalves : Written::kOther;
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  return {{bytes, bytes + sizeof value}, std::is_pointer_v<P>, writes};
}

void enqueue(Kernel kernel, hipStream_t stream);
void* dynamic_lds();
void block_barrier(std::source_location where);

// What lanes brought to the same exchange; valid until this lane's next but one exchange. Those that could be read must all take
// part: with a width of up to 32 all of the aligned 32 lanes, else all of the wave, less those whose thread has ended.
struct Lanes {
  const std::byte* slots;
  int first;              // lane of the first slot
  std::uint64_t present;  // bit i: lane first + i took part
  template <class T> T get(int lane, std::source_location where = std::source_location::current()) const {
    if (!(present >> (lane - first) & 1)) missing_lane(lane, where);
    T value;
    std::memcpy(&value, slots + (lane - first) * kSlot, sizeof value);
    return value;
  }
  static constexpr int kSlot = 256;  // bytes a lane can bring
  [[noreturn]] static void missing_lane(int lane, std::source_location where);
};
Lanes exchange(const void* value, int bytes, int width, std::source_location where);

// A wave-collective step of any kind, such as a matrix instruction: every lane brings a value and sees all of them.
template <class T>
Lanes all_lanes(const T& value, int width = HIP_EMULATED_WAVE, std::source_location where = std::source_location::current()) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= Lanes::kSlot);
  return exchange(&value, sizeof value, width, where);
}

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t lds, hipStream_t stream, A&&... args) {
  std::tuple<P...> values(static_cast<P>(args)...);
  enqueue({reinterpret_cast<const void*>(kernel), grid, block, lds, HIP_EMULATED_WAVE,
           [kernel, values] { std::apply(kernel, values); },
           [values] { return std::apply([](const P&... v) { return std::vector{describe_argument(v)...}; }, values); }}, stream);
}

void device_properties(hipDeviceProp_t* properties, int wave);
hipError_t check_device(int device);

}  // namespace hip_emulated

inline hipError_t hipGetDeviceProperties(hipDeviceProp_t* properties, int device) {
  if (hipError_t error = hip_emulated::check_device(device)) return error;
  hip_emulated::device_properties(properties, HIP_EMULATED_WAVE);
  return hipSuccess;
}

#define hipLaunchKernelGGL(kernel, grid, block, lds, stream, ...) \
  hip_emulated::launch((kernel), (grid), (block), (lds), (stream)__VA_OPT__(, ) __VA_ARGS__)

inline void __syncthreads(std::source_location where = std::source_location::current()) { hip_emulated::block_barrier(where); }
inline void __syncwarp(std::source_location where = std::source_location::current()) {
  hip_emulated::all_lanes(0, HIP_EMULATED_WAVE, where);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

inline int __lane_id() {
  return ((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x) & (HIP_EMULATED_WAVE - 1);
}

namespace hip_emulated {
template <class T> T shuffle(T value, int source, int width, std::source_location where) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "HIP shuffles 4- and 8-byte numbers");
  return all_lanes(value, width, where).template get<T>(source, where);
}
}  // namespace hip_emulated

template <class T>
T __shfl(T value, int source, int width = HIP_EMULATED_WAVE, std::source_location where = std::source_location::current()) {
  return hip_emulated::shuffle(value, (__lane_id() & -width) + (source & (width - 1)), width, where);
}
template <class T>
T __shfl_xor(T value, int mask, int width = HIP_EMULATED_WAVE, std::source_location where = std::source_location::current()) {
  const int self = __lane_id(), source = self ^ mask;
  return hip_emulated::shuffle(value, source < (self & -width) + width ? source : self, width, where);
}
template <class T>
T __shfl_down(T value, unsigned delta, int width = HIP_EMULATED_WAVE, std::source_location where = std::source_location::current()) {
  const int self = __lane_id();
  return hip_emulated::shuffle(value, (self & (width - 1)) + int(delta) < width ? self + int(delta) : self, width, where);
}
template <class T>
T __shfl_up(T value, unsigned delta, int width = HIP_EMULATED_WAVE, std::source_location where = std::source_location::current()) {
  const int self = __lane_id();
  return hip_emulated::shuffle(value, (self & (width - 1)) >= int(delta) ? self - int(delta) : self, width, where);
}
inline unsigned long long __ballot(int predicate, std::source_location where = std::source_location::current()) {
  const hip_emulated::Lanes lanes = hip_emulated::all_lanes(predicate != 0, HIP_EMULATED_WAVE, where);
  unsigned long long mask = 0;
  for (int i = 0; i < HIP_EMULATED_WAVE; ++i) {
    if (lanes.present >> i & 1) mask |= static_cast<unsigned long long>(lanes.get<bool>(i)) << i;
  }
  return mask;
}

template <class T> T atomicAdd(T* address, T value) {
  const T before = *address;  // one block runs at a time and a fiber is only left at a barrier or an exchange
  *address = before + value;
  return before;
}

template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> min(T a, T b) { return b < a ? b : a; }
template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> max(T a, T b) { return a < b ? b : a; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fdividef(float x, float y) { return x / y; }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline float __int_as_float(int x) { float y; std::memcpy(&y, &x, 4); return y; }
inline int __float_as_int(float x) { int y; std::memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(unsigned x) { float y; std::memcpy(&y, &x, 4); return y; }
inline unsigned __float_as_uint(float x) { unsigned y; std::memcpy(&y, &x, 4); return y; }
