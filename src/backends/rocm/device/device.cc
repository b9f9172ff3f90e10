#include "backends/rocm/device/device.h"

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace rocm {
namespace {

std::atomic<std::uint64_t> lost_devices = 0;  // a bit each
std::atomic<std::size_t> managed_bytes = 0;

const char* hint(hipError_t error) {
  switch (error) {
    case hipErrorOutOfMemory:
      return "; its memory is full: close other programs that use the GPU, give what is loaded on it a smaller max_batch, or take rocm-fp16 or "
             "a smaller network";
    case hipErrorNoDevice: return "; `lc0rocm backends` says what can run here";
    case hipErrorIllegalAddress:
    case hipErrorLaunchFailure: return "; the GPU is lost to this process: restart it, or use the back end cpu";
    default: return "";
  }
}

// The runtime gives out more managed memory than the machine has: it is counted here, and half of the machine's is the most, as
// for other memory that the driver shows to a GPU.
hipError_t allocate_managed(void** data, std::size_t bytes) {
  static const std::size_t most = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) / 2;
  const bool fits = managed_bytes.fetch_add(bytes) + bytes <= most;
  const hipError_t error = fits ? hipMallocManaged(data, bytes) : hipErrorOutOfMemory;
  if (error != hipSuccess) managed_bytes -= bytes;
  return error;
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

int current_device() {
  int device = 0;
  (void)hipGetDevice(&device);
  return device;
}

std::size_t free_memory(const Device& device) {
  std::size_t free = 0, total = 0;
  if (given_up(device.index) || hipSetDevice(device.index) != hipSuccess || hipMemGetInfo(&free, &total) != hipSuccess) return 0;
  return free;
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

void give_up(int device) {
  if (lost_devices.fetch_or(std::uint64_t{1} << device % 64) != 0) return;
  // Before the runtime's own handlers, which wait for the device: those registered last are called first.
  (void)on_exit([](int status, void*) {
    (void)std::fflush(nullptr);
    _exit(status);
  }, nullptr);
}

bool given_up(int device) { return lost_devices >> device % 64 & 1; }

void check_alive(const Device& device) {
  if (given_up(device.index))
    throw Error(device.name + " did not come back from its work and is given up: restart the program to use it again, or the machine if that "
                              "does not help");
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const int device = current_device();
  void* data = nullptr;
  hipError_t error = hipMalloc(&data, bytes);
  if (error == hipErrorOutOfMemory && read_device(device).integrated) {
    if (hipExtMallocWithFlags(&data, bytes, hipDeviceMallocFinegrained) == hipSuccess) error = hipSuccess;
    else managed_ = (error = allocate_managed(&data, bytes)) == hipSuccess;
    (void)hipGetLastError();  // of what was tried before
  }
  check(error, "allocating " + std::to_string(bytes) + " bytes of GPU memory");
  data_ = {data, Forsake{device}};
}

DeviceMemory::~DeviceMemory() {
  if (managed_ && !given_up(data_.get_deleter().device)) managed_bytes -= bytes_;
}

DeviceMemory DeviceMemory::managed(std::size_t bytes) {
  void* data = nullptr;
  check(allocate_managed(&data, bytes), "allocating " + std::to_string(bytes) + " bytes of managed memory");
  DeviceMemory memory;
  memory.data_ = {data, Forsake{current_device()}}, memory.bytes_ = bytes, memory.managed_ = true;
  return memory;
}

Mailbox::Mailbox(const Device& device, std::size_t bytes) : shared_(device.integrated) {
  if (!shared_) memory_ = DeviceMemory(bytes);
  const hipError_t error = hipHostMalloc(&host_, bytes, shared_ ? hipHostMallocMapped | hipHostMallocCoherent : hipHostMallocDefault);
  if (shared_ && error == hipErrorOutOfMemory) {
    (void)hipGetLastError();
    memory_ = DeviceMemory::managed(bytes);
    host_ = device_ = memory_.as<void>();
    return;
  }
  check(error, "allocating " + std::to_string(bytes) + " bytes of pinned memory");
  pinned_.reset(host_);
  device_ = memory_.as<void>();
  if (shared_) check(hipHostGetDevicePointer(&device_, host_, 0), "showing pinned memory to the GPU");
}

void Mailbox::send(hipStream_t stream, std::size_t bytes) {
  if (!shared_) check(hipMemcpyAsync(device_, host_, bytes, hipMemcpyHostToDevice, stream), "copying to the GPU");
}

void Mailbox::fetch(hipStream_t stream, std::size_t bytes) {
  if (!shared_) check(hipMemcpyAsync(host_, device_, bytes, hipMemcpyDeviceToHost, stream), "copying from the GPU");
}

}  // namespace rocm
