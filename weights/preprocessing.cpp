#include "weights/preprocessing.h"

#include <algorithm>
#include <cctype>

namespace limn {

static constexpr std::pair<Preprocess, std::string_view> names[] = {{Preprocess::caffe, "caffe"},
                                                                    {Preprocess::tf, "tf"},
                                                                    {Preprocess::torch, "torch"},
                                                                    {Preprocess::unit, "unit"},
                                                                    {Preprocess::raw, "raw"}};

std::string_view name_of(Preprocess mode) {
    for (const auto& [known, name] : names)
        if (known == mode) return name;
    return "";
}

Preprocess preprocess_named(std::string_view wanted) {
    for (const auto& [mode, name] : names)
        if (name == wanted) return mode;
    fail("preprocessing '{}' is not known; auto, caffe, tf, torch, unit and raw are", wanted);
}

PreprocessChoice choose_preprocess(const Model& model) {
    if (std::ranges::none_of(model.inputs, [&](int input) { return model.node(input).shape.rank() == 4; }))
        return {Preprocess::raw, "it takes no photos"};
    for (const Node& node : model.nodes()) {
        const Layer& layer = *node.layer;
        if (layer.class_name == "Rescaling" || layer.class_name == "Normalization")
            return {Preprocess::raw, fmt::format("the model scales its input itself (layer '{}')", layer.name)};
        const std::string function = layer.class_name == "Operation" ? layer.keras_config.text("operation", "") : "";
        for (const char* arithmetic : {"add", "subtract", "multiply", "divide"})  // such as keras.applications' preprocess_input
            if (function.ends_with(arithmetic)) return {Preprocess::raw, "the model calculates with its input before its first weights"};
        if (!layer.weights.empty()) break;
    }
    std::string name = model.name;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    struct Rule {
        std::string_view part;
        Preprocess mode;
    };
    static constexpr Rule rules[] = {{"efficientnet", Preprocess::raw}, {"convnext", Preprocess::raw},   {"resnetv2", Preprocess::tf},
                                     {"resnet50v2", Preprocess::tf},    {"resnet101v2", Preprocess::tf}, {"resnet152v2", Preprocess::tf},
                                     {"v2_resnet", Preprocess::tf},     {"inception", Preprocess::tf},   {"xception", Preprocess::tf},
                                     {"mobilenet", Preprocess::tf},     {"nasnet", Preprocess::tf},      {"densenet", Preprocess::torch},
                                     {"squeezenet", Preprocess::caffe}, {"vgg", Preprocess::caffe},      {"resnet", Preprocess::caffe}};
    for (const Rule& rule : rules)
        if (name.find(rule.part) != std::string::npos) return {rule.mode, fmt::format("the model is called '{}'", model.name)};
    for (const Node& node : model.nodes()) {  // a base inside a model of another name
        if (node.name.ends_with("block5_conv3")) return {Preprocess::caffe, "it has VGG's layer block5_conv3"};
        if (node.name.ends_with("conv_dw_13") || node.name.ends_with("conv_pw_13"))
            return {Preprocess::tf, "it has MobileNet's layer conv_pw_13"};
    }
    return {Preprocess::unit, "nothing says otherwise: pixels divided by 255, as most people train"};
}

void preprocess(Preprocess mode, Tensor& pixels) {
    const Index channels = pixels.shape()[-1];
    LIMN_CHECK(channels == 3 || channels == 1, "photos have 1 or 3 channels, the model's input has {}: give arrays to `limn run` instead",
               channels);
    float* x = pixels.data();
    const Index count = pixels.size() / channels;
    if (mode == Preprocess::raw) return;
    // y = (x[source[c]] - mean[c]) * factor[c]
    struct Affine {
        int source[3];
        float mean[3], factor[3];
    };
    constexpr float third = 1.0f / 3, unit = 1.0f / 255;
    const Affine affine = mode == Preprocess::caffe ? Affine{{2, 1, 0}, {103.939f, 116.779f, 123.68f}, {1, 1, 1}}
                          : mode == Preprocess::torch
                              ? Affine{{0, 1, 2}, {0.485f * 255, 0.456f * 255, 0.406f * 255}, {unit / 0.229f, unit / 0.224f, unit / 0.225f}}
                          : mode == Preprocess::tf ? Affine{{0, 1, 2}, {127.5f, 127.5f, 127.5f}, {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}}
                                                   : Affine{{0, 1, 2}, {0, 0, 0}, {unit, unit, unit}};
    for (Index i = 0; i < count; i++, x += channels) {
        if (channels == 1) {
            x[0] = (x[0] - (affine.mean[0] + affine.mean[1] + affine.mean[2]) * third) *
                   (affine.factor[0] + affine.factor[1] + affine.factor[2]) * third;
            continue;
        }
        const float rgb[3] = {x[0], x[1], x[2]};
        for (int c = 0; c < 3; c++) x[c] = (rgb[affine.source[c]] - affine.mean[c]) * affine.factor[c];
    }
}

}  // namespace limn
