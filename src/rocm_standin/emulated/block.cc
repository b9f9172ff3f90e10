// The threads of a block as fibers: each runs until it waits at a barrier or exchange, then the next one in the chosen order
// does. A thread that reads what another one writes without a barrier between them therefore sees a different value in
// forward, reverse and random order. Speed: about 20 ns for a switch.
#include "block.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "context.h"
#include "machine_code.h"
#include "memory.h"
#include "settings.h"

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;
__thread int warpSize;

#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.globl hip_emulated_switch
.hidden hip_emulated_switch
.type hip_emulated_switch, @function
hip_emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size hip_emulated_switch, .-hip_emulated_switch
)");
#endif

namespace hip_emulated {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kStack = 128 << 10, kGuard = 4096, kMaxLds = 160 << 10, kSignalStack = 64 << 10;

// Those who must meet at a barrier or an exchange.
struct Meeting {
  int members = 0, arrived = 0;
  unsigned generation = 0;  // meetings that took place
  std::source_location where;

  void conclude() {
    arrived = 0;
    ++generation;
  }
};

struct Fiber {
  Context context;
  uint3 index;
  Meeting* waits_for = nullptr;
  unsigned generation = 0;  // of the meeting it waits for
  bool done = false;
};

// An exchange of 32 or 64 lanes. It keeps the values of this time and of the last, which slow lanes still read.
template <int kLanes>
struct Exchange : Meeting {
  std::uint64_t present[2] = {};
  alignas(64) std::byte slots[2][kLanes * Lanes::kSlot];

  void open(int lanes) {
    static_cast<Meeting&>(*this) = {};
    members = lanes;
    present[0] = present[1] = 0;
  }
};

// The __shared__ variables of a library: this host thread's thread-local storage for it.
struct Lds {
  std::byte* begin = nullptr;
  size_t bytes = 0;
  size_t first = 0, last = 0;  // the part that the kernel in question writes
};

std::string text(uint3 v) { return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")"; }
std::string text(const std::source_location& l) {
  const std::string path = l.file_name();
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(l.line());
}
bool same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::string_view(a.file_name()) == b.file_name());  // mostly the same text at the same place
}

struct TlsIndex {
  unsigned long module, offset;
};
extern "C" void* __tls_get_addr(TlsIndex*);

Lds find_lds(const void* kernel) {
  struct Search {
    std::uintptr_t kernel;
    size_t bytes = 0, module = 0;
  } search{reinterpret_cast<std::uintptr_t>(kernel)};
  dl_iterate_phdr([](dl_phdr_info* info, size_t, void* data) {
    auto& s = *static_cast<Search*>(data);
    bool holds = false;
    size_t tls = 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const auto& p = info->dlpi_phdr[i];
      if (p.p_type == PT_LOAD && s.kernel - info->dlpi_addr - p.p_vaddr < p.p_memsz) holds = true;
      if (p.p_type == PT_TLS) tls = p.p_memsz;
    }
    if (holds) s.bytes = tls, s.module = info->dlpi_tls_modid;
    return int{holds};
  }, &search);
  if (!search.bytes) return {};
  TlsIndex index{search.module, 0};
  return {static_cast<std::byte*>(__tls_get_addr(&index)), search.bytes};
}

class Engine {
 public:
  Engine();
  ~Engine();
  void run(const Kernel& kernel);

  // Called from within a kernel.
  void thread_main();
  void meet(Meeting& meeting, std::source_location where);
  [[noreturn]] void fail(hipError_t error, const std::string& what);
  bool in_kernel() const { return fiber_ != nullptr; }
  Meeting& block() { return block_; }
  Lanes exchange(const void* value, int bytes, int width, std::source_location where) {
    if (width <= 32) return exchange((*groups_)[index() / 32], index() / 32 * 32 % kernel_->wave, value, bytes, where);
    return exchange((*waves_)[index() / 64], 0, value, bytes, where);
  }
  void* dynamic_lds() const { return dynamic_lds_end_ - round_up(kernel_->dynamic_lds); }

 private:
  static size_t round_up(size_t bytes) { return (bytes + 15) & ~size_t{15}; }
  void run_block();
  void fill_lds(bool whole);
  void note_lds();
  void order(std::vector<int>& items);
  int index() const { return static_cast<int>(fiber_ - fibers_.data()); }
  template <int kLanes>
  Lanes exchange(Exchange<kLanes>& e, int first, const void* value, int bytes, std::source_location where);
  std::string here() const;
  std::string waiting() const;
  void leave() { switch_context(fiber_->context, scheduler_); }

  const Kernel* kernel_ = nullptr;
  Lds* lds_ = nullptr;      // of the kernel
  Fiber* fiber_ = nullptr;  // the one that runs
  std::vector<Fiber> fibers_{kMaxThreads};
  using Groups = std::array<Exchange<32>, kMaxThreads / 32>;
  using Waves = std::array<Exchange<64>, kMaxThreads / 64>;
  std::unique_ptr<Groups> groups_ = std::make_unique<Groups>();  // aligned 32 lanes
  std::unique_ptr<Waves> waves_ = std::make_unique<Waves>();     // for exchanges of all of a wave of 64
  Meeting block_;
  Context scheduler_;
  std::byte* stacks_;           // kMaxThreads of a guard page and kStack bytes
  std::byte* dynamic_lds_end_;  // a guard page follows
  std::unique_ptr<std::byte[]> signal_stack_ = std::make_unique<std::byte[]>(kSignalStack);
  std::unordered_map<const void*, Lds> lds_of_kernel_;
  std::mt19937 random_;
  std::unique_ptr<DeviceFault> failure_;
};

