#include "machine_code.h"

#include <cxxabi.h>
#include <dlfcn.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <hip/hip_fp16.h>

#include "block.h"
#include "isa.h"
#include "memory.h"
#include "settings.h"

namespace hip_emulated {
namespace {

constexpr unsigned kWave32 = 1 << 10;  // of a descriptor's properties, from gfx10 on
constexpr int kVectors = 256, kExec = 126, kNull = 124, kScratchStride = 259;
constexpr std::uint32_t kNoNumber = 0x7FC07FFF;  // nor in its halves; positive, for the emulator reads the lane an inactive lane would name
constexpr std::uint64_t kEnded = ~std::uint64_t{0}, kMostInstructions = 100'000'000;  // of a wave
constexpr size_t kSlack = 256;  // behind the arguments: a scalar load may read more than it needs
constexpr float kFloatBar = 1e-4f, kHalfBar = 4e-3f;  // of the largest value that a launch writes

// The translated code of a target.
struct Code {
  const isa_code* isa = nullptr;
  std::map<std::string, const isa_kernel*> kernels;
};

// The registers of a wave.
struct Wave {
  alignas(64) std::uint32_t scalar[ISA_SCALARS];
  alignas(64) std::uint32_t vector[kVectors * 64], accumulation[kVectors * 64];
};

struct Machine {
  const isa_code& isa;
  const isa_kernel& kernel;
  std::string name;
  const Kernel& launch;
  std::vector<std::byte> arguments;
  std::vector<Wave> waves;
  std::vector<std::uint64_t> executed;   // how often each word of the kernel was
  std::vector<std::uint32_t> user = {};  // scalar registers that the kernel starts with
  std::uint64_t entry = 0;
};

// What the wave that runs now executes, for messages.
thread_local const isa_instruction* instruction = nullptr;
thread_local std::uint64_t position = 0;

[[noreturn]] void refuse(const std::string& what, hipError_t error = hipErrorInvalidValue) { throw DeviceFault(error, what); }

const Code& code_of(const std::string& target) {
  static std::mutex mutex;
  static std::map<std::string, Code> codes;  // by path
  const std::scoped_lock lock(mutex);
  const char* folder = std::getenv("ROCM_ISA");
  const std::string path = std::string(folder ? folder : "build/isa") + '/' + target + ".so";
  Code& code = codes[path];
  if (code.isa) return code;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) refuse("isa=" + target + ": " + dlerror() + " (scripts/isa_translate.py makes it; $ROCM_ISA names its folder)");
  code.isa = static_cast<const isa_code*>(dlsym(library, "isa_code"));
  if (!code.isa) refuse("isa=" + target + ": " + path + " has no isa_code");
  for (int i = 0; i < code.isa->kernel_count; ++i) code.kernels[code.isa->kernels[i].name] = &code.isa->kernels[i];
  return code;
}

std::string mangled_name(const Kernel& kernel) {
  Dl_info symbol{};
  if (!dladdr(kernel.address, &symbol) || !symbol.dli_sname || symbol.dli_saddr != kernel.address)
    refuse("a kernel without a name was launched");
  return symbol.dli_sname;
}

// The bytes in which the kernel finds its arguments, as the notes of the code object place them.
std::vector<std::byte> pack(const isa_kernel& kernel, const std::string& name, const Kernel& launch) {
  std::vector<std::byte> packed(kernel.argument_bytes + kSlack, std::byte{0xFF});
  const std::vector<Argument> given = launch.arguments();
  size_t next = 0;
  const unsigned grid[] = {launch.grid.x, launch.grid.y, launch.grid.z}, block[] = {launch.block.x, launch.block.y, launch.block.z};
  for (unsigned i = 0; i < kernel.argument_count; ++i) {
    const isa_argument& a = kernel.arguments[i];
    const std::string kind = a.kind, label = name + ", argument " + std::to_string(next);
    const auto put = [&](const void* bytes, size_t size) {
      if (size != a.bytes || a.offset + size > kernel.argument_bytes)
        refuse(label + ": the machine code takes " + std::to_string(a.bytes) + " bytes at " + std::to_string(a.offset) + " for " +
               kind + ", the host gives " + std::to_string(size));
      std::memcpy(packed.data() + a.offset, bytes, size);
    };
    if (!kind.starts_with("hidden_")) {
      if (next == given.size()) refuse(label + " is wanted by the machine code, and the host gives " + std::to_string(next));
      if (kind != "by_value" && kind != "global_buffer") refuse(label + ": nobody here can pass a " + kind);
      if ((kind == "global_buffer") != given[next].is_pointer)
        refuse(label + ": a pointer for one of host and machine code, a value for the other");
      put(given[next].bytes.data(), given[next].bytes.size());
      ++next;
      continue;
    }
    const int axis = kind.back() - 'x';
    const std::uint32_t word = kind.starts_with("hidden_block_count_") ? grid[axis] : launch.dynamic_lds;
    const std::uint16_t half = kind.starts_with("hidden_group_size_") ? block[axis] : kind == "hidden_grid_dims" ? 3 : 0;
    const std::uint64_t zero = 0;
    if (kind.starts_with("hidden_block_count_") || kind == "hidden_dynamic_lds_size") put(&word, 4);
    else if (kind.starts_with("hidden_group_size_") || kind.starts_with("hidden_remainder_") || kind == "hidden_grid_dims") put(&half, 2);
    else if (kind.starts_with("hidden_global_offset_") || kind == "hidden_none") put(&zero, 8);
    else refuse(name + " asks for " + kind + ", which is not provided");
  }
  if (next != given.size())
    refuse(name + ": the host gives " + std::to_string(given.size()) + " arguments, the machine code takes " + std::to_string(next));
  return packed;
}

Machine prepare(const Code& code, const Kernel& launch) {
  const std::string name = mangled_name(launch);
  const auto found = code.kernels.find(name);
  char* const readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr);
  std::string label = readable ? readable : name;
  std::free(readable);
  label = code.isa->target + (": " + label.substr(0, label.find('(')));
  if (found == code.kernels.end()) refuse(label + ": " + name + " is in no code object");
  const isa_kernel& kernel = *found->second;
  if (launch.wave != code.isa->wave)
    refuse(label + ": waves of " + std::to_string(code.isa->wave) + " lanes; the host's program was made for " + std::to_string(launch.wave));
  if (const int wave = code.isa->generation > 9 && kernel.properties & kWave32 ? 32 : 64; wave != code.isa->wave)
    refuse(label + " was compiled for waves of " + std::to_string(wave) + " lanes");
  if (kernel.scratch) refuse(label + " uses scratch memory, which is not emulated");
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  if (threads > kernel.most_threads)
    refuse(label + ": compiled for blocks of " + std::to_string(kernel.most_threads) + " threads and launched with " + std::to_string(threads));
  const size_t most_lds = std::string_view(code.isa->target) == "gfx950" ? 160 : 64;  // KiB
  if (kernel.lds + launch.dynamic_lds > most_lds << 10) refuse(label + ": more than " + std::to_string(most_lds) + " KiB of LDS");
  Machine m{*code.isa, kernel, label, launch, pack(kernel, label, launch), std::vector<Wave>((threads + launch.wave - 1) / launch.wave),
            std::vector<std::uint64_t>((kernel.end - kernel.entry) / 4)};
  m.entry = reinterpret_cast<std::uint64_t>(code.isa->image) + kernel.entry;

