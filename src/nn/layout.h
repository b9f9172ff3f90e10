// Weights in the order and shape in which a back end's calls want them; the numbers are moved when they are made.
#pragma once
#include "nn/description.h"

namespace nn {

Weight scaled(Weight weight, float factor, int rows = -1);        // the first so many rows, else all
Weight stacked(const std::vector<Weight>& weights);               // the rows of one after those of another
Weight padded(Weight weight, int axis, int from, int to);         // each `from` places of an axis become `to`, with zeros at the end
Weight columns(Weight weight, int first, int count);              // of a matrix
Weight squares_first(Weight weight, int channels);                // each (channels, 64) of a row to (64, channels)

Dense scaled(Dense layer, float factor, int rows = -1);  // factor * (w x + b), or the first rows of it
Dense padded(Dense layer, int from, int to);             // of its rows
Dense stacked(const std::vector<Dense>& layers);

}  // namespace nn
