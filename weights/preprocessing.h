// What a network expects its pixels to look like, and how limn knows.
#pragma once

#include <string>
#include <string_view>

#include "layers/model.h"

namespace limn {

// The modes of keras.applications: from pixels 0..255 in RGB order,
//   caffe  BGR, minus (103.939, 116.779, 123.68)          (VGG, ResNet, SqueezeNet)
//   tf     x / 127.5 - 1                                  (MobileNet, Inception, Xception)
//   torch  x / 255, minus (.485,.456,.406), over (.229,.224,.225)   (DenseNet)
//   unit   x / 255                                        (most networks people train themselves)
//   raw    as it is                                       (networks that begin with a Rescaling layer)
enum class Preprocess { caffe, tf, torch, unit, raw };

std::string_view name_of(Preprocess mode);
Preprocess preprocess_named(std::string_view name);  // an Error lists the names

struct PreprocessChoice {
    Preprocess mode;
    std::string reason;  // "its name says vgg"
};
PreprocessChoice choose_preprocess(const Model& model);

// In place, on (h,w,3) or (h,w,1) pixels 0..255. One channel: caffe subtracts the mean grey, torch the mean of means.
void preprocess(Preprocess mode, Tensor& pixels);

}  // namespace limn
