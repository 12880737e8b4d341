#include "view/photo.h"

#include <algorithm>

namespace limn {

Tensor PhotoInput::operator()(const Image& photo) const {
    const auto in_proportion = [](Index side, Index to, Index other) { return std::max<Index>(1, (2 * side * to + other) / (2 * other)); };
    const Index h = height ? height : width ? in_proportion(photo.height, width, photo.width) : photo.height;
    const Index w = width ? width : height ? in_proportion(photo.width, height, photo.height) : photo.width;
    const bool fits = h == photo.height && w == photo.width;
    Tensor pixels = to_tensor(fits ? photo : resize(photo, h, w, resampling), channels);
    preprocess(mode, pixels);
    return pixels.reshaped({1, h, w, channels});
}

}  // namespace limn
