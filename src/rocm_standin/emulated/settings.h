// What a test asks of the emulated machine: the environment variable ROCM_EMULATED at start, hip_emulated_configure() later.
// Words separated by spaces, each replacing its default:
//   devices=1         devices in the machine, 16 at most; 0: every call that needs one fails as on a machine without a GPU
//   memory=8192       MiB of each device
//   integrated=0      1: an integrated GPU
//   order=forward     of blocks, and of threads between barriers: forward, reverse, random:SEED
//   hipblaslt=works   exits: creating its handle ends the process, as the real one does where it finds no kernels
//   streams=late      late: work starts when the host waits for it; eager: at once
//   slow=0            microseconds that each piece of work takes longer
//   fail=KIND:N       the N-th call of KIND from now on fails, once; KIND:N+ all from the N-th on; KIND:N@D and KIND:N+@D count and
//                     fail on device D alone. Several fail= may be given.
//                     alloc: out of memory. copy, launch, gemm, conv: the call is refused. fault: the N-th kernel or library
//                     call to run faults on the device, and every later call returns that error until hipDeviceReset.
#pragma once
#include <atomic>
#include <string>

namespace hip_emulated {

enum class Order { kForward, kReverse, kRandom };
enum class Fault { kAlloc, kCopy, kLaunch, kGemm, kConv, kFault, kCount };

constexpr int kMostDevices = 16;

struct Settings {
  int devices = 1;
  size_t memory = size_t{8192} << 20;
  bool integrated = false;
  Order order = Order::kForward;
  unsigned seed = 0;
  bool late = true;
  int slow_us = 0;
  bool hipblaslt_exits = false;
};

const Settings& settings();
void configure(const std::string& words);  // throws std::invalid_argument; not while work is in flight
int current_device();                      // of this thread
bool fails(Fault kind, int device = current_device());  // counts one call of this kind; true if it is one that shall fail

inline std::atomic<size_t> live_objects{0};

}  // namespace hip_emulated
