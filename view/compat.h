// The pictures that other libraries draw from the same raw map, to within a level of 255: for people who compare with figures they have.
// How each of them normalises, resizes, colours and lays over is stated beside its function in compat.cpp.
#pragma once

#include "view/image.h"

namespace limn {

enum class Compat { pytorch_grad_cam, captum, tf_keras_vis, keras_io, zhou, article };
Compat compat_named(std::string_view name);  // an Error lists the names
const char* method_of(Compat library);       // what it draws by default: zhou cam, all others grad-cam

// raw: (h,w), signed. Where a library would divide 0 by 0 the map counts as 0.
Image compat_picture(Compat library, const Tensor& raw, const Image& photo);

}  // namespace limn
