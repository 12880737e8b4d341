#include "view/photo.h"

namespace limn {

Tensor PhotoInput::operator()(const Image& photo) const {
    const Index h = height ? height : photo.height, w = width ? width : photo.width;
    const bool fits = h == photo.height && w == photo.width;
    Tensor pixels = to_tensor(fits ? photo : resize(photo, h, w, resampling), channels);
    preprocess(mode, pixels);
    return pixels.reshaped({1, h, w, channels});
}

}  // namespace limn
