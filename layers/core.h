// The makers of all layers, by file. layers/registry.cpp maps Keras's class names to them.
#pragma once

#include "layers/layer.h"

namespace limn {

// dense.cpp
LayerPtr make_dense(const Config&);
// einsum_dense.cpp
LayerPtr make_einsum_dense(const Config&);
// line.cpp
LayerPtr make_line(const Config&);  // what works along a line, as the same on images: Conv1D, MaxPooling1D, UpSampling1D...
// volume.cpp
LayerPtr make_conv3d(const Config&);
LayerPtr make_conv3d_transpose(const Config&);
LayerPtr make_max_pooling3d(const Config&);
LayerPtr make_average_pooling3d(const Config&);
LayerPtr make_up_sampling3d(const Config&);
// locally_connected.cpp
LayerPtr make_locally_connected2d(const Config&);
// pooling.cpp
LayerPtr make_max_pooling2d(const Config&);
LayerPtr make_average_pooling2d(const Config&);
LayerPtr make_global_average_pooling(const Config&);
LayerPtr make_global_max_pooling(const Config&);
// normalization.cpp
LayerPtr make_batch_normalization(const Config&);
LayerPtr make_rescaling(const Config&);
LayerPtr make_normalization(const Config&);
// image_normalization.cpp
LayerPtr make_layer_normalization(const Config&);  // LayerNormalization, RMSNormalization
LayerPtr make_group_normalization(const Config&);
LayerPtr make_unit_normalization(const Config&);
// spectral_normalization.cpp
LayerPtr make_spectral_normalization(const Config&);
// attention.cpp
LayerPtr make_multi_head_attention(const Config&);  // MultiHeadAttention, GroupedQueryAttention
LayerPtr make_attention(const Config&);             // Attention, AdditiveAttention
// activation.cpp
LayerPtr make_activation_layer(const Config&);  // Activation, ReLU, LeakyReLU, ELU, ThresholdedReLU, Softmax
LayerPtr make_prelu(const Config&);
// merge.cpp
LayerPtr make_merge(const Config&);  // Add, Subtract, Multiply, Average, Maximum, Minimum
LayerPtr make_concatenate(const Config&);
LayerPtr make_dot(const Config&);
// dropout.cpp
LayerPtr make_dropout(const Config&);  // Dropout, SpatialDropout1D, 2D, 3D, StochasticDepth
// applications.cpp
LayerPtr make_layer_scale(const Config&);
LayerPtr make_custom_scale(const Config&);
// operation.cpp
LayerPtr make_operation(const Config&);           // functions called on tensors without a layer
bool is_known_function(const std::string& name);  // "mean", "math.reduce_mean", "Mean"
// shape.cpp
LayerPtr make_identity(const Config&);  // InputLayer, and what does something in training only
LayerPtr make_flatten(const Config&);
LayerPtr make_reshape(const Config&);
LayerPtr make_permute(const Config&);
// lambda.cpp
LayerPtr make_lambda(const Config&);
// embedding.cpp
LayerPtr make_embedding(const Config&);
LayerPtr make_masking(const Config&);
// recurrent.cpp
LayerPtr make_recurrent(const Config&);  // SimpleRNN, LSTM, GRU, CuDNNLSTM, CuDNNGRU, RNN
// The cells of a recurrent layer, from below: those that an RNN is given, stacks taken apart; any other layer is its own cell.
std::vector<Config> cells_of(const Config& recurrent);
// sequence.cpp
LayerPtr make_repeat_vector(const Config&);
// spatial.cpp
LayerPtr make_zero_padding(const Config&);  // of lines, images and volumes
LayerPtr make_cropping(const Config&);
LayerPtr make_up_sampling2d(const Config&);
// resizing.cpp
LayerPtr make_resizing(const Config&);
LayerPtr make_center_crop(const Config&);
LayerPtr make_random_crop(const Config&);

}  // namespace limn
