#include "process.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "error.h"

namespace process {
namespace {

std::atomic<int> working{0};
std::atomic<bool> ending{false};
thread_local bool ends_the_process = false;

// The threads that worked are not in a forked child.
[[maybe_unused]] const int kAtFork = pthread_atfork(nullptr, nullptr, [] { working = 0; });

}  // namespace

Work::Work() {
  ++working;  // first: end() sees this thread, or this thread sees the end
  if (!ending) return;
  --working;
  throw Error("the process is ending: nothing is evaluated any more");
}

Work::~Work() { --working; }

void end(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto latest = Clock::now() + std::chrono::duration<double>(seconds);
  ends_the_process = true;
  ending = true;
  while (working > 0 && Clock::now() < latest) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

bool is_over_for_this_thread() { return ending && !ends_the_process; }

Home::Home() : process_(getpid()) {}

bool Home::is_here() const { return getpid() == process_; }

void Home::check(const char* what) const {
  if (!is_here())
    throw Error(std::string("this process was forked from the one that made the ") + what + ", whose threads are not here: make a new " +
                what + " in this process, or start processes by the method 'spawn'");
}

}  // namespace process
