#include "bindings/bindings.h"

void bind_search(pybind11::module_&) {}