  // In the order of the descriptor's bits; all but the arguments' address are for programs that want more than ours: they read as ones.
  const auto words = reinterpret_cast<std::uint64_t>(m.arguments.data());
  constexpr int kSizes[] = {4, 2, 2, 2, 2, 2, 1};
  for (int bit = 0; bit < 7; ++bit) {
    if (!(kernel.properties >> bit & 1)) continue;
    if (bit == 3) m.user.insert(m.user.end(), {std::uint32_t(words), std::uint32_t(words >> 32)});
    else m.user.insert(m.user.end(), kSizes[bit], ~0u);
  }
  if (const unsigned count = kernel.preload & 0x7f) {  // words of the arguments, instead of the code that begins the kernel and loads them
    const auto* first = reinterpret_cast<const std::uint32_t*>(m.arguments.data()) + (kernel.preload >> 7);
    m.user.insert(m.user.end(), first, first + count);
    m.entry += 256;
  }
  m.user.resize(kernel.rsrc2 >> 1 & 0x1f, ~0u);
  return m;
}

// Registers hold no numbers, but those that a wave starts with.
void start(const Machine& m, Wave& w, int first_thread) {
  const isa_code& isa = m.isa;
  std::memset(w.scalar, 0xFF, sizeof w.scalar);
  std::fill_n(w.vector, kVectors * isa.wave, kNoNumber);
  if (isa.wave == 64) std::ranges::fill(w.accumulation, kNoNumber);
  for (std::uint32_t i = 0; i <= 64; ++i) w.scalar[128 + i] = i;
  for (std::uint32_t i = 1; i <= 16; ++i) w.scalar[192 + i] = -i;
  constexpr float kConstants[] = {0.5, -0.5, 1, -1, 2, -2, 4, -4, 0.15915494f};
  for (int i = 0; i < 9; ++i) w.scalar[240 + i] = std::bit_cast<std::uint32_t>(kConstants[i]);
  w.scalar[253] = w.scalar[kScratchStride] = 0;
  if (isa.generation > 9) w.scalar[kNull] = 0;
  const dim3 b = m.launch.block;
  const int lanes = std::min<int>(isa.wave, b.x * b.y * b.z - first_thread);
  const std::uint64_t active = lanes == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << lanes) - 1;
  w.scalar[kExec] = active;
  w.scalar[kExec + 1] = active >> 32;
  std::ranges::copy(m.user, w.scalar);
  if (isa.generation >= 12) {
    w.scalar[108 + 7] = blockIdx.y | blockIdx.z << 16;  // of the trap registers
    w.scalar[108 + 9] = blockIdx.x;
  } else {
    const unsigned indices[] = {blockIdx.x, blockIdx.y, blockIdx.z};
    for (int axis = 0, to = m.user.size(); axis < 3; ++axis)
      if (m.kernel.rsrc2 >> (7 + axis) & 1) w.scalar[to++] = indices[axis];
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const unsigned t = first_thread + lane;
    w.vector[lane] = t % b.x | t / b.x % b.y << 10 | t / b.x / b.y << 20;
  }
  w.scalar[ISA_PC] = m.entry;
  w.scalar[ISA_PC + 1] = m.entry >> 32;
}

