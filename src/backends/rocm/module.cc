// The extension module of the ROCm back end. Loading it registers the back ends; devices() says what they could run on.
#include <hip/hip_runtime.h>
#include <pybind11/pybind11.h>

#include <string>

#include "error.h"

namespace py = pybind11;

static py::list devices() {
  int count = 0;
  const hipError_t error = hipGetDeviceCount(&count);
  if (error != hipSuccess && error != hipErrorNoDevice) {
    throw Error(std::string("ROCm cannot list its devices: ") + hipGetErrorString(error) + "; is the amdgpu driver loaded?");
  }
  py::list list;
  for (int i = 0; i < count; ++i) {
    hipDeviceProp_t p;
    if (hipError_t e = hipGetDeviceProperties(&p, i)) throw Error(std::string("hipGetDeviceProperties: ") + hipGetErrorString(e));
    using namespace py::literals;
    list.append(py::dict("name"_a = p.name, "architecture"_a = p.gcnArchName, "memory"_a = p.totalGlobalMem,
                         "compute_units"_a = p.multiProcessorCount, "wave"_a = p.warpSize, "integrated"_a = p.integrated != 0));
  }
  return list;
}

PYBIND11_MODULE(ROCM_MODULE, m) {
  m.doc() = "The ROCm back end of lc0rocm.";
  m.def("devices", &devices,
        "The GPUs in HIP's order: name, architecture (gfx1100, ...), memory in bytes, compute_units (work-group processors on RDNA), "
        "wave (lanes), integrated. Empty without one; throws Error when the driver does not answer.");
}
