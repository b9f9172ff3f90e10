// The HIP runtime over stream.h, memory.h and block.h: arguments checked as strictly as any real one does.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "block.h"
#include "memory.h"
#include "settings.h"
#include "stream.h"

using namespace hip_emulated;
using Clock = std::chrono::steady_clock;
using Work = std::function<void()>;

struct ihipGraph {
  std::vector<Work> work;
};
struct hipGraphExec {
  std::vector<Work> work;
};

namespace {

// A capture in progress: what was recorded, and the side streams that the origin has not waited for since their last work.
struct Capture {
  std::vector<Work> work;
  std::set<hipStream_t> streams, unjoined;
  hipStream_t origin;
  bool valid = true;
};

struct Queue {
  int device;
  std::recursive_mutex running;  // held by the thread that runs the work
  std::mutex mutex;              // guards the rest
  std::deque<Work> work;
  std::uint64_t enqueued = 0, taken = 0;
  std::atomic<bool> hangs = false;  // its next piece of work never ends
};

}  // namespace

struct ihipStream_t {
  std::shared_ptr<Queue> queue;
  bool blocking;  // waits for the null stream and it for this one
  std::shared_ptr<Capture> capture;
};
struct ihipEvent_t {
  std::shared_ptr<Queue> queue;  // of the stream it was recorded on; none: never recorded
  std::uint64_t after = 0;       // it happens when so many pieces of work of the queue were taken
  std::shared_ptr<Clock::time_point> time = std::make_shared<Clock::time_point>();
  bool timed = true;
  std::shared_ptr<Capture> capture;  // recorded while capturing
  hipStream_t captured_on = nullptr;
};

