#include <algorithm>

#include "layers/conv2d.h"
#include "layers/core.h"

namespace limn {

using Maker = LayerPtr (*)(const Config&);

static const std::map<std::string, Maker>& makers() {
    static const std::map<std::string, Maker> table = {
        {"InputLayer", make_identity},
        {"Conv2D", make_conv2d},
        {"DepthwiseConv2D", make_depthwise_conv2d},
        {"SeparableConv2D", make_separable_conv2d},
        {"Conv2DTranspose", make_conv2d_transpose},
        {"Dense", make_dense},
        {"MaxPooling2D", make_max_pooling2d},
        {"AveragePooling2D", make_average_pooling2d},
        {"GlobalAveragePooling2D", make_global_average_pooling2d},
        {"GlobalMaxPooling2D", make_global_max_pooling2d},
        {"BatchNormalization", make_batch_normalization},
        {"LayerNormalization", make_layer_normalization},
        {"Rescaling", make_rescaling},
        {"Normalization", make_normalization},
        {"Activation", make_activation_layer},
        {"ReLU", make_activation_layer},
        {"LeakyReLU", make_activation_layer},
        {"ELU", make_activation_layer},
        {"ThresholdedReLU", make_activation_layer},
        {"Softmax", make_activation_layer},
        {"PReLU", make_prelu},
        {"Add", make_merge},
        {"Subtract", make_merge},
        {"Multiply", make_merge},
        {"Average", make_merge},
        {"Maximum", make_merge},
        {"Minimum", make_merge},
        {"Concatenate", make_concatenate},
        {"Flatten", make_flatten},
        {"Reshape", make_reshape},
        {"Permute", make_permute},
        {"ZeroPadding2D", make_zero_padding2d},
        {"Cropping2D", make_cropping2d},
        {"UpSampling2D", make_up_sampling2d},
        {"Lambda", make_lambda},
        {"Embedding", make_embedding},
        {"Masking", make_masking},
        {"SimpleRNN", make_recurrent},
        {"LSTM", make_recurrent},
        {"GRU", make_recurrent},
        {"CuDNNLSTM", make_recurrent},
        {"CuDNNGRU", make_recurrent},
        {"RNN", make_recurrent},
        {"RepeatVector", make_repeat_vector},
        {"Dropout", make_dropout},
        {"SpatialDropout2D", make_dropout},
        // these do something in training only, and limn leaves it out
        {"GaussianDropout", make_identity},
        {"GaussianNoise", make_identity},
        {"AlphaDropout", make_identity},
        {"ActivityRegularization", make_identity},
    };
    return table;
}

std::vector<std::string> known_layers() {
    std::vector<std::string> names;
    for (const auto& [name, maker] : makers()) names.push_back(name);
    return names;
}

// Letters to change, insert or drop to turn one word into the other (Levenshtein 1966).
static std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

LayerPtr make_layer(const Config& config) {
    const auto it = makers().find(config.class_name);
    if (it != makers().end()) return it->second(config);
    std::string nearest;
    std::size_t best = std::string::npos;
    for (const auto& [name, maker] : makers())
        if (const std::size_t d = distance(config.class_name.substr(0, 64), name); d < best) best = d, nearest = name;
    fail("layer '{}' is a {}, which limn does not know (the nearest it knows is {})", config.name.substr(0, 128),
         config.class_name.substr(0, 128), nearest);
}

}  // namespace limn
