// Back ends made of others: each sub-dictionary of the options is one, named by its key `backend` or else by its own name, or stands for one
// that there is already.
#pragma once
#include <memory>
#include <vector>

#include "nn/backend.h"

using Children = std::vector<std::unique_ptr<nn::Backend>>;

// At least `least` of them; `name` is the combining back end's, for errors. All must take the same input and agree on WDL.
Children create_children(const std::string& name, const std::shared_ptr<const nn::Network>& network,
                         const nn::Options& options, std::size_t least = 1);

// What holds for all: the smallest batches; moves left, as being on the CPU, if all have it.
nn::Info common_info(const std::string& name, const Children& children);

bool any_has_more_room(const Children& children);
void rest_all(const std::vector<std::unique_ptr<nn::Session>>& sessions);  // those that are open
