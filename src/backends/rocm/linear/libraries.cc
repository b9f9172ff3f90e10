#include "backends/rocm/linear/libraries.h"

#include <dlfcn.h>
#include <hipblaslt/hipblaslt.h>
#include <miopen/miopen.h>
#include <rocblas/rocblas.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <string_view>

namespace rocm {
namespace {

constexpr struct Target {
  std::string_view architecture, stands_for;
  int fragment_rows;
  std::string_view fp8;
  Rates rates;
  std::string_view weak;
} kTargets[] = {
#define TARGET(name, stands_for, rows, instructions, fp8, registers, granule, waves, lds, lds_granule, simds, units, rate, weak) \
  {#name, #stands_for, rows, #fp8, {units, rate}, #weak},
#include "backends/rocm/device/targets.def"
#undef TARGET
};

// Its own line, or that which stands for its family; null for a stand-in, unless it executes a target's machine code: emulated64.gfx942.
const Target* find(const std::string& architecture) {
  const std::string name = architecture.substr(architecture.find('.') + 1);
  const auto stands_for = [&](const Target& target) {  // one of the starts of names, spaces between
    std::istringstream starts{std::string(target.stands_for)};
    return std::any_of(std::istream_iterator<std::string>(starts), {}, [&](const std::string& start) { return name.starts_with(start); });
  };
  const auto* target = std::ranges::find(kTargets, name, &Target::architecture);
  if (target == std::end(kTargets)) target = std::ranges::find_if(kTargets, stands_for);
  return target == std::end(kTargets) ? nullptr : target;
}

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
  return std::ranges::any_of(kTargets, [&](const auto& target) { return architecture == target.architecture && library == target.weak; });
}

bool has_matrix_instructions(const std::string& architecture) {
  const Target* const target = find(architecture);
  return !target || target->fragment_rows > 0;
}

std::optional<Numbers> fp8_of(const std::string& architecture) {
  const Target* const target = find(architecture);
  if (!target || target->fp8 == "kFp8") return Numbers::kFp8;
  return target->fp8 == "kFp8Fnuz" ? std::optional(Numbers::kFp8Fnuz) : std::nullopt;
}

Rates rates_of(const std::string& architecture) {
  const Target* const target = find(architecture);
  return target ? target->rates : Rates{};
}

}  // namespace rocm
