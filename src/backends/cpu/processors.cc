#include "backends/cpu/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace cpu {
namespace {

// The share of processors that a control group grants itself, rounded up; `all` where it sets no limit.
int granted(const std::string& group, int all) {
  double quota = 0, period = 0;
  std::ifstream both(group + "/cpu.max");  // version 2; "max" is no number
  if (!(both >> quota >> period)) {        // version 1; -1 for no limit
    std::ifstream(group + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(group + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? std::min(all, static_cast<int>(std::ceil(quota / period))) : all;
}

}  // namespace

int processors() {
  int count = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (cpu_set_t mask; sched_getaffinity(0, sizeof mask, &mask) == 0) count = std::min(count, CPU_COUNT(&mask));

  // Lines of /proc/self/cgroup: 0::/path (version 2), 4:cpu,cpuacct:/path (version 1). Every group up to the root limits; inside of a
  // container the path may be the host's, and then the root is the container's own.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    std::istringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    const bool unified = controllers.empty();
    if (!unified && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (; path.rfind('/', 0) == 0 && path.size() > 1; path.erase(path.rfind('/'))) count = granted(root + path, count);
    count = granted(root, count);
  }
  return std::max(1, count);
}

bool have(dnnl::cpu_isa wanted) {
  const auto isa = static_cast<int>(dnnl::get_effective_cpu_isa()), bits = static_cast<int>(wanted);
  return (isa & bits) == bits;  // a later instruction set has the bits of the earlier
}

}  // namespace cpu
