#include "backends/rocm/device/stream.h"

#include <algorithm>
#include <thread>

#include "process.h"

namespace rocm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAlignment = 256, kMostBytes = std::size_t{1} << 31;  // of one array: kernels count bytes in 32 bits

// rocBLAS allocates its own when a call first needs it.
std::size_t rocblas_workspace(const Device& device) { return std::min(std::size_t{32} << 20, device.memory / 64); }

void check_library(bool success, const std::string& library, const std::string& status) {
  if (!success) throw Error(library + " cannot be used: " + status + "; is its package of the same ROCm version installed?");
}

}  // namespace

void Arena::check_size(std::size_t bytes) {
  if (bytes > kMostBytes)
    throw TooLarge("an array of " + std::to_string(bytes) + " bytes is larger than GPU kernels address; give max_batch a smaller value");
}

void* Arena::take(std::size_t bytes) {
  check_size(bytes);
  const std::size_t start = top_;
  top_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  peak_ = std::max(peak_, top_);
  largest_ = std::max(largest_, bytes);
  if (top_ <= memory_.bytes()) return memory_.as<std::byte>() + start;
  const auto fits = [&](const DeviceMemory& m) { return m.bytes() >= bytes && m.bytes() / 2 <= bytes; };
  if (const auto spare = std::ranges::find_if(spare_, fits); spare != spare_.end()) {
    apart_.push_back(std::move(*spare));
    spare_.erase(spare);
  } else {
    apart_.emplace_back(bytes);
  }
  return apart_.back().as<void>();
}

void Arena::take_back(std::size_t top, std::size_t apart) {
  top_ = top;
  std::move(apart_.begin() + apart, apart_.end(), std::back_inserter(spare_));
  apart_.resize(apart);
}

void Arena::reserve(std::size_t bytes) {
  spare_.clear();
  memory_ = {};  // first: old and new need not fit at once
  peak_ = 0;
  memory_ = DeviceMemory(bytes);
}

bool Arena::grow(std::size_t bytes) {
  spare_.clear();
  peak_ = 0;
  try {
    if (bytes > memory_.bytes()) memory_ = DeviceMemory(bytes);
    return true;
  } catch (const OutOfMemory&) {
    return false;
  }
}

Stream::Stream(const Device& device, Planner& planner) : device_(device), planner_(planner) {
  check(hipSetDevice(device.index), "choosing GPU " + std::to_string(device.index));
  check(hipStreamCreateWithFlags(&stream_, hipStreamNonBlocking), "making a stream");
  const hipError_t error = hipEventCreateWithFlags(&done_, hipEventDisableTiming);
  if (error != hipSuccess) (void)hipStreamDestroy(stream_);
  check(error, "making an event");
}

Stream::~Stream() {
  (void)hipSetDevice(device_.index);
  (void)hipStreamSynchronize(stream_);
  side_.reset();
  attached_.clear();
  if (rocblas_) (void)rocblas_destroy_handle(rocblas_);
  if (hipblaslt_) (void)hipblasLtDestroy(hipblaslt_);
  if (miopen_) (void)miopenDestroy(miopen_);
  (void)hipEventDestroy(done_);
  (void)hipStreamDestroy(stream_);
}

// A query costs about a microsecond and a nap up to sixty more than it was meant to take: a pass of few positions is polled for without one.
// An integrated GPU shares its power with the processor that polls.
std::chrono::nanoseconds Stream::wait(std::chrono::nanoseconds patience) {
  const auto awake = std::chrono::milliseconds(device_.integrated ? 1 : 20);
  constexpr int kNaps = 64;  // a nap is this part of the wait so far
  const auto begin = Clock::now();
  hipError_t error = hipEventRecord(done_, stream_);
  auto waited = Clock::now() - begin;  // the clock is read before the event: a process that was stopped between the two accuses no GPU
  if (error == hipSuccess) error = hipEventQuery(done_);
  for (; error == hipErrorNotReady; waited = Clock::now() - begin, error = hipEventQuery(done_)) {
    if (waited > patience || process::is_over_for_this_thread()) give_up(device_.index);
    check_alive(device_);
    if (waited < awake) std::this_thread::yield();
    else std::this_thread::sleep_for(waited / kNaps);
  }
  if (error != hipSuccess) check(error, "evaluating on " + device_.name);
  (void)hipGetLastError();  // "not ready" is none
  return waited;
}

rocblas_handle Stream::rocblas() {
  if (rocblas_) return rocblas_;
  const auto checked = [](rocblas_status s) { check_library(s == rocblas_status_success, "rocBLAS", rocblas_status_to_string(s)); };
  rocblas_workspace_ = DeviceMemory(rocblas_workspace(device_));
  checked(rocblas_create_handle(&rocblas_));
  checked(rocblas_set_stream(rocblas_, stream_));
  checked(rocblas_set_workspace(rocblas_, rocblas_workspace_.as<void>(), rocblas_workspace_.bytes()));
  return rocblas_;
}

hipblasLtHandle_t Stream::hipblaslt() {
  if (!hipblaslt_) {
    const hipblasStatus_t status = hipblasLtCreate(&hipblaslt_);
    check_library(status == HIPBLAS_STATUS_SUCCESS, "hipBLASLt", "status " + std::to_string(status));
  }
  return hipblaslt_;
}

miopenHandle_t Stream::miopen() {
  if (!miopen_) {
    const miopenStatus_t status = miopenCreateWithStream(&miopen_, stream_);
    check_library(status == miopenStatusSuccess, "MIOpen", miopenGetErrorString(status));
  }
  return miopen_;
}

void Stream::begin_play() {
  in_play_ = true;
  if (side_) side_->begin_play();
}

Stream& Stream::side() {
  if (!side_) {
    side_ = std::make_unique<Stream>(device_, planner_);
    if (in_play_) side_->begin_play();
  }
  return *side_;
}

Beside::Beside(Stream& main) : main_(main) {
  Stream& side = main.side();
  check(hipEventRecord(side.done_, main), "branching off a stream");
  check(hipStreamWaitEvent(side, side.done_, 0), "branching off a stream");
}

Beside::~Beside() {
  Stream& side = main_.side();
  if (hipEventRecord(side.done_, side) == hipSuccess) (void)hipStreamWaitEvent(main_, side.done_, 0);
}

void* Stream::workspace(std::size_t bytes, Room room) {
  DeviceMemory& memory = workspaces_[int(room)];
  if (bytes > memory.bytes()) {
    DeviceMemory larger(bytes);
    std::swap(memory, larger);
    if (larger.bytes() > 0) outgrown_.push_back(std::move(larger));
  }
  return memory.as<void>();
}

void Stream::reserve(std::size_t bytes) {
  outgrown_.clear();
  if (side_) side_->reserve(0);
  arena_.reserve(bytes);
}

bool Stream::grow(std::size_t bytes) {
  outgrown_.clear();
  if (side_) side_->grow(0);
  return arena_.grow(bytes);
}

}  // namespace rocm
