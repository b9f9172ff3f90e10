// How many processors this process may use: fewer than the machine has under an affinity mask or a container's limit.
#pragma once

namespace cpu {

int processors();  // at least 1

}  // namespace cpu
