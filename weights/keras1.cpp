#include "weights/keras1.h"

#include <algorithm>

namespace limn {

namespace {

using Names = std::map<std::string_view, std::string_view>;

const Names classes = {{"Convolution1D", "Conv1D"},
                       {"Convolution2D", "Conv2D"},
                       {"Convolution3D", "Conv3D"},
                       {"AtrousConvolution1D", "Conv1D"},
                       {"AtrousConvolution2D", "Conv2D"},
                       {"AtrousConv2D", "Conv2D"},
                       {"Deconvolution2D", "Conv2DTranspose"},
                       {"SeparableConvolution2D", "SeparableConv2D"},
                       {"TimeDistributedDense", "Dense"}};

// What means the same in every layer that has it.
const Names everywhere = {{"nb_filter", "filters"},
                          {"subsample", "strides"},
                          {"subsample_length", "strides"},
                          {"border_mode", "padding"},
                          {"bias", "use_bias"},
                          {"atrous_rate", "dilation_rate"},
                          {"filter_length", "kernel_size"},
                          {"pool_length", "pool_size"},
                          {"stride", "strides"},
                          {"inner_activation", "recurrent_activation"},
                          {"init", "kernel_initializer"},
                          {"inner_init", "recurrent_initializer"}};

const std::map<std::string_view, Names> of_class = {{"Dense", {{"output_dim", "units"}}},  {"SimpleRNN", {{"output_dim", "units"}}},
                                                    {"LSTM", {{"output_dim", "units"}}},   {"GRU", {{"output_dim", "units"}}},
                                                    {"Dropout", {{"p", "rate"}}},          {"GaussianDropout", {{"p", "rate"}}},
                                                    {"SpatialDropout1D", {{"p", "rate"}}}, {"SpatialDropout2D", {{"p", "rate"}}},
                                                    {"SpatialDropout3D", {{"p", "rate"}}}, {"GaussianNoise", {{"sigma", "stddev"}}},
                                                    {"UpSampling1D", {{"length", "size"}}}};

const Names merge_modes = {{"sum", "Add"},     {"mul", "Multiply"},       {"ave", "Average"},
                           {"max", "Maximum"}, {"concat", "Concatenate"}, {"dot", "Dot"}};

void rename(Dict& settings, std::string_view old_key, std::string_view key) {
    auto entry = settings.extract(std::string(old_key));
    if (entry.empty() || settings.contains(std::string(key))) return;
    entry.key() = key;
    settings.insert(std::move(entry));
}

const std::string* text_at(const Dict& settings, const char* key) {
    const auto it = settings.find(key);
    return it == settings.end() ? nullptr : it->second.as<std::string>();
}

// kernel_dim1, kernel_dim2... or nb_row, nb_col
void join_sizes(Dict& settings, const std::string& key, std::initializer_list<const char*> parts) {
    if (!std::all_of(parts.begin(), parts.end(), [&](const char* part) { return settings.contains(part); })) return;
    List sizes;
    for (const char* part : parts) sizes.push_back(settings.extract(part).mapped());
    settings.emplace(key, std::move(sizes));
}

// (top, bottom, left, right), or a dictionary of what is not 0
void translate_padding(Dict& settings, const char* key) {
    const auto it = settings.find(key);
    if (it == settings.end()) return;
    Value& padding = it->second;
    if (const List* sides = padding.as<List>(); sides && sides->size() == 4) {
        const List s = *sides;
        padding = List{List{s[0], s[1]}, List{s[2], s[3]}};
    } else if (const Dict* named = padding.as<Dict>()) {
        const auto side = [&](const char* name) {
            const auto at = named->find(name);
            return at == named->end() ? Value(0.0) : at->second;
        };
        if (named->contains("left_pad") && !named->contains("top_pad") && named->size() <= 2)
            padding = List{side("left_pad"), side("right_pad")};
        else
            padding = List{List{side("top_pad"), side("bottom_pad")}, List{side("left_pad"), side("right_pad")}};
    }
}

}  // namespace

void translate_keras1(std::string& class_name, Dict& settings) {
    if (const auto it = classes.find(class_name); it != classes.end()) class_name = it->second;
    if (class_name == "Merge") {
        const std::string* mode = text_at(settings, "mode");
        const auto it = mode ? merge_modes.find(*mode) : merge_modes.end();
        LIMN_CHECK(it != merge_modes.end(), "a Merge layer's mode '{}' is not known; sum, mul, ave, max, concat and dot are",
                   mode ? mode->substr(0, 64) : "");
        class_name = it->second;
        rename(settings, "concat_axis", "axis");
        if (class_name == "Dot") rename(settings, "dot_axes", "axes");
        return;
    }
    join_sizes(settings, "kernel_size", {"nb_row", "nb_col"});
    join_sizes(settings, "kernel_size", {"kernel_dim1", "kernel_dim2", "kernel_dim3"});
    for (const auto& [old_key, key] : everywhere) rename(settings, old_key, key);
    if (const auto it = of_class.find(class_name); it != of_class.end())
        for (const auto& [old_key, key] : it->second) rename(settings, old_key, key);
    if (const std::string* ordering = text_at(settings, "dim_ordering"); ordering && !settings.contains("data_format"))
        settings["data_format"] = std::string(*ordering == "th" ? "channels_first" : "channels_last");
    if (class_name.starts_with("ZeroPadding")) translate_padding(settings, "padding");
}

}  // namespace limn
