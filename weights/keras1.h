// Keras 1 configurations in the words of Keras 2: Convolution2D(nb_filter, nb_row, nb_col, subsample, border_mode, dim_ordering...)
// becomes Conv2D(filters, kernel_size, strides, padding, data_format...).
#pragma once

#include <string>

#include "layers/config.h"

namespace limn {

// Changes the class and the settings of one layer in place; what is in Keras 2's words already stays.
void translate_keras1(std::string& class_name, Dict& settings);

}  // namespace limn
