// What one thread needs to evaluate: a stream, the library handles bound to it, workspaces and memory for activations. No lock,
// nothing shared.
#pragma once
#include <hip/hip_runtime.h>
#include <hipblaslt/hipblaslt.h>
#include <miopen/miopen.h>
#include <rocblas/rocblas.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <typeindex>
#include <vector>

#include "backends/rocm/device/device.h"

namespace rocm {

class Planner;

// Device memory given out and taken back like a stack. What does not fit is allocated apart, so that the pass that finds out how much
// is needed already works.
class Arena {
 public:
  // Takes back, at its end, all that was given out since its start. The device may still use it: its work is in order.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), top_(arena.top_), apart_(arena.apart_.size()) {}
    ~Scope() { arena_.take_back(top_, apart_); }
    Scope(const Scope&) = delete;

   private:
    Arena& arena_;
    std::size_t top_, apart_;
  };

  void* take(std::size_t bytes);  // aligned to 256; throws OutOfMemory
  template <class T>
  T* take(std::size_t numbers) {
    return static_cast<T*>(take(numbers * sizeof(T)));
  }
  static void check_size(std::size_t bytes);  // throws TooLarge for an array of so many
  std::size_t bytes() const { return memory_.bytes(); }
  std::size_t peak() const { return peak_; }        // bytes that were out at once since reserve()
  std::size_t largest() const { return largest_; }  // given out at once, ever
  // Room for so many bytes, and none apart. Nothing is out and the device is idle; all that was given out before has moved. Throws
  // OutOfMemory and has no room then.
  void reserve(std::size_t bytes);
  // The same for at least so many, where there is memory for them beside what is held; else false, and that is kept: another program may
  // take at once what is let go.
  bool grow(std::size_t bytes);

 private:
  void take_back(std::size_t top, std::size_t apart);

  DeviceMemory memory_;
  std::vector<DeviceMemory> apart_, spare_;  // out; taken back, for the next that fits
  std::size_t top_ = 0, peak_ = 0, largest_ = 0;
};

class Stream {
 public:
  enum class Room { kProduct, kWeights };  // of the workspace

  Stream(const Device& device, Planner& planner);
  ~Stream();
  Stream(const Stream&) = delete;

  const Device& device() const { return device_; }
  Planner& planner() { return planner_; }
  operator hipStream_t() const { return stream_; }
  // Until all queued work is done; returns how long that took. Throws Error for what failed in it. Gives up the device where nothing
  // comes back for so long, where the process ends before it does, or where another thread has.
  std::chrono::nanoseconds wait(std::chrono::nanoseconds patience = kPatience);
  static constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(20);  // with a few products or copies

  // Made at first use: creating one costs time and memory, and a library may be missing. Throw Error.
  rocblas_handle rocblas();
  hipblasLtHandle_t hipblaslt();
  miopenHandle_t miopen();
  // In play no default takes memory that was not reserved: no first handle of rocBLAS, which has a workspace, and no larger one of ours.
  void begin_play();
  bool may_default_to_rocblas() const { return rocblas_ || !in_play_; }
  std::size_t most_default_workspace(Room room = Room::kProduct) const { return in_play_ ? workspaces_[int(room)].bytes() : SIZE_MAX; }

  // Memory for one product or convolution at a time, or for its weights, grown to the largest wish. It moves when it grows.
  void* workspace(std::size_t bytes, Room room = Room::kProduct);

  // Whether workspace or activations went beyond what was reserved: a graph would know places that will not stay.
  bool outgrown() const { return !outgrown_.empty() || arena_.peak() > arena_.bytes() || (side_ && side_->outgrown()); }
  // Frees what was outgrown and makes room for `bytes` of activations. The device is idle and no graph is left. Throws OutOfMemory.
  void reserve(std::size_t bytes);
  bool grow(std::size_t bytes);  // see Arena

  // What somebody keeps for as long as the stream, one of each type, made at first use: descriptors, chosen algorithms.
  template <class T>
  T& attached() {
    std::shared_ptr<void>& place = attached_[typeid(T)];
    if (!place) place = std::make_shared<T>();
    return *static_cast<T*>(place.get());
  }
  Arena& arena() { return arena_; }

  Stream& side();  // another of the same device, for Beside, made at first use

 private:
  friend class Beside;
  Device device_;
  Planner& planner_;
  hipStream_t stream_ = nullptr;
  rocblas_handle rocblas_ = nullptr;
  hipblasLtHandle_t hipblaslt_ = nullptr;
  miopenHandle_t miopen_ = nullptr;
  bool in_play_ = false;
  DeviceMemory rocblas_workspace_, workspaces_[2];  // the latter by Room
  std::vector<DeviceMemory> outgrown_;  // work in flight and captured graphs may still use them
  hipEvent_t done_ = nullptr;  // of wait(); of Beside: where its stream begins, or ends
  Arena arena_;
  std::map<std::type_index, std::shared_ptr<void>> attached_;
  std::unique_ptr<Stream> side_;
};

// Work beside a stream's: what is queued on stream() runs beside what is queued on the main one until this ends; both come after all that was
// queued before, and all that is queued later comes after both. Arrays are the main stream's: what one side has taken back, the other must not
// take before the end.
class Beside {
 public:
  explicit Beside(Stream& main);  // throws Error
  ~Beside();
  Beside(const Beside&) = delete;
  Stream& stream() { return main_.side(); }

 private:
  Stream& main_;
};

}  // namespace rocm
