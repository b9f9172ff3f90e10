// A back end that is a Python function.
#pragma once
#include <pybind11/pybind11.h>

#include "bindings/backend.h"

// function(masks, values), planes (n, 112), gives policy logits (n, 1858) and q, d, m (n, 3); it is called by any thread. The rest: see nn::Info.
std::shared_ptr<BackendHandle> backend_of_function(const std::string& name, pybind11::function function, const std::string& device, int format,
                                                   bool wdl, bool moves_left, bool half, bool cpu, int max_batch, int best_batch,
                                                   std::vector<std::string> unasked_options);
