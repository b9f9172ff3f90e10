#include "backends/rocm/linear/libraries.h"

#include <dlfcn.h>
#include <hipblaslt/hipblaslt.h>
#include <miopen/miopen.h>
#include <rocblas/rocblas.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

namespace rocm {
namespace {

// The only names of GPUs outside kernels/wave.h and mma.h.
constexpr struct {
  const char *library, *architecture;
} kWeak[] = {
    {"rocblas", "gfx1200"},  // no tuned kernels
    {"rocblas", "gfx1201"},
    {"hipblaslt", "gfx908"},  // one kernel a layout
};

}  // namespace

const Library kLibraries[3] = {
    {"hipblaslt", "HIPBLASLT_TENSILE_LIBPATH", reinterpret_cast<void*>(&hipblasLtCreate)},
    {"rocblas", "ROCBLAS_TENSILE_LIBPATH", reinterpret_cast<void*>(&rocblas_create_handle)},
    {"miopen", nullptr, nullptr},
};

// hipBLASLt and rocBLAS keep their kernels in a folder named like them beside the shared library, with the architecture in each name.
bool has_kernels(const Library& library, const std::string& architecture) {
  namespace fs = std::filesystem;
  if (!library.variable || !architecture.starts_with("gfx")) return true;  // the second: a stand-in
  const char* chosen = std::getenv(library.variable);
  Dl_info info;
  if (!chosen && (!dladdr(library.function, &info) || !info.dli_fname)) return false;
  std::error_code error;
  const fs::path folder = chosen ? fs::path(chosen) : fs::weakly_canonical(info.dli_fname, error).parent_path() / library.name;
  for (fs::recursive_directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    const std::string name = file->path().filename().string();
    const std::size_t at = name.find(architecture);
    if (at != std::string::npos && !std::isalnum(static_cast<unsigned char>(name[at + architecture.size()]))) return true;
  }
  return false;
}

bool is_weak(const std::string& library, const std::string& architecture) {
  return std::ranges::any_of(kWeak, [&](const auto& weak) { return library == weak.library && architecture == weak.architecture; });
}

}  // namespace rocm
