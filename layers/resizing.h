// Images in another size, by any of Keras's interpolations.
#pragma once

#include "layers/layer.h"

namespace limn {

void check_interpolation(const Config& layer, const std::string& name);  // an unknown one is an Error that lists the known ones

// x: (N,h,w,c). antialias: a smaller image looks at all pixels that fall into one of its own.
Var resized(Tape&, const Var& x, Index height, Index width, const std::string& interpolation, bool antialias = false);

}  // namespace limn