// One wave, on the fiber that stands for it: from barrier to barrier.
void run_wave(Machine& m) {
  const isa_code& isa = m.isa;
  Wave& w = m.waves[threadIdx.x];
  start(m, w, threadIdx.x * isa.wave);
  void* memory[ISA_MEMORY_KINDS] = {w.scalar, w.vector, nullptr, dynamic_lds(), nullptr, isa.wave == 64 ? w.accumulation : w.vector};
  const auto image = reinterpret_cast<std::uint64_t>(isa.image);
  for (std::uint64_t count = 0;; ++count) {
    const std::uint64_t pc = w.scalar[ISA_PC] | std::uint64_t{w.scalar[ISA_PC + 1]} << 32, at = pc - image;
    if (pc == kEnded) break;
    position = at;
    instruction = at < isa.bytes && at % 4 == 0 ? &isa.instructions[isa.instruction_of_word[at / 4]] : isa.instructions;
    if (!instruction->step) fail_thread(hipErrorLaunchFailure, "cannot be executed");
    if (count == kMostInstructions) fail_thread(hipErrorLaunchFailure, "does not end");
    if (at - m.kernel.entry < m.kernel.end - m.kernel.entry) ++m.executed[(at - m.kernel.entry) / 4];
    const isa_instruction* const now = instruction;
    now->step(memory);
    if (now->is_barrier) block_barrier(std::source_location::current());
  }
}

// While machine code runs, denormal floats are what the kernel's mode says of them.
class Execution {
 public:
#if defined(__x86_64__)
  explicit Execution(bool denormals) : before_(_mm_getcsr()) { _mm_setcsr(denormals ? before_ & ~0x8040u : before_ | 0x8040u); }
  ~Execution() { _mm_setcsr(before_), instruction = nullptr; }

 private:
  const unsigned before_;
#else
  explicit Execution(bool) {}
  ~Execution() { instruction = nullptr; }
#endif
};

void execute(Machine& m, const std::function<void(const Kernel&)>& run) {
  Kernel waves = m.launch;
  waves.block = dim3(m.waves.size());
  waves.dynamic_lds = m.kernel.lds + m.launch.dynamic_lds;
  waves.thread = [&m] { run_wave(m); };
  const Execution execution(m.kernel.rsrc1 >> 16 & 3);
  run(waves);
}

// comparison with the host's build ---------------------------------------------

using Copies = std::vector<std::pair<Area, std::vector<std::byte>>>;

Copies copy(const std::vector<Area>& areas) {
  Copies copies;
  for (const Area& a : areas) copies.push_back({a, {a.begin, a.begin + a.bytes}});
  return copies;
}

float number(const std::byte* at, Written type) {
  if (type == Written::kHalves) {
    __half h;
    std::memcpy(static_cast<void*>(&h), at, 2);
    return __half2float(h);
  }
  float f;
  std::memcpy(&f, at, 4);
  return f;
}

