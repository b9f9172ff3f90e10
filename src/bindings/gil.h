// The interpreter's lock around work in C++. In place of pybind11's own, because a daemon thread that wants the lock back when the
// interpreter has ended is ended by pthread_exit, whose unwinding no destructor survives: here such a thread stops where it is.
#pragma once
#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include "process.h"

class Release {
 public:
  Release() : state_(PyEval_SaveThread()) {}
  ~Release() {
    if (process::is_over_for_this_thread()) stay();
    try {
      PyEval_RestoreThread(state_);
    } catch (abi::__forced_unwind&) {
      stay();
    }
  }
  Release(const Release&) = delete;
  Release& operator=(const Release&) = delete;

 private:
  [[noreturn]] static void stay() {
    while (true) pause();
  }

  PyThreadState* state_;
};
