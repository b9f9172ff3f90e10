// Every pybind11 line of the project is in this folder: one file a layer, no logic, the GIL released around all work.
#pragma once
#include <pybind11/pybind11.h>

void bind_chess(pybind11::module_& m);
void bind_nn(pybind11::module_& m);
void bind_search(pybind11::module_& m);
void bind_syzygy(pybind11::module_& m);