thread_local std::unique_ptr<Engine> engine_owner;
__thread Engine* engine = nullptr;  // readable in a signal handler

struct sigaction previous_handler;

// A fault inside a kernel ends the launch instead of the process; any other one goes where it went before.
void on_fault(int, siginfo_t* info, void*) {
  if (engine && engine->in_kernel()) {
    engine->fail(hipErrorIllegalAddress, info->si_addr ? "access to " + describe(info->si_addr) : "a wild or misaligned access");
  }
  sigaction(SIGSEGV, &previous_handler, nullptr);
}

// Before each launch: others in the process, Ray among them, take the signal for themselves.
void install_handler() {
  struct sigaction now {}, action {};
  sigaction(SIGSEGV, nullptr, &now);
  if (now.sa_sigaction == on_fault) return;
  previous_handler = now;
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;  // fail() leaves the handler without returning
  sigaction(SIGSEGV, &action, nullptr);
}

void* map_pages(size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw DeviceFault(hipErrorOutOfMemory, "no memory for the fibers' stacks");
  return pages;
}

Engine::Engine() {
  stacks_ = static_cast<std::byte*>(map_pages(kMaxThreads * (kGuard + kStack)));
  for (int i = 0; i < kMaxThreads; ++i) mprotect(stacks_ + i * (kGuard + kStack), kGuard, PROT_NONE);
  dynamic_lds_end_ = static_cast<std::byte*>(map_pages(kMaxLds + kGuard)) + kMaxLds;
  mprotect(dynamic_lds_end_, kGuard, PROT_NONE);
  stack_t stack{signal_stack_.get(), 0, kSignalStack};
  sigaltstack(&stack, nullptr);
}

Engine::~Engine() {
  stack_t off{nullptr, SS_DISABLE, 0};
  sigaltstack(&off, nullptr);
  munmap(stacks_, kMaxThreads * (kGuard + kStack));
  munmap(dynamic_lds_end_ - kMaxLds, kMaxLds + kGuard);
  engine = nullptr;
}

void Engine::run(const Kernel& kernel) {
  install_handler();
  kernel_ = &kernel;
  const auto known = lds_of_kernel_.find(kernel.address);
  lds_ = known != lds_of_kernel_.end() ? &known->second : &(lds_of_kernel_[kernel.address] = find_lds(kernel.address));
  random_.seed(settings().seed);
  warpSize = kernel.wave;
  blockDim = {kernel.block.x, kernel.block.y, kernel.block.z};
  gridDim = {kernel.grid.x, kernel.grid.y, kernel.grid.z};
  const auto chosen = blocks_that_run(size_t{kernel.grid.x} * kernel.grid.y * kernel.grid.z);
  std::vector<int> blocks(chosen.begin(), chosen.end());
  order(blocks);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const unsigned b = blocks[i];
    blockIdx = {b % gridDim.x, b / gridDim.x % gridDim.y, b / gridDim.x / gridDim.y};
    fill_lds(i == 0);
    run_block();
    if (i == 0) note_lds();
  }
  check_stray_writes();
}

void Engine::order(std::vector<int>& items) {
  if (settings().order == Order::kReverse) std::reverse(items.begin(), items.end());
  if (settings().order == Order::kRandom) std::shuffle(items.begin(), items.end(), random_);
}

// A library can hold megabytes of __shared__ variables. The part that this kernel writes is found by its first block; the
// others get only that part filled.
void Engine::fill_lds(bool whole) {
  std::memset(dynamic_lds(), 0xFF, round_up(kernel_->dynamic_lds));
  const Lds& l = *lds_;
  if (whole) std::memset(l.begin, 0xFF, l.bytes);
  else std::memset(l.begin + l.first, 0xFF, l.last - l.first);
}

void Engine::note_lds() {
  Lds& l = *lds_;
  const auto is_filled = [&](size_t at, size_t bytes) {  // eight at a time: most is
    std::uint64_t value = ~std::uint64_t{0};
    std::memcpy(&value, l.begin + at, bytes);
    return value == ~std::uint64_t{0};
  };
  l.first = 0;
  while (l.first + 8 <= l.bytes && is_filled(l.first, 8)) l.first += 8;
  while (l.first < l.bytes && is_filled(l.first, 1)) ++l.first;
  l.last = l.bytes;
  while (l.last >= l.first + 8 && is_filled(l.last - 8, 8)) l.last -= 8;
  while (l.last > l.first && is_filled(l.last - 1, 1)) --l.last;
}

