// Threads and the life of the process: its end, and what a fork leaves behind.
#pragma once
#include <sys/types.h>

namespace process {

// Work that has to be over before the process ends, because the static objects and devices that it uses go then. Throws Error once
// the end has begun.
class Work {
 public:
  Work();
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
};

// The end: no work begins any more, and what is under way gets `seconds` to be over. Called once, by the thread that ends the process.
void end(double seconds);
// True for every thread but that one, once the end has begun: what still waits for something may wait for ever.
bool is_over_for_this_thread();

// Work that a fork must not cut in two, because the forked process would wait for the other half for ever: the making of what the whole
// process has, in a library's cache or ours. Forks wait until all of it is over. It must not wait for Python's lock.
class Undivided {
 public:
  Undivided();
  ~Undivided();
  Undivided(const Undivided&) = delete;
  Undivided& operator=(const Undivided&) = delete;
};

// The process that made an object with threads or locks of its own. A forked child has neither: the object must not be used there, and
// cannot even be destroyed.
class Home {
 public:
  Home();
  bool is_here() const;
  void check(const char* what) const;  // throws Error in another process; `what` the user should make anew there

 private:
  pid_t process_;
};

}  // namespace process
