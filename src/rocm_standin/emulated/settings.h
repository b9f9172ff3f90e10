// What a test asks of the emulated machine: the environment variable ROCM_EMULATED at start, hip_emulated_configure() later.
// Words separated by spaces, each replacing its default:
//   devices=1         devices in the machine, 16 at most; 0: every call that needs one fails as on a machine without a GPU
//   memory=8192       MiB of each device
//   integrated=0      1: an integrated GPU: memory= is its own part of the machine's memory
//   mapped=8192       MiB of the rest that it reaches as pinned and as fine-grained memory
//   managed=8192      MiB of managed memory
//   order=forward     of blocks, and of threads between barriers: forward, reverse, random:SEED
//   isa=TARGET        launches run as machine code, the waves of a block as order= says for threads: that of gfx1100 ..., which
//                     scripts/isa_translate.py made, in $ROCM_ISA/TARGET.so (build/isa). Its waves must be as wide as the program's.
//   compare=0         1: with isa= each launch also runs as without, on the same memory; another result than that is a fault
//   report=FILE       each launch with isa= appends a line of JSON: its kernel, blocks, how many of them were executed, waves of all, numbers of
//                     four bytes among its arguments, executed instructions by name, and with compare=1 its worst error
//   blocks=all        of each launch that run; N > 1: the first, the last and others at even distances, likewise of the parts of a
//                     library's call; 0: none, all calls and copies are made and nothing is computed. With fewer than all, memory
//                     holds zeros where nothing was written, else what is no number
//   hipblaslt=works   exits: creating its handle ends the process, as the real one does where it finds no kernels
//   streams=late      late: work starts when the host waits for it; eager: at once
//   slow=0            microseconds that each piece of work takes longer
//   stop=0            milliseconds for which the host is stopped, as by SIGSTOP, where the answer of a query was that work is not done
//   fail=KIND:N       the N-th call of KIND from now on fails, once; KIND:N+ all from the N-th on; KIND:N@D and KIND:N+@D count and
//                     fail on device D alone. Several fail= may be given.
//                     alloc: out of memory. copy, launch, gemm, conv: the call is refused. fault: the N-th kernel or library
//                     call to run faults on the device, and every later call returns that error until hipDeviceReset. hang: it
//                     never ends, nor does any call that waits for its stream, nor the process by itself, until hipDeviceReset.
//                     capture: a capture is not begun or not made a graph. plan: a library offers no algorithm. wrong: what a copy
//                     brings to the host is no number.
#pragma once
#include <atomic>
#include <string>
#include <vector>

namespace hip_emulated {

enum class Order { kForward, kReverse, kRandom };
enum class Fault { kAlloc, kCopy, kLaunch, kGemm, kConv, kFault, kHang, kCapture, kPlan, kWrong, kCount };

constexpr int kMostDevices = 16;
constexpr size_t kAll = -1;

struct Settings {
  int devices = 1;
  size_t memory = size_t{8192} << 20;
  bool integrated = false;
  size_t mapped = size_t{8192} << 20, managed = mapped;
  Order order = Order::kForward;
  unsigned seed = 0;
  std::string isa, report;
  bool compare = false;
  size_t blocks = kAll;
  bool late = true;
  int slow_us = 0, stop_ms = 0;
  bool hipblaslt_exits = false;
};

const Settings& settings();
std::vector<size_t> blocks_that_run(size_t all);  // in order
void configure(const std::string& words);  // throws std::invalid_argument; not while work is in flight
int current_device();                      // of this thread
bool fails(Fault kind, int device = current_device());  // counts one call of this kind; true if it is one that shall fail
size_t calls(const std::string& kind);     // of a fail= so far in this process, on all devices; throws std::invalid_argument

inline std::atomic<size_t> live_objects{0};

}  // namespace hip_emulated
