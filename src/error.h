// The one exception of the C++ side. Its text is a sentence for the user: what is wrong and what to do. Python sees it as
// lc0rocm.Error.
#pragma once
#include <stdexcept>

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
