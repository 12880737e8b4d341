#include "layers/conv2d.h"
#include "layers/core.h"
#include "weights/architectures/architectures.h"

namespace limn {

Model build_vgg(int depth, bool top) {
    const int convolutions[] = {2, 2, depth == 19 ? 4 : 3, depth == 19 ? 4 : 3, depth == 19 ? 4 : 3};
    const double filters[] = {64, 128, 256, 512, 512};
    Model model;
    model.name = fmt::format("vgg{}", depth);
    const Index size = top ? 224 : -1;  // only the dense layers need a fixed size
    int x = model.add_input("input_1", {-1, size, size, 3});
    for (int block = 1; block <= 5; block++) {
        for (int i = 1; i <= convolutions[block - 1]; i++) {
            const std::string name = fmt::format("block{}_conv{}", block, i);
            x = model.add(
                name,
                make_conv2d(
                    {"Conv2D", name, {{"filters", filters[block - 1]}, {"kernel_size", 3.0}, {"padding", "same"}, {"activation", "relu"}}}),
                {x});
        }
        const std::string name = fmt::format("block{}_pool", block);
        x = model.add(name, make_max_pooling2d({"MaxPooling2D", name, {{"pool_size", 2.0}, {"strides", 2.0}}}), {x});
    }
    if (top) {
        x = model.add("flatten", make_flatten({"Flatten", "flatten", {}}), {x});
        x = model.add("fc1", make_dense({"Dense", "fc1", {{"units", 4096.0}, {"activation", "relu"}}}), {x});
        x = model.add("fc2", make_dense({"Dense", "fc2", {{"units", 4096.0}, {"activation", "relu"}}}), {x});
        x = model.add("predictions", make_dense({"Dense", "predictions", {{"units", 1000.0}, {"activation", "softmax"}}}), {x});
    }
    model.outputs = {x};
    return model;
}

}  // namespace limn
