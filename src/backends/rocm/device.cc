#include "backends/rocm/device.h"

#include <filesystem>

namespace rocm {
namespace {

const char* hint(hipError_t error) {
  switch (error) {
    case hipErrorOutOfMemory: return "; give max_batch or streams a smaller value, or close other programs that use the GPU";
    case hipErrorNoDevice: return "; `lc0rocm backends` says what can run here";
    case hipErrorIllegalAddress:
    case hipErrorLaunchFailure: return "; the GPU is lost to this process: restart it, or use the back end cpu";
    default: return "";
  }
}

}  // namespace

void check(hipError_t error, const std::string& doing, std::source_location where) {
  if (error == hipSuccess) return;
  (void)hipGetLastError();  // it has been told: the next check shall not find it again
  const std::string text = doing + ": " + hipGetErrorString(error) + " (" + hipGetErrorName(error) + ", " +
                           std::filesystem::path(where.file_name()).filename().string() + ":" + std::to_string(where.line()) + ")" +
                           hint(error);
  if (error == hipErrorOutOfMemory) throw OutOfMemory(text);
  throw Error(text);
}

Device read_device(int index) {
  hipDeviceProp_t p;
  check(hipGetDeviceProperties(&p, index), "reading the properties of GPU " + std::to_string(index));
  const std::string architecture = p.gcnArchName;
  return {index, p.name, architecture.substr(0, architecture.find(':')), p.multiProcessorCount, p.warpSize, p.integrated != 0,
          p.totalGlobalMem};
}

int device_count() {
  int count = 0;
  return hipGetDeviceCount(&count) == hipSuccess ? count : 0;
}

std::string why_no_device() {
  int count = 0;
  const hipError_t error = hipGetDeviceCount(&count);
  if (error == hipSuccess && count > 0) return "";
  (void)hipGetLastError();
  if (error == hipSuccess || error == hipErrorNoDevice)
    return "ROCm is here, but no GPU that it can use: is the amdgpu driver loaded, and may this user open /dev/kfd?";
  return std::string("ROCm cannot list its devices: ") + hipGetErrorString(error) + "; is the amdgpu driver loaded?";
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  if (bytes > 0) check(hipMalloc(&data_, bytes), "allocating " + std::to_string(bytes) + " bytes of GPU memory");
}

DeviceMemory::~DeviceMemory() {
  if (data_) (void)hipFree(data_);
}

Mailbox::Mailbox(const Device& device, std::size_t bytes) {
  if (!device.integrated) apart_ = DeviceMemory(bytes);
  void* host = nullptr;
  check(hipHostMalloc(&host, bytes, device.integrated ? hipHostMallocMapped | hipHostMallocCoherent : hipHostMallocDefault),
        "allocating " + std::to_string(bytes) + " bytes of pinned memory");
  host_.reset(host);
  device_ = apart_.as<void>();
  if (device.integrated) check(hipHostGetDevicePointer(&device_, host, 0), "showing pinned memory to the GPU");
}

void Mailbox::send(hipStream_t stream, std::size_t bytes) {
  if (apart_.bytes() > 0) check(hipMemcpyAsync(device_, host_.get(), bytes, hipMemcpyHostToDevice, stream), "copying to the GPU");
}

void Mailbox::fetch(hipStream_t stream, std::size_t bytes) {
  if (apart_.bytes() > 0) check(hipMemcpyAsync(host_.get(), device_, bytes, hipMemcpyDeviceToHost, stream), "copying from the GPU");
}

}  // namespace rocm
