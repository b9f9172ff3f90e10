// The one exception of the C++ side. Its text is a sentence for the user: what is wrong and what to do. Python sees it as
// lc0rocm.Error.
#pragma once
#include <new>
#include <stdexcept>
#include <string>

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The sentence of any exception; the standard library's own for lack of memory is the name of a class.
inline std::string sentence(const std::exception& exception) {
  return dynamic_cast<const std::bad_alloc*>(&exception) ? "not enough memory" : exception.what();
}
