#include "layers/conv2d.h"
#include "layers/core.h"
#include "weights/architectures/architectures.h"

namespace limn {

// A small relative of VGG16 that ends in global average pooling and one sigmoid, so that CAM and Grad-CAM both apply: it
// tells cats from dogs. Convolutions are followed by batch normalisation (VGG had none), and the first halves the photo.
Model build_paws() {
    Model model;
    model.name = "paws";
    int x = model.add_input("photo", {-1, -1, -1, 3});
    x = model.add("rescaling", make_rescaling({"Rescaling", "rescaling", {{"scale", 1 / 127.5}, {"offset", -1.0}}}), {x});
    const auto convolution = [&](const std::string& name, double filters, double stride) {
        x = model.add(
            name,
            make_conv2d({"Conv2D",
                         name,
                         {{"filters", filters}, {"kernel_size", 3.0}, {"strides", stride}, {"padding", "same"}, {"use_bias", false}}}),
            {x});
        x = model.add(name + "_bn", make_batch_normalization({"BatchNormalization", name + "_bn", {{"momentum", 0.97}}}), {x});
        x = model.add(name + "_relu", make_activation_layer({"Activation", name + "_relu", {{"activation", "relu"}}}), {x});
    };
    const auto pool = [&](const std::string& name) {
        x = model.add(name, make_max_pooling2d({"MaxPooling2D", name, {{"pool_size", 2.0}, {"strides", 2.0}}}), {x});
    };
    convolution("block1_conv1", 32, 2);
    convolution("block1_conv2", 32, 1);
    pool("block1_pool");
    convolution("block2_conv1", 64, 1);
    convolution("block2_conv2", 64, 1);
    pool("block2_pool");
    convolution("block3_conv1", 128, 1);
    convolution("block3_conv2", 128, 1);
    convolution("block3_conv3", 128, 1);
    pool("block3_pool");
    convolution("block4_conv1", 192, 1);
    convolution("block4_conv2", 192, 1);
    x = model.add("global_average_pooling2d", make_global_average_pooling({"GlobalAveragePooling2D", "global_average_pooling2d", {}}),
                  {x});
    x = model.add("dropout", make_dropout({"Dropout", "dropout", {{"rate", 0.2}}}), {x});
    x = model.add("predictions", make_dense({"Dense", "predictions", {{"units", 1.0}, {"activation", "sigmoid"}}}), {x});
    model.outputs = {x};
    return model;
}

}  // namespace limn
