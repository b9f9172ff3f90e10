// Streams as queues of work. Work runs when the host waits for it (or at once, with streams=eager), so a forgotten
// synchronisation shows. While a stream is captured its work goes into the graph instead.
#pragma once
#include <functional>
#include <string>

#include <hip/hip_runtime.h>

namespace hip_emulated {

// What calls check first: hipErrorNoDevice, the error of a lost device, or for a call that synchronises, allocates or loads code
// while this thread captures a stream hipErrorStreamCaptureUnsupported; the capture is then spoilt, as on a device.
hipError_t ready(bool forbidden_in_capture);
hipError_t record(hipError_t error);  // as the thread's last error; returns it

void enqueue(hipStream_t stream, std::function<void()> work);  // work throws DeviceFault to lose the device

}  // namespace hip_emulated
