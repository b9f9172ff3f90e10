// The Python class Backend: a shared back end and its name.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/evaluator.h"

struct BackendHandle {
  std::string name;
  std::shared_ptr<nn::Evaluator> evaluator;
  std::vector<std::string> unasked_options;
};
