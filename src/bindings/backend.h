// The Python class Backend: a shared back end, its name, and the sessions that no thread uses at the moment.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nn/backend.h"

struct BackendHandle {
  std::string name;
  std::shared_ptr<nn::Backend> backend;
  std::vector<std::string> unasked_options;
  std::mutex mutex;  // of idle
  std::vector<std::unique_ptr<nn::Session>> idle;
};