// The worst difference of the values that either build wrote from `begin` to `end`, as a share of the largest; throws where it is too much.
float compare(const std::string& label, Written type, const std::byte* begin, const std::byte* end, const std::byte* before,
              const std::byte* host) {
  const size_t size = type == Written::kFloats ? 4 : type == Written::kHalves ? 2 : 1;
  const auto at = [&](size_t i, const std::byte* of) { return number(of + i * size, type); };
  float largest = 0, worst = 0;
  size_t written = 0, where = 0;
  for (const bool measure : {false, true}) {
    for (size_t i = 0; i < size_t(end - begin) / size; ++i) {
      const std::byte *machine = begin + i * size, *expected = host + i * size;
      if (std::memcmp(machine, before + i * size, size) == 0 && std::memcmp(expected, before + i * size, size) == 0) continue;
      if (type == Written::kOther) {
        if (*machine != *expected) refuse(label + ", byte " + std::to_string(i) + " differs from the host's build", hipErrorLaunchFailure);
      } else if (!measure) {
        ++written;
        if (std::isfinite(at(i, host))) largest = std::max(largest, std::abs(at(i, host)));
      } else if (std::memcmp(machine, expected, size) != 0) {
        const float is = at(i, begin), should = at(i, host);
        if ((std::isnan(is) && std::isnan(should)) || is == should) continue;  // the second: infinities
        float error = std::abs(is - should) / std::max(largest, 1e-30f);
        if (std::isnan(error)) error = INFINITY;
        if (error > worst) worst = error, where = i;
      }
    }
  }
  if (worst > (type == Written::kHalves ? kHalfBar : kFloatBar))
    refuse(label + ", value " + std::to_string(where) + " is " + std::to_string(at(where, begin)) + ", not " + std::to_string(at(where, host)) +
           " as in the host's build, which wrote " + std::to_string(written) + " of them", hipErrorLaunchFailure);
  return worst;
}

// Both builds on the same memory; what the machine code wrote stays. Returns the worst error, as a share of the largest value.
float execute_and_compare(Machine& m, const std::function<void(const Kernel&)>& run) {
  struct Output {
    std::byte* begin;
    Written type;
    size_t argument;
    Area area;
  };
  std::vector<Output> outputs;
  std::vector<Area> areas;
  const std::vector<Argument> arguments = m.launch.arguments();
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].writes == Written::kNothing) continue;
    std::byte* p;
    std::memcpy(&p, arguments[i].bytes.data(), sizeof p);
    if (!p) continue;
    const Area area = allocation_of(p);
    if (!area.begin) refuse(m.name + ", argument " + std::to_string(i) + " points outside all allocations");
    outputs.push_back({p, arguments[i].writes, i, area});
    if (std::ranges::find(areas, area.begin, &Area::begin) == areas.end()) areas.push_back(area);
  }
  const Copies before = copy(areas);
  run(m.launch);
  const Copies host = copy(areas);
  for (const auto& [area, bytes] : before) std::ranges::copy(bytes, area.begin);
  execute(m, run);
  float worst = 0;
  for (const Output& o : outputs) {
    std::byte* end = o.area.begin + o.area.bytes;  // or the next output
    for (const Output& other : outputs)
      if (other.begin > o.begin) end = std::min(end, other.begin);
    const size_t of = std::ranges::find(areas, o.area.begin, &Area::begin) - areas.begin(), skipped = o.begin - o.area.begin;
    worst = std::max(worst, compare(m.name + ", argument " + std::to_string(o.argument), o.type, o.begin, end,
                                    before[of].second.data() + skipped, host[of].second.data() + skipped));
  }
  return worst;
}

// A line of JSON, in one piece: several threads and processes may write.
void report(const Machine& m, float worst) {
  std::map<std::string, std::uint64_t> counts;
  for (size_t i = 0; i < m.executed.size(); ++i)
    if (m.executed[i]) counts[m.isa.instructions[m.isa.instruction_of_word[m.kernel.entry / 4 + i]].name] += m.executed[i];
  const size_t blocks = size_t{m.launch.grid.x} * m.launch.grid.y * m.launch.grid.z;
  std::ostringstream line;
  line << "{\"target\": \"" << m.isa.target << "\", \"kernel\": \"" << m.kernel.name << "\", \"blocks\": " << blocks << ", \"executed\": "
       << blocks_that_run(blocks).size() << ", \"waves\": " << blocks * m.waves.size() << ", \"worst\": " << worst << ", \"numbers\": [";
  const char* separator = "";
  for (const Argument& a : m.launch.arguments()) {
    std::int32_t number;
    if (a.is_pointer || a.bytes.size() != sizeof number) continue;
    std::memcpy(&number, a.bytes.data(), sizeof number);
    line << separator << number;
    separator = ", ";
  }
  line << "], \"instructions\": {";
  for (const auto& [name, n] : counts) line << (name == counts.begin()->first ? "" : ", ") << '"' << name << "\": " << n;
  line << "}}\n";
  std::ofstream(settings().report, std::ios::app) << line.str();
}

}  // namespace

void run_machine_code(const Kernel& launch, const std::function<void(const Kernel&)>& run) {
  Machine m = prepare(code_of(settings().isa), launch);
  float worst = 0;
  if (settings().compare) worst = execute_and_compare(m, run);
  else execute(m, run);
  if (!settings().report.empty()) report(m, worst);
}

std::string position_in_machine_code() {
  if (!instruction) return "";
  char text[64];
  std::snprintf(text, sizeof text, "%s at 0x%llx", instruction->name, static_cast<unsigned long long>(position));
  return text;
}

}  // namespace hip_emulated
