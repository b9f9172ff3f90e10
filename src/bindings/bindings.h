// Every pybind11 line of the project is in this folder: one file a layer, no logic, the GIL released around all work.
#pragma once
#include <pybind11/pybind11.h>

#include <string>

#include "chess/encode.h"

void bind_backend(pybind11::module_& m);
void bind_chess(pybind11::module_& m);
void bind_inputs(pybind11::module_& m);
void bind_network(pybind11::module_& m);
void bind_search(pybind11::module_& m);
void bind_syzygy(pybind11::module_& m);

// Its bytes in UTF-8. Half a surrogate pair, as Python has it for a byte that is no UTF-8, has none and becomes "?".
std::string text_of(const pybind11::handle& text);

const chess::History* history_of(const pybind11::handle& object);  // of a Game of Python; null for what is none

// Both throw Error for what there is not.
chess::InputFormat input_format(int number);
chess::HistoryFill history_fill(const std::string& name);
