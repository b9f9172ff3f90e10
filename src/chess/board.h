#pragma once
#include "chess/types.h"

namespace chess {

struct Board {};

}  // namespace chess
