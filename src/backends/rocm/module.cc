// The extension module of the ROCm back end. Loading it registers the back ends; the functions are for lc0rocm/gpu/rocm.py, which decides.
#include <pybind11/pybind11.h>

#include "backends/rocm/device/device.h"
#include "backends/rocm/linear/libraries.h"

namespace py = pybind11;

namespace {

py::list devices() {
  int count = 0;
  const hipError_t error = hipGetDeviceCount(&count);
  if (error == hipErrorNoDevice) count = 0;
  else rocm::check(error, "listing the GPUs (is the amdgpu driver loaded?)");
  py::list list;
  for (int i = 0; i < count; ++i) {
    const rocm::Device device = rocm::read_device(i);
    using namespace py::literals;
    list.append(py::dict("name"_a = device.name, "architecture"_a = device.architecture, "memory"_a = device.memory,
                         "compute_units"_a = device.compute_units, "wave"_a = device.wave, "integrated"_a = device.integrated,
                         "matrix"_a = rocm::has_matrix_instructions(device.architecture),
                         "fp8"_a = rocm::fp8_of(device.architecture).has_value()));
  }
  return list;
}

}  // namespace

PYBIND11_MODULE(ROCM_MODULE, m) {
  m.doc() = "The ROCm back end of lc0rocm.";
  m.def("devices", &devices,
        "The GPUs in HIP's order: name, architecture (gfx1100, ...), memory in bytes, compute_units (work-group processors on RDNA), "
        "wave (lanes), integrated, matrix (whether it has matrix instructions), fp8 (some of them for floating-point numbers of 8 bits). Empty "
        "without one; throws Error when the driver does not answer.");
  m.def("free_memory", [](int index) { return rocm::free_memory(rocm::read_device(index)); }, "Bytes of a GPU; 0 where it does not say.");
}