namespace {

std::mutex mutex;  // guards the streams and the fault texts
std::set<hipStream_t> streams;
std::array<std::string, kMostDevices> fault_texts;
std::array<std::atomic<hipError_t>, kMostDevices> losses{};  // the error of each lost device
std::atomic<int> hanging{0};                                 // queues
thread_local hipError_t last_error = hipSuccess;
thread_local int thread_device = 0;
thread_local std::shared_ptr<Capture> thread_capture;  // begun by this thread, in a mode that restricts it

hipError_t lost(int device = thread_device) { return losses[device]; }

void lose_device(const DeviceFault& fault, int device) {
  const std::scoped_lock lock(mutex);
  if (lost(device) != hipSuccess) return;
  fault_texts[device] = fault.what();
  losses[device].store(fault.error);
}

void run_work(const Work& work, int device) {
  if (lost(device) != hipSuccess) return;
  if (settings().slow_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(settings().slow_us));
  try {
    if (fails(Fault::kFault, device)) throw DeviceFault(hipErrorLaunchFailure, "fault asked for by the test");
    work();
  } catch (const DeviceFault& fault) {
    lose_device(fault, device);
  }
}

// Runs work until `count` pieces were taken; false if one hangs before that.
bool run_until(Queue& queue, std::uint64_t count) {
  const std::scoped_lock running(queue.running);
  for (;;) {
    Work work;
    {
      const std::scoped_lock lock(queue.mutex);
      if (queue.taken >= count) return true;
      if (!queue.hangs && fails(Fault::kHang, queue.device)) queue.hangs = true, ++hanging;
      if (queue.hangs) return false;
      work = std::move(queue.work.front());
      queue.work.pop_front();
      ++queue.taken;
    }
    run_work(work, queue.device);
  }
}

void finish(Queue& queue, std::uint64_t count) {
  while (!run_until(queue, count)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// A query lets half of what is to be done before `count` happen, so that a loop of queries ends and a single one proves nothing.
hipError_t query(Queue& queue, std::uint64_t count) {
  const std::scoped_lock running(queue.running);
  if (queue.taken < count) (void)run_until(queue, queue.taken + (count - queue.taken + 1) / 2);
  if (queue.taken >= count) return lost(queue.device);
  std::this_thread::sleep_for(std::chrono::milliseconds(settings().stop_ms));
  return hipErrorNotReady;
}

std::uint64_t enqueued(Queue& queue) {
  const std::scoped_lock lock(queue.mutex);
  return queue.enqueued;
}

void run_all(Queue& queue) { finish(queue, enqueued(queue)); }

// Those of the current device: what waits for a whole device waits for that one.
void run_streams(bool blocking_only) {
  std::vector<std::shared_ptr<Queue>> queues;
  {
    const std::scoped_lock lock(mutex);
    for (hipStream_t s : streams) {
      if (s->queue->device == thread_device && (s->blocking || !blocking_only)) queues.push_back(s->queue);
    }
  }
  for (auto& q : queues) run_all(*q);
}

void push(const std::shared_ptr<Queue>& queue, Work work) {
  {
    const std::scoped_lock lock(queue->mutex);
    queue->work.push_back(std::move(work));
    ++queue->enqueued;
  }
  if (!settings().late) (void)run_until(*queue, enqueued(*queue));
}

// The error that a call returns which may not happen during a capture; the capture is spoilt by it.
hipError_t forbidden_in_capture() {
  if (!thread_capture) return hipSuccess;
  thread_capture->valid = false;
  return hipErrorStreamCaptureUnsupported;
}

hipError_t device_state() { return settings().devices == 0 ? hipErrorNoDevice : lost(); }

#define RETURN_IF(...) \
  if (hipError_t error = (__VA_ARGS__)) return record(error)

hipError_t copy_error(const void* to, const void* from, size_t bytes, hipMemcpyKind kind) {
  if (!to || !from) return bytes ? hipErrorInvalidValue : hipSuccess;
  const auto is = [](Place place, bool device) {
    return place == Place::kFineGrained || place == Place::kManaged || (place == Place::kDevice) == device;
  };
  const bool matches = kind == hipMemcpyDefault ||
                       (is(place_of(to), kind == hipMemcpyHostToDevice || kind == hipMemcpyDeviceToDevice) &&
                        is(place_of(from), kind == hipMemcpyDeviceToHost || kind == hipMemcpyDeviceToDevice));
  if (!matches) return hipErrorInvalidMemcpyDirection;
  try {
    if (place_of(to) != Place::kPageable) check_range(to, bytes, "hipMemcpy: destination");
    if (place_of(from) != Place::kPageable) check_range(from, bytes, "hipMemcpy: source");
  } catch (const DeviceFault&) {
    return hipErrorInvalidValue;
  }
  return fails(Fault::kCopy) ? hipErrorUnknown : hipSuccess;
}

Work copying(void* to, const void* from, size_t bytes, hipMemcpyKind kind) {
  return [=, device = thread_device] {
    std::memcpy(to, from, bytes);
    if (kind == hipMemcpyDeviceToHost && fails(Fault::kWrong, device)) std::memset(to, 0xFF, bytes);
  };
}

hipError_t allocate_into(void** pointer, size_t bytes, Place place) {
  RETURN_IF(ready(true));
  if (!pointer) return record(hipErrorInvalidValue);
  *pointer = nullptr;
  if (bytes == 0) return hipSuccess;
  if (!fails(Fault::kAlloc)) *pointer = allocate(bytes, place, thread_device);
  return record(*pointer ? hipSuccess : hipErrorOutOfMemory);
}

hipError_t release_from(void* pointer, bool pinned) {
  if (!pointer) return hipSuccess;
  if (hipError_t error = forbidden_in_capture()) return record(error);
  run_streams(false);
  try {
    return record(release(pointer, pinned) ? lost() : hipErrorInvalidValue);
  } catch (const DeviceFault& fault) {
    lose_device(fault, thread_device);
    return record(fault.error);
  }
}

// The runtime's own end waits for its devices.
__attribute__((destructor)) void end() {
  while (hanging > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

namespace hip_emulated {

int current_device() { return thread_device; }

hipError_t ready(bool forbidden) {
  if (hipError_t error = device_state()) return error;
  return forbidden ? forbidden_in_capture() : hipSuccess;
}


hipError_t record(hipError_t error) {
  if (error != hipSuccess) last_error = error;
  return error;
}

hipError_t check_device(int device) {
  if (settings().devices == 0) return record(hipErrorNoDevice);
  return record(device >= 0 && device < settings().devices ? hipSuccess : hipErrorInvalidDevice);
}

void enqueue(hipStream_t stream, Work work) {
  if (!stream) {
    run_streams(true);
    run_work(work, thread_device);
  } else if (stream->capture) {
    if (stream != stream->capture->origin) stream->capture->unjoined.insert(stream);
    stream->capture->work.push_back(std::move(work));
  } else {
    push(stream->queue, std::move(work));
  }
}

static hipError_t launch_error(const Kernel& kernel, hipStream_t stream) {
  const dim3 g = kernel.grid, b = kernel.block;
  // HIP counts the threads along an axis of the grid in 32 bits.
  const bool sensible = g.x && g.y && g.z && std::uint64_t{g.x} * b.x < (std::uint64_t{1} << 32) && g.y <= 65535 && g.z <= 65535 && b.x && b.y &&
                        b.z && std::uint64_t{b.x} * b.y * b.z <= 1024 && kernel.dynamic_lds <= size_t{64} << 10;
  if (hipError_t error = device_state()) return error;
  if (!sensible) return hipErrorInvalidConfiguration;
  if (stream && stream->queue->device != thread_device) return hipErrorInvalidHandle;
  return fails(Fault::kLaunch) ? hipErrorLaunchFailure : hipSuccess;
}

void enqueue(Kernel kernel, hipStream_t stream) {
  if (record(launch_error(kernel, stream)) != hipSuccess) return;
  enqueue(stream, [kernel = std::move(kernel)] { run(kernel); });
}

void device_properties(hipDeviceProp_t* p, int wave) {
  *p = {};
  std::snprintf(p->name, sizeof p->name, "emulated GPU, wave %d", wave);
  const std::string& isa = settings().isa;
  std::snprintf(p->gcnArchName, sizeof p->gcnArchName, "emulated%d%s%s", wave, isa.empty() ? "" : ".", isa.c_str());
  p->totalGlobalMem = settings().memory;
  p->sharedMemPerBlock = 64 << 10;
  p->warpSize = wave;
  p->maxThreadsPerBlock = 1024;
  p->multiProcessorCount = 1;
  p->integrated = settings().integrated;
}

}  // namespace hip_emulated

hipError_t hipMalloc(void** pointer, size_t bytes) { return allocate_into(pointer, bytes, Place::kDevice); }
hipError_t hipMallocManaged(void** pointer, size_t bytes, unsigned) { return allocate_into(pointer, bytes, Place::kManaged); }
hipError_t hipHostMalloc(void** pointer, size_t bytes, unsigned) { return allocate_into(pointer, bytes, Place::kPinned); }

extern "C" {

// devices and errors ----------------------------------------------------------

hipError_t hipRuntimeGetVersion(int* version) { return *version = 70200000, hipSuccess; }
hipError_t hipDriverGetVersion(int* version) { return *version = 70200000, hipSuccess; }

hipError_t hipGetDeviceCount(int* count) {
  *count = settings().devices;
  return record(*count ? hipSuccess : hipErrorNoDevice);
}

hipError_t hipSetDevice(int device) {
  RETURN_IF(check_device(device));
  thread_device = device;
  return hipSuccess;
}

hipError_t hipGetDevice(int* device) {
  RETURN_IF(ready(false));
  *device = thread_device;
  return hipSuccess;
}

hipError_t hipDeviceSynchronize() {
  RETURN_IF(ready(true));
  run_streams(false);
  return record(lost());
}

// A real one also frees all memory; here a lost device comes back to life, and its owners still free their own.
hipError_t hipDeviceReset() {
  {
    const std::scoped_lock lock(mutex);
    for (hipStream_t s : streams)
      if (s->queue->device == thread_device && s->queue->hangs.exchange(false)) --hanging;
  }
  run_streams(false);
  losses[thread_device].store(hipSuccess);
  last_error = hipSuccess;
  return hipSuccess;
}

hipError_t hipPeekAtLastError() { return lost() == hipSuccess ? last_error : lost(); }

hipError_t hipGetLastError() {
  const hipError_t error = hipPeekAtLastError();
  last_error = hipSuccess;
  return error;
}

const char* hipGetErrorName(hipError_t error) {
  static const std::map<hipError_t, const char*> names = {
      {hipSuccess, "hipSuccess"}, {hipErrorInvalidValue, "hipErrorInvalidValue"}, {hipErrorOutOfMemory, "hipErrorOutOfMemory"},
      {hipErrorInvalidConfiguration, "hipErrorInvalidConfiguration"},
      {hipErrorInvalidMemcpyDirection, "hipErrorInvalidMemcpyDirection"}, {hipErrorNoDevice, "hipErrorNoDevice"},
      {hipErrorInvalidDevice, "hipErrorInvalidDevice"}, {hipErrorInvalidHandle, "hipErrorInvalidHandle"},
      {hipErrorNotReady, "hipErrorNotReady"}, {hipErrorIllegalAddress, "hipErrorIllegalAddress"},
      {hipErrorLaunchFailure, "hipErrorLaunchFailure"}, {hipErrorNotSupported, "hipErrorNotSupported"},
      {hipErrorStreamCaptureUnsupported, "hipErrorStreamCaptureUnsupported"},
      {hipErrorStreamCaptureInvalidated, "hipErrorStreamCaptureInvalidated"},
      {hipErrorStreamCaptureUnmatched, "hipErrorStreamCaptureUnmatched"},
      {hipErrorStreamCaptureUnjoined, "hipErrorStreamCaptureUnjoined"}, {hipErrorCapturedEvent, "hipErrorCapturedEvent"}};
  const auto it = names.find(error);
  return it == names.end() ? "hipErrorUnknown" : it->second;
}

const char* hipGetErrorString(hipError_t error) {
  if (error == hipSuccess || error != lost()) return hipGetErrorName(error);
  static thread_local std::string text;
  const std::scoped_lock lock(mutex);
  return (text = fault_texts[thread_device]).c_str();
}

// memory ----------------------------------------------------------------------

hipError_t hipExtMallocWithFlags(void** pointer, size_t bytes, unsigned flags) {
  return allocate_into(pointer, bytes, flags == hipDeviceMallocFinegrained ? Place::kFineGrained : Place::kDevice);
}
hipError_t hipFree(void* pointer) { return release_from(pointer, false); }
hipError_t hipHostFree(void* pointer) { return release_from(pointer, true); }

hipError_t hipHostGetDevicePointer(void** device, void* host, unsigned) {
  RETURN_IF(ready(false));
  *device = host;
  return record(place_of(host) == Place::kPinned ? hipSuccess : hipErrorInvalidValue);
}

hipError_t hipMemGetInfo(size_t* free, size_t* total) {
  RETURN_IF(ready(false));
  *free = free_memory(thread_device);
  *total = settings().memory;
  return hipSuccess;
}

hipError_t hipMemcpy(void* to, const void* from, size_t bytes, hipMemcpyKind kind) {
  RETURN_IF(ready(true));
  RETURN_IF(copy_error(to, from, bytes, kind));
  enqueue(nullptr, copying(to, from, bytes, kind));
  return record(lost());
}

hipError_t hipMemcpyAsync(void* to, const void* from, size_t bytes, hipMemcpyKind kind, hipStream_t stream) {
  RETURN_IF(ready(false));
  RETURN_IF(copy_error(to, from, bytes, kind));
  enqueue(stream, copying(to, from, bytes, kind));
  return hipSuccess;
}

hipError_t hipMemset(void* to, int value, size_t bytes) {
  RETURN_IF(ready(true));
  return hipMemsetAsync(to, value, bytes, nullptr);
}

hipError_t hipMemsetAsync(void* to, int value, size_t bytes, hipStream_t stream) {
  RETURN_IF(ready(false));
  RETURN_IF(copy_error(to, to, bytes, hipMemcpyDefault));
  if (place_of(to) == Place::kPageable) return record(hipErrorInvalidValue);
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return hipSuccess;
}

// streams and events ----------------------------------------------------------

hipError_t hipStreamCreate(hipStream_t* stream) { return hipStreamCreateWithFlags(stream, hipStreamDefault); }

hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned flags) {
  RETURN_IF(ready(false));
  if (fails(Fault::kAlloc)) return record(hipErrorOutOfMemory);
  *stream = new ihipStream_t;
  (*stream)->blocking = flags == hipStreamDefault;
  (*stream)->queue = std::make_shared<Queue>(thread_device);
  const std::scoped_lock lock(mutex);
  streams.insert(*stream);
  ++live_objects;
  return hipSuccess;
}

hipError_t hipStreamDestroy(hipStream_t stream) {
  {
    const std::scoped_lock lock(mutex);
    if (!streams.erase(stream)) return record(hipErrorInvalidHandle);
  }
  run_all(*stream->queue);
  const int device = stream->queue->device;
  delete stream;
  --live_objects;
  return record(lost(device));
}

hipError_t hipStreamSynchronize(hipStream_t stream) {
  RETURN_IF(ready(true));
  if (stream && stream->capture) return stream->capture->valid = false, record(hipErrorStreamCaptureUnsupported);
  if (stream) run_all(*stream->queue);
  else run_streams(true);
  return record(lost(stream ? stream->queue->device : thread_device));
}

hipError_t hipStreamQuery(hipStream_t stream) {
  RETURN_IF(ready(true));
  if (!stream) return hipStreamSynchronize(stream);
  return record(query(*stream->queue, enqueued(*stream->queue)));
}

hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event, unsigned) {
  RETURN_IF(ready(false));
  if (!stream || !event) return record(hipErrorInvalidHandle);
  if (event->capture) {
    Capture& c = *event->capture;
    if (stream->capture && stream->capture != event->capture) return record(hipErrorStreamCaptureUnmatched);
    stream->capture = event->capture;
    c.streams.insert(stream);
    if (stream != c.origin) c.unjoined.insert(stream);
    c.unjoined.erase(event->captured_on == stream ? nullptr : event->captured_on);
    return hipSuccess;
  }
  if (!event->queue) return hipSuccess;
  enqueue(stream, [queue = event->queue, after = event->after] { finish(*queue, after); });
  return hipSuccess;
}

hipError_t hipEventCreate(hipEvent_t* event) { return hipEventCreateWithFlags(event, hipEventDefault); }

hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned flags) {
  RETURN_IF(ready(false));
  if (fails(Fault::kAlloc)) return record(hipErrorOutOfMemory);
  *event = new ihipEvent_t;
  (*event)->timed = !(flags & hipEventDisableTiming);
  ++live_objects;
  return hipSuccess;
}

hipError_t hipEventDestroy(hipEvent_t event) {
  if (!event) return record(hipErrorInvalidHandle);
  delete event;
  --live_objects;
  return hipSuccess;
}

hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream) {
  RETURN_IF(ready(false));
  if (!event || !stream) return record(hipErrorInvalidHandle);
  event->capture = stream->capture;
  event->captured_on = stream;
  if (stream->capture) return hipSuccess;
  event->queue = stream->queue;
  {
    const std::scoped_lock lock(stream->queue->mutex);
    event->after = stream->queue->enqueued + 1;
  }
  push(stream->queue, [time = event->time] { *time = Clock::now(); });
  return hipSuccess;
}

hipError_t hipEventSynchronize(hipEvent_t event) {
  RETURN_IF(ready(true));
  if (!event) return record(hipErrorInvalidHandle);
  if (event->capture) return record(hipErrorCapturedEvent);
  if (!event->queue) return record(lost());
  finish(*event->queue, event->after);
  return record(lost(event->queue->device));
}

hipError_t hipEventQuery(hipEvent_t event) {
  RETURN_IF(ready(true));
  if (!event) return record(hipErrorInvalidHandle);
  if (event->capture) return record(hipErrorCapturedEvent);
  return record(event->queue ? query(*event->queue, event->after) : lost());
}

hipError_t hipEventElapsedTime(float* ms, hipEvent_t start, hipEvent_t stop) {
  RETURN_IF(ready(false));
  if (!start || !stop || !start->queue || !stop->queue || !start->timed || !stop->timed) return record(hipErrorInvalidHandle);
  if (start->queue->taken < start->after || stop->queue->taken < stop->after) return record(hipErrorNotReady);
  *ms = std::chrono::duration<float, std::milli>(*stop->time - *start->time).count();
  return hipSuccess;
}

// graphs ----------------------------------------------------------------------

hipError_t hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode) {
  RETURN_IF(ready(false));
  if (!stream || stream->capture) return record(stream ? hipErrorInvalidValue : hipErrorStreamCaptureUnsupported);
  if (fails(Fault::kCapture)) return record(hipErrorNotSupported);
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->streams = {stream};
  if (mode != hipStreamCaptureModeRelaxed) thread_capture = stream->capture;
  return hipSuccess;
}

hipError_t hipStreamEndCapture(hipStream_t stream, hipGraph_t* graph) {
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream ? stream->capture : nullptr;
  if (!capture || capture->origin != stream) return record(hipErrorStreamCaptureUnmatched);
  for (hipStream_t s : capture->streams) s->capture = nullptr;
  if (thread_capture == capture) thread_capture = nullptr;
  if (!capture->valid) return record(hipErrorStreamCaptureInvalidated);
  if (!capture->unjoined.empty()) return record(hipErrorStreamCaptureUnjoined);
  *graph = new ihipGraph{std::move(capture->work)};
  ++live_objects;
  return record(device_state());
}

hipError_t hipStreamIsCapturing(hipStream_t stream, hipStreamCaptureStatus* status) {
  if (!stream || !stream->capture) *status = hipStreamCaptureStatusNone;
  else *status = stream->capture->valid ? hipStreamCaptureStatusActive : hipStreamCaptureStatusInvalidated;
  return hipSuccess;
}

hipError_t hipGraphInstantiate(hipGraphExec_t* exec, hipGraph_t graph, hipGraphNode_t*, char*, size_t) {
  RETURN_IF(ready(true));
  if (!graph) return record(hipErrorInvalidValue);
  if (fails(Fault::kCapture)) return record(hipErrorNotSupported);
  *exec = new hipGraphExec{graph->work};
  ++live_objects;
  return hipSuccess;
}

hipError_t hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream) {
  RETURN_IF(ready(false));
  if (!exec) return record(hipErrorInvalidValue);
  if (fails(Fault::kLaunch)) return record(hipErrorLaunchFailure);
  for (const Work& work : exec->work) enqueue(stream, work);
  return hipSuccess;
}

hipError_t hipGraphDestroy(hipGraph_t graph) {
  if (!graph) return record(hipErrorInvalidValue);
  delete graph;
  --live_objects;
  return hipSuccess;
}

hipError_t hipGraphExecDestroy(hipGraphExec_t exec) {
  if (!exec) return record(hipErrorInvalidValue);
  delete exec;
  --live_objects;
  return hipSuccess;
}

// kernels ---------------------------------------------------------------------

hipError_t hipFuncGetAttributes(hipFuncAttributes* attributes, const void* kernel) {
  RETURN_IF(ready(false));
  *attributes = {1024};
  return record(kernel ? hipSuccess : hipErrorInvalidValue);
}

hipError_t hipFuncSetAttribute(const void* kernel, hipFuncAttribute, int bytes) {
  RETURN_IF(ready(false));
  return record(kernel && bytes >= 0 && bytes <= 64 << 10 ? hipSuccess : hipErrorInvalidValue);
}

void hip_emulated_configure(const char* words) { configure(words); }
size_t hip_emulated_live_objects() { return live_objects; }
size_t hip_emulated_calls(const char* kind) { return calls(kind); }

}  // extern "C"
