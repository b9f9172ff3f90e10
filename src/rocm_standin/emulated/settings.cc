#include "settings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace hip_emulated {
namespace {

struct Trigger {
  std::atomic<long> countdown{0};  // 1: the next call fails; 0: none does
  std::atomic<bool> stays{false};  // at 1
  std::atomic<int> device{-1};     // -1: all
  std::atomic<size_t> calls{0};
};
std::array<Trigger, static_cast<size_t>(Fault::kCount)> triggers;
constexpr std::array<const char*, static_cast<size_t>(Fault::kCount)> kFaultNames = {"alloc", "copy",  "launch",  "gemm", "conv",
                                                                                    "fault", "hang", "capture", "plan", "wrong"};

Trigger& trigger(const std::string& name) {
  for (size_t i = 0; i < kFaultNames.size(); ++i)
    if (name == kFaultNames[i]) return triggers[i];
  throw std::invalid_argument("there is no fail=" + name);
}

void set_trigger(const std::string& value) {
  const size_t colon = value.find(':'), at = value.find('@');
  Trigger& t = trigger(value.substr(0, colon));
  if (colon == std::string::npos) throw std::invalid_argument("fail=" + value);
  t.device = at == std::string::npos ? -1 : std::stoi(value.substr(at + 1));
  t.stays = value.substr(0, at).back() == '+';
  t.countdown = std::stol(value.substr(colon + 1));
}

Settings parse(const std::string& words) {
  Settings s;
  for (Trigger& t : triggers) t.countdown = 0, t.stays = false;
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "devices" && std::stoi(value) <= kMostDevices) s.devices = std::stoi(value);
    else if (key == "memory") s.memory = std::stoull(value) << 20;
    else if (key == "integrated") s.integrated = std::stoi(value);
    else if (key == "mapped") s.mapped = std::stoull(value) << 20;
    else if (key == "managed") s.managed = std::stoull(value) << 20;
    else if (key == "order" && value == "forward") s.order = Order::kForward;
    else if (key == "order" && value == "reverse") s.order = Order::kReverse;
    else if (key == "order" && value.starts_with("random:")) s.order = Order::kRandom, s.seed = std::stoul(value.substr(7));
    else if (key == "isa") s.isa = value;
    else if (key == "compare") s.compare = std::stoi(value);
    else if (key == "report") s.report = value;
    else if (key == "blocks" && value != "1") s.blocks = value == "all" ? kAll : std::stoull(value);
    else if (key == "streams" && value == "late") s.late = true;
    else if (key == "streams" && value == "eager") s.late = false;
    else if (key == "hipblaslt" && value == "exits") s.hipblaslt_exits = true;
    else if (key == "hipblaslt" && value == "works") s.hipblaslt_exits = false;
    else if (key == "slow") s.slow_us = std::stoi(value);
    else if (key == "stop") s.stop_ms = std::stoi(value);
    else if (key == "fail") set_trigger(value);
    else throw std::invalid_argument("ROCM_EMULATED: unknown setting " + word);
  }
  return s;
}

Settings& current() {
  static Settings s = parse(std::getenv("ROCM_EMULATED") ? std::getenv("ROCM_EMULATED") : "");
  return s;
}

}  // namespace

const Settings& settings() { return current(); }

std::vector<size_t> blocks_that_run(size_t all) {
  const size_t wanted = settings().blocks;
  std::vector<size_t> blocks(std::min(wanted, all));
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = blocks.size() == all ? i : i * (all - 1) / (wanted - 1);
  return blocks;
}

void configure(const std::string& words) { current() = parse(words); }

bool fails(Fault kind, int device) {
  current();
  Trigger& t = triggers[static_cast<size_t>(kind)];
  ++t.calls;
  if (t.device >= 0 && t.device != device) return false;
  long left = t.countdown;
  while (left > (t.stays ? 1 : 0) && !t.countdown.compare_exchange_weak(left, left - 1)) {}
  return left == 1;
}

size_t calls(const std::string& kind) { return trigger(kind).calls; }

}  // namespace hip_emulated
