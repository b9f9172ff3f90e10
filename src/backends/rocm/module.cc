// The extension module of the ROCm back end. Loading it registers the back ends; the functions are for lc0rocm/rocm.py, which decides.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <climits>
#include <vector>

#include "backends/rocm/device/device.h"
#include "backends/rocm/session.h"

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
                         "compute_units"_a = device.compute_units, "wave"_a = device.wave, "integrated"_a = device.integrated));
  }
  return list;
}

std::vector<int> ladder(int most) {
  std::vector<int> steps;
  for (int step = 1; step <= most; step = rocm::ladder_step(step + 1, INT_MAX)) steps.push_back(step);
  return steps;
}

}  // namespace

PYBIND11_MODULE(ROCM_MODULE, m) {
  m.doc() = "The ROCm back end of lc0rocm.";
  m.def("devices", &devices,
        "The GPUs in HIP's order: name, architecture (gfx1100, ...), memory in bytes, compute_units (work-group processors on RDNA), "
        "wave (lanes), integrated. Empty without one; throws Error when the driver does not answer.");
  m.def("ladder", &ladder, py::arg("most"), "The sizes up to `most` that batches are rounded up to.");

}
