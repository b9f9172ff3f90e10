#include "process.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

#include "error.h"

namespace process {
namespace {

std::atomic<int> working{0};
std::atomic<bool> ending{false};
thread_local bool ends_the_process = false;

std::mutex undivided;
int pieces = 0;  // of undivided work, under way

void before_fork() {
  for (undivided.lock(); pieces > 0; undivided.lock()) {
    undivided.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}
void after_fork() { undivided.unlock(); }
void in_child() {
  working = 0;  // the threads that worked are not here
  after_fork();
}

[[maybe_unused]] const int kAtFork = pthread_atfork(before_fork, after_fork, in_child);

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

Undivided::Undivided() {
  const std::lock_guard lock(undivided);
  ++pieces;
}

Undivided::~Undivided() {
  const std::lock_guard lock(undivided);
  --pieces;
}

Home::Home() : process_(getpid()) {}

bool Home::is_here() const { return getpid() == process_; }

void Home::check(const char* what) const {
  if (!is_here())
    throw Error(std::string("this process was forked from the one that made the ") + what + ", whose threads are not here: make a new " +
                what + " in this process, or start processes by the method 'spawn'");
}

}  // namespace process
