// The threads of one session: the calling one and helpers that sleep between batches. Every thread has oneDNN to itself
// (one OpenMP thread), so batches need no barrier but the last, however busy the machine is.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

// Of GCC's OpenMP library, which oneDNN uses; omp.h may be that of the compiler's own.
extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int);
}

namespace cpu {

class Team {
 public:
  // Where the system gives no more threads, as in a container with a limit, the team is smaller.
  explicit Team(int threads) {
    try {
      for (int member = 1; member < threads; ++member) helpers_.emplace_back([this, member] { help(member); });
    } catch (const std::system_error&) {
    }
  }
  ~Team() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    start_.notify_all();
    for (auto& helper : helpers_) helper.join();
  }

  int size() const { return static_cast<int>(helpers_.size()) + 1; }

  // work(0) .. work(members - 1), each on a thread of its own, members <= size(); rethrows the first exception.
  void run(int members, const std::function<void(int)>& work) {
    {
      std::lock_guard lock(mutex_);
      work_ = &work;
      members_ = members;
      running_ = members - 1;
      error_ = nullptr;
      ++round_;
    }
    if (members > 1) start_.notify_all();
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    attempt(0);
    omp_set_num_threads(before);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void attempt(int member) {
    try {
      (*work_)(member);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void help(int member) {
    omp_set_num_threads(1);
    int seen = 0;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        start_.wait(lock, [&] { return ending_ || (round_ != seen && member < members_); });
        if (ending_) return;
        seen = round_;
      }
      attempt(member);
      std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void(int)>* work_ = nullptr;
  std::exception_ptr error_;
  int members_ = 0, running_ = 0, round_ = 0;
  bool ending_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace cpu
