// A GPU and its memory: what it is, ROCm calls that throw, and memory that frees itself.
#pragma once
#include <hip/hip_runtime.h>

#include <cstddef>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "error.h"

namespace rocm {

struct OutOfMemory : Error {
  using Error::Error;
};
struct TooLarge : OutOfMemory {  // for kernels, whatever memory there is
  using OutOfMemory::OutOfMemory;
};

// Throws Error unless `error` is success: what was being done, HIP's words, the place in the source, and what helps.
void check(hipError_t error, const std::string& doing, std::source_location where = std::source_location::current());

// Facts of a device, read once.
struct Device {
  int index = 0;
  std::string name, architecture;  // "AMD Radeon RX 7900 XTX", "gfx1100" without features; "sm_90", "emulated32", "emulated32.gfx1100"
  int compute_units = 0;           // work-group processors on RDNA
  int wave = 32;
  bool integrated = false;
  std::size_t memory = 0;

  std::string kind() const { return architecture + '.' + std::to_string(compute_units); }  // devices that share plans
};
Device read_device(int index);  // throws Error
int device_count();  // 0 also without a driver
int current_device();  // of this thread
std::size_t free_memory(const Device& device);  // bytes; 0 where it does not say
std::string why_no_device();  // empty where there is one; else one sentence

// A GPU that does not come back from its work is given up: nothing of it is waited for or freed any more, as such calls may not come
// back either, and this process ends without the end of the ROCm runtime.
void give_up(int device);
bool given_up(int device);
void check_alive(const Device& device);  // throws Error where it was given up

// Of a unique_ptr: frees what a GPU uses; where that one was given up, leaves it to the end of the process. Such a call waits for the
// thread's current device, which may be one that was given up.
struct Forsake {
  int device = 0;
  template <class T>
  void operator()(T* owner) const {
    if (given_up(device)) return;
    (void)hipSetDevice(device);
    if constexpr (std::is_void_v<T>) (void)hipFree(owner);
    else if constexpr (std::is_same_v<T*, hipEvent_t>) (void)hipEventDestroy(owner);
    else if constexpr (std::is_same_v<T*, hipGraphExec_t>) (void)hipGraphExecDestroy(owner);
    else delete owner;
  }
};
template <class Handle>
using OfDevice = std::unique_ptr<std::remove_pointer_t<Handle>, Forsake>;

// Device memory, aligned to 256 bytes; zero bytes are a null pointer. What an integrated GPU's own part of memory has no room for lies in
// the rest, up to half of it.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes);  // throws OutOfMemory
  static DeviceMemory managed(std::size_t bytes);  // that the host sees as well; throws OutOfMemory
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept { return swap(other); }
  ~DeviceMemory();
  template <class T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }
  std::size_t bytes() const { return bytes_; }

 private:
  DeviceMemory& swap(DeviceMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(managed_, other.managed_);
    return *this;
  }

  OfDevice<void*> data_;
  std::size_t bytes_ = 0;
  bool managed_ = false;
};

// Memory that the host and the device pass to each other. An integrated GPU has one piece that both see, pinned if it can be; else each
// side has its own, the host's pinned, and a copy between them is queued.
class Mailbox {
 public:
  Mailbox(const Device& device, std::size_t bytes);  // throws OutOfMemory

  template <class T>
  T* host(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(host_) + offset);
  }
  template <class T>
  T* device(std::size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(device_) + offset);
  }
  void send(hipStream_t stream, std::size_t bytes);   // to the device
  void fetch(hipStream_t stream, std::size_t bytes);  // to the host: there when the stream has been waited for

 private:
  struct Free {
    void operator()(void* memory) const { (void)hipHostFree(memory); }
  };
  bool shared_;
  DeviceMemory memory_;  // the device's, or managed
  std::unique_ptr<void, Free> pinned_;
  void *host_ = nullptr, *device_ = nullptr;
};

}  // namespace rocm
