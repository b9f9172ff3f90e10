// What is known of a GPU by its architecture: whether the libraries that the back end can do without have kernels for it, where they are known to
// be weak, and whether it has matrix instructions.
#pragma once
#include <string>

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

}  // namespace rocm
