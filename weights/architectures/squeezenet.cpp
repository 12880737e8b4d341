#include "layers/conv2d.h"
#include "layers/core.h"
#include "weights/architectures/architectures.h"

namespace limn {

Model build_squeezenet(bool top) {
    Model model;
    model.name = "squeezenet_v1.1";
    const Index size = top ? 227 : -1;
    int x = model.add_input("input_1", {-1, size, size, 3});
    const auto convolution = [&](const std::string& name, double filters, double kernel, double stride, const char* padding, int from) {
        return model.add(
            name,
            make_conv2d(
                {"Conv2D",
                 name,
                 {{"filters", filters}, {"kernel_size", kernel}, {"strides", stride}, {"padding", padding}, {"activation", "relu"}}}),
            {from});
    };
    const auto pool = [&](const std::string& name) {
        x = model.add(name, make_max_pooling2d({"MaxPooling2D", name, {{"pool_size", 3.0}, {"strides", 2.0}}}), {x});
    };
    const auto fire = [&](int number, double squeeze, double expand) {
        const std::string name = fmt::format("fire{}", number);
        const int s = convolution(name + "/squeeze1x1", squeeze, 1, 1, "valid", x);
        const int left = convolution(name + "/expand1x1", expand, 1, 1, "valid", s),
                  right = convolution(name + "/expand3x3", expand, 3, 1, "same", s);
        x = model.add(name + "/concat", make_concatenate({"Concatenate", name + "/concat", {}}), {left, right});
    };
    x = convolution("conv1", 64, 3, 2, "valid", x);
    pool("pool1");
    fire(2, 16, 64);
    fire(3, 16, 64);
    pool("pool3");
    fire(4, 32, 128);
    fire(5, 32, 128);
    pool("pool5");
    fire(6, 48, 192);
    fire(7, 48, 192);
    fire(8, 64, 256);
    fire(9, 64, 256);
    if (top) {
        x = model.add("drop9", make_dropout({"Dropout", "drop9", {{"rate", 0.5}}}), {x});
        x = convolution("conv10", 1000, 1, 1, "valid", x);
        x = model.add("global_average_pooling2d_1",
                      make_global_average_pooling({"GlobalAveragePooling2D", "global_average_pooling2d_1", {}}), {x});
        x = model.add("loss", make_activation_layer({"Activation", "loss", {{"activation", "softmax"}}}), {x});
    }
    model.outputs = {x};
    return model;
}

}  // namespace limn
