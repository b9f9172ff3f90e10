// The processors that this process may use, what they can, and what the core was compiled for.
#pragma once
#include <dnnl.hpp>

namespace cpu {

int processors();  // at least 1, and fewer than the machine has under an affinity mask or a container's limit

bool have(dnnl::cpu_isa wanted);  // these instructions, unless ONEDNN_MAX_CPU_ISA forbids them

// The oldest kind of processor that runs this very code: the dynamic linker chooses among the libraries of the package.
#if defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512CD__ && defined __AVX512DQ__ && defined __AVX512VL__
inline constexpr auto kCompiledFor = "x86-64-v4";
#elif defined __AVX2__ && defined __FMA__
inline constexpr auto kCompiledFor = "x86-64-v3";
#elif defined __SSE4_2__ && defined __POPCNT__
inline constexpr auto kCompiledFor = "x86-64-v2";
#elif defined __x86_64__
inline constexpr auto kCompiledFor = "x86-64";
#elif defined __aarch64__
inline constexpr auto kCompiledFor = "aarch64";
#else
inline constexpr auto kCompiledFor = "this processor";
#endif

}  // namespace cpu
