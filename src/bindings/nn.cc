#include "bindings/bindings.h"

void bind_nn(pybind11::module_&) {}
