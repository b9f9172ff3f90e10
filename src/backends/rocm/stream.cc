#include "backends/rocm/stream.h"

#include <algorithm>

namespace rocm {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kRocblasWorkspace = std::size_t{32} << 20;  // its own would be allocated when a call first needs it

void check_library(bool success, const std::string& library, const std::string& status) {
  if (!success) throw Error(library + " cannot be used: " + status + "; is its package of the same ROCm version installed?");
}

}  // namespace

void* Arena::take(std::size_t bytes) {
  const std::size_t start = top_;
  top_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  peak_ = std::max(peak_, top_);
  if (top_ <= memory_.bytes()) return memory_.as<std::byte>() + start;
  return apart_.emplace_back(bytes).as<void>();
}

void Arena::reserve(std::size_t bytes) {
  apart_.clear();
  memory_ = {};  // first: old and new need not fit at once
  peak_ = 0;
  memory_ = DeviceMemory(bytes);
}

Stream::Stream(const Device& device, Planner& planner) : device_(device), planner_(planner) {
  check(hipSetDevice(device.index), "choosing GPU " + std::to_string(device.index));
  check(hipStreamCreateWithFlags(&stream_, hipStreamNonBlocking), "making a stream");
}

Stream::~Stream() {
  (void)hipSetDevice(device_.index);
  (void)hipStreamSynchronize(stream_);
  attached_.clear();
  if (rocblas_) (void)rocblas_destroy_handle(rocblas_);
  if (hipblaslt_) (void)hipblasLtDestroy(hipblaslt_);
  if (miopen_) (void)miopenDestroy(miopen_);
  (void)hipStreamDestroy(stream_);
}

void Stream::wait() { check(hipStreamSynchronize(stream_), "evaluating on " + device_.name); }

rocblas_handle Stream::rocblas() {
  if (rocblas_) return rocblas_;
  const auto checked = [](rocblas_status s) { check_library(s == rocblas_status_success, "rocBLAS", rocblas_status_to_string(s)); };
  rocblas_workspace_ = DeviceMemory(kRocblasWorkspace);
  checked(rocblas_create_handle(&rocblas_));
  checked(rocblas_set_stream(rocblas_, stream_));
  checked(rocblas_set_workspace(rocblas_, rocblas_workspace_.as<void>(), kRocblasWorkspace));
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

void* Stream::workspace(std::size_t bytes) {
  if (bytes > workspace_.bytes()) {
    DeviceMemory larger(bytes);
    std::swap(workspace_, larger);
    outgrown_.push_back(std::move(larger));
  }
  return workspace_.as<void>();
}

}  // namespace rocm
