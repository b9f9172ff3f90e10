// The extension module of the ROCm back end. Loading it registers the back ends; the functions are for lc0rocm/rocm.py, which decides.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <climits>
#include <memory>
#include <vector>

#include "backends/rocm/device.h"
#include "backends/rocm/linear/plan_table.h"
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

// `with _rocm.Measuring():` in Python.
struct MeasuringBlock {
  std::function<void()> begins;
  std::unique_ptr<rocm::Measuring> measuring;
};

}  // namespace

PYBIND11_MODULE(ROCM_MODULE, m) {
  m.doc() = "The ROCm back end of lc0rocm.";
  m.def("devices", &devices,
        "The GPUs in HIP's order: name, architecture (gfx1100, ...), memory in bytes, compute_units (work-group processors on RDNA), "
        "wave (lanes), integrated. Empty without one; throws Error when the driver does not answer.");
  m.def("ladder", &ladder, py::arg("most"), "The sizes up to `most` that batches are rounded up to.");

  m.def("load_plans", &rocm::load_plans, py::arg("text"), "Adds plans, 'key winner microseconds' a line; skips lines that are none.");
  m.def("save_plans", &rocm::save_plans, "All plans, as load_plans takes them.");
  m.def("clear_plans", &rocm::clear_plans);
  m.def("shun", &rocm::shun, py::arg("library"), py::arg("shun") = true,
        "Never calls hipblaslt, rocblas or miopen from now on; for one that failed its probe.");
  m.def("interrupt_measuring", &rocm::interrupt_measuring, py::arg("stop"), "Ends measurements in all threads, until called with False.");
  py::class_<MeasuringBlock>(m, "Measuring", "A with-block in which this thread measures shapes that have no plan yet.")
      .def(py::init([](std::function<void()> begins) { return MeasuringBlock{std::move(begins), nullptr}; }), py::arg("begins") = nullptr,
           "begins: called once, before the first shape that has to be measured.")
      .def("__enter__", [](MeasuringBlock& self) { self.measuring = std::make_unique<rocm::Measuring>(self.begins); })
      .def("__exit__", [](MeasuringBlock& self, const py::args&) { self.measuring.reset(); });
}
