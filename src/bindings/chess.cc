#include "bindings/bindings.h"

void bind_chess(pybind11::module_&) {}
