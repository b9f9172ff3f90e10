#include "bindings/bindings.h"
#include "error.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of lc0rocm; types in _core.pyi.";
  pybind11::register_exception<Error>(m, "Error", PyExc_RuntimeError);
  bind_chess(m);
  bind_nn(m);
  bind_search(m);
  bind_syzygy(m);
}
