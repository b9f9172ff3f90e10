// What is known of a GPU by its architecture: whether the libraries that the back end can do without have kernels for it, where they are known to
// be weak, and what its compute units can do.
#pragma once
#include <optional>
#include <string>

#include "backends/rocm/kernels/rows8.h"

namespace rocm {

struct Library {
  const char* name;      // as plans and options call it, and its folder of kernels
  const char* variable;  // of the environment, that names another folder; null: it compiles its kernels itself
  void* function;        // one of its own, to find where it lies
};
extern const Library kLibraries[3];

bool has_kernels(const Library& library, const std::string& architecture);
bool is_weak(const std::string& library, const std::string& architecture);  // there, but only a measurement should choose it
bool has_matrix_instructions(const std::string& architecture);  // for our kernels to use; true of a stand-in
// The floating-point numbers of 8 bits that its matrix instructions take, and the libraries there; none of many.
std::optional<Numbers> fp8_of(const std::string& architecture);

struct Rates {
  int units = 1;            // compute units that the runtime counts as one
  int multiply_adds = 512;  // of halves that each does in a clock; of a stand-in what our product does on an H200
};
Rates rates_of(const std::string& architecture);

}  // namespace rocm
