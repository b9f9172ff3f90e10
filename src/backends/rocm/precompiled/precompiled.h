// What kernels include of HIP and of the C++ library: they take nine tenths of what it takes to read a kernel's file. For AMD it is read once a target.
#pragma once
#include <hip/hip_fp16.h>
#include <hip/hip_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