void Engine::run_block() {
  const int threads = blockDim.x * blockDim.y * blockDim.z;
  block_ = {};
  block_.members = threads;
  for (int i = 0; i < threads; i += 32) (*groups_)[i / 32].open(std::min(32, threads - i));
  for (int i = 0; i < threads; i += 64) (*waves_)[i / 64].open(std::min(64, threads - i));
  for (int i = 0; i < threads; ++i) {
    const unsigned u = i;
    Fiber& f = fibers_[i];
    f = {};
    f.index = {u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y};
    make_context(f.context, stacks_ + i * (kGuard + kStack) + kGuard, kStack, [] { engine->thread_main(); });
  }
  std::vector<int> turns(threads);
  std::iota(turns.begin(), turns.end(), 0);
  for (int done = 0; done < threads;) {
    order(turns);
    bool progress = false;
    for (int i : turns) {
      Fiber& f = fibers_[i];
      if (f.done || (f.waits_for && f.waits_for->generation == f.generation)) continue;
      f.waits_for = nullptr;
      threadIdx = f.index;
      fiber_ = &f;
      switch_context(scheduler_, f.context);
      fiber_ = nullptr;
      if (failure_) throw *std::exchange(failure_, nullptr);
      done += f.done;
      progress = true;
    }
    if (!progress) throw DeviceFault(hipErrorLaunchFailure, here() + waiting());
  }
}

// A thread that ends leaves its wave, and the others of it need not wait for it; a barrier of the block does wait.
void Engine::thread_main() {
  kernel_->thread();
  for (Meeting* m : {static_cast<Meeting*>(&(*groups_)[index() / 32]), static_cast<Meeting*>(&(*waves_)[index() / 64])}) {
    if (--m->members == m->arrived && m->arrived) m->conclude();
  }
  fiber_->done = true;
  leave();
}

template <int kLanes>
Lanes Engine::exchange(Exchange<kLanes>& e, int first, const void* value, int bytes, std::source_location where) {
  const int turn = e.generation % 2, slot = index() % kLanes;
  if (e.arrived == 0) e.present[turn] = 0;
  e.present[turn] |= std::uint64_t{1} << slot;
  std::memcpy(e.slots[turn] + slot * Lanes::kSlot, value, bytes);
  meet(e, where);
  return {e.slots[turn], first, e.present[turn]};
}

void Engine::meet(Meeting& meeting, std::source_location where) {
  if (meeting.arrived == 0) meeting.where = where;
  if (!same(meeting.where, where)) {
    fail(hipErrorLaunchFailure, "waits at " + text(where) + " while others wait at " + text(meeting.where));
  }
  if (++meeting.arrived == meeting.members) {
    meeting.conclude();
    return;
  }
  fiber_->waits_for = &meeting;
  fiber_->generation = meeting.generation;
  leave();
}

void Engine::fail(hipError_t error, const std::string& what) {
  const std::string position = position_in_machine_code();
  const std::string who = position.empty() ? " thread " + text(fiber_->index) : " wave " + std::to_string(index()) + ", " + position;
  failure_ = std::make_unique<DeviceFault>(error, here() + who + ": " + what);
  leave();
  __builtin_unreachable();
}

std::string Engine::here() const {
  Dl_info symbol{};
  std::string name = "kernel";
  if (dladdr(kernel_->address, &symbol) && symbol.dli_sname) {
    char* const readable = abi::__cxa_demangle(symbol.dli_sname, nullptr, nullptr, nullptr);
    name = readable ? readable : symbol.dli_sname;
    std::free(readable);
    name = name.substr(0, name.find('('));
  }
  return name + ", block " + text(blockIdx);
}

// Nobody can go on: says who is where.
std::string Engine::waiting() const {
  const Fiber* waiter = nullptr;
  int ended = 0;
  for (int i = 0; i < block_.members; ++i) {
    if (fibers_[i].done) ++ended;
    else if (!waiter) waiter = &fibers_[i];
  }
  const Meeting& m = *waiter->waits_for;
  return " thread " + text(waiter->index) + " waits at " + text(m.where) + " with " + std::to_string(m.arrived) + " of " +
         std::to_string(m.members) + " threads; " + std::to_string(ended) + " threads of the block have ended";
}

Engine& engine_of_thread() {
  if (!engine) {
    engine_owner = std::make_unique<Engine>();
    engine = engine_owner.get();
  }
  return *engine;
}

}  // namespace

void run(const Kernel& kernel) {
  if (settings().blocks == 0) return;
  const auto run = [](const Kernel& k) { engine_of_thread().run(k); };
  settings().isa.empty() ? run(kernel) : run_machine_code(kernel, run);
}

void fail_thread(hipError_t error, const std::string& what) { engine->fail(error, what); }

void* dynamic_lds() { return engine->dynamic_lds(); }

void block_barrier(std::source_location where) { engine->meet(engine->block(), where); }

Lanes exchange(const void* value, int bytes, int width, std::source_location where) {
  return engine->exchange(value, bytes, width, where);
}

void Lanes::missing_lane(int lane, std::source_location where) {
  engine->fail(hipErrorLaunchFailure, "reads lane " + std::to_string(lane) + ", which takes no part, at " + text(where));
}

}  // namespace hip_emulated
