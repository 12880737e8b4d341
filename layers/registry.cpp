#include "engine/spelling.h"
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
        {"LocallyConnected2D", make_locally_connected2d},
        {"Conv1D", make_line},
        {"DepthwiseConv1D", make_line},
        {"SeparableConv1D", make_line},
        {"Conv1DTranspose", make_line},
        {"LocallyConnected1D", make_line},
        {"MaxPooling1D", make_line},
        {"AveragePooling1D", make_line},
        {"UpSampling1D", make_line},
        {"Conv3D", make_conv3d},
        {"Conv3DTranspose", make_conv3d_transpose},
        {"Dense", make_dense},
        {"EinsumDense", make_einsum_dense},
        {"MaxPooling2D", make_max_pooling2d},
        {"AveragePooling2D", make_average_pooling2d},
        {"MaxPooling3D", make_max_pooling3d},
        {"AveragePooling3D", make_average_pooling3d},
        {"GlobalAveragePooling1D", make_global_average_pooling},
        {"GlobalMaxPooling1D", make_global_max_pooling},
        {"GlobalAveragePooling2D", make_global_average_pooling},
        {"GlobalMaxPooling2D", make_global_max_pooling},
        {"GlobalAveragePooling3D", make_global_average_pooling},
        {"GlobalMaxPooling3D", make_global_max_pooling},
        {"BatchNormalization", make_batch_normalization},
        {"LayerNormalization", make_layer_normalization},
        {"RMSNormalization", make_layer_normalization},
        {"GroupNormalization", make_group_normalization},
        {"UnitNormalization", make_unit_normalization},
        {"SpectralNormalization", make_spectral_normalization},
        {"Rescaling", make_rescaling},
        {"Normalization", make_normalization},
        {"MultiHeadAttention", make_multi_head_attention},
        {"GroupedQueryAttention", make_multi_head_attention},
        {"GroupQueryAttention", make_multi_head_attention},  // its public name
        {"Attention", make_attention},
        {"AdditiveAttention", make_attention},
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
        {"Dot", make_dot},
        {"Operation", make_operation},
        {"LayerScale", make_layer_scale},
        {"CustomScaleLayer", make_custom_scale},
        {"Flatten", make_flatten},
        {"Reshape", make_reshape},
        {"Permute", make_permute},
        {"ZeroPadding1D", make_zero_padding},
        {"ZeroPadding2D", make_zero_padding},
        {"ZeroPadding3D", make_zero_padding},
        {"Cropping1D", make_cropping},
        {"Cropping2D", make_cropping},
        {"Cropping3D", make_cropping},
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
        {"UpSampling3D", make_up_sampling3d},
        {"Resizing", make_resizing},
        {"CenterCrop", make_center_crop},
        {"RandomCrop", make_random_crop},
        {"Dropout", make_dropout},
        {"SpatialDropout1D", make_dropout},
        {"SpatialDropout2D", make_dropout},
        {"SpatialDropout3D", make_dropout},
        {"StochasticDepth", make_dropout},
        // these do something in training only, and limn leaves it out
        {"Identity", make_identity},
        {"GaussianDropout", make_identity},
        {"GaussianNoise", make_identity},
        {"AlphaDropout", make_identity},
        {"ActivityRegularization", make_identity},
        {"RandomFlip", make_identity},
        {"RandomRotation", make_identity},
        {"RandomZoom", make_identity},
        {"RandomTranslation", make_identity},
        {"RandomShear", make_identity},
        {"RandomPerspective", make_identity},
        {"RandomElasticTransform", make_identity},
        {"RandomHeight", make_identity},
        {"RandomWidth", make_identity},
        {"RandomContrast", make_identity},
        {"RandomBrightness", make_identity},
        {"RandomSaturation", make_identity},
        {"RandomHue", make_identity},
        {"RandomGrayscale", make_identity},
        {"RandomSharpness", make_identity},
        {"RandomGaussianBlur", make_identity},
        {"RandomInvert", make_identity},
        {"RandomPosterization", make_identity},
        {"RandomColorJitter", make_identity},
        {"RandomColorDegeneration", make_identity},
        {"RandomErasing", make_identity},
        {"RandAugment", make_identity},
        {"AugMix", make_identity},
        {"MixUp", make_identity},
        {"CutMix", make_identity},
    };
    return table;
}

std::vector<std::string> known_layers() {
    std::vector<std::string> names;
    for (const auto& [name, maker] : makers()) names.push_back(name);
    return names;
}

LayerPtr make_layer(const Config& config) {
    const auto it = makers().find(config.class_name);
    if (it != makers().end()) return it->second(config);
    const std::string meant = probably_meant(config.class_name.substr(config.class_name.rfind('>') + 1), known_layers());  // Package>Class
    fail("layer '{}' is a {}, which limn does not know ({})", config.name.substr(0, 128), config.class_name.substr(0, 128),
         meant.empty() ? "if the class is your own: limn never runs the Python code behind it" : "the nearest it knows is " + meant);
}

}  // namespace limn
