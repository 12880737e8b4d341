// The makers of all layers, by file. layers/registry.cpp maps Keras's class names to them.
#pragma once

#include "layers/layer.h"

namespace limn {

// dense.cpp
LayerPtr make_dense(const Config&);
// pooling.cpp
LayerPtr make_max_pooling2d(const Config&);
LayerPtr make_average_pooling2d(const Config&);
LayerPtr make_global_average_pooling2d(const Config&);
LayerPtr make_global_max_pooling2d(const Config&);
// normalization.cpp
LayerPtr make_batch_normalization(const Config&);
LayerPtr make_layer_normalization(const Config&);
LayerPtr make_rescaling(const Config&);
LayerPtr make_normalization(const Config&);
// activation.cpp
LayerPtr make_activation_layer(const Config&);  // Activation, ReLU, LeakyReLU, ELU, ThresholdedReLU, Softmax
LayerPtr make_prelu(const Config&);
// merge.cpp
LayerPtr make_merge(const Config&);  // Add, Subtract, Multiply, Average, Maximum, Minimum
LayerPtr make_concatenate(const Config&);
// dropout.cpp
LayerPtr make_dropout(const Config&);  // Dropout, SpatialDropout2D
// shape.cpp
LayerPtr make_identity(const Config&);  // InputLayer, and noise of training that limn leaves out
LayerPtr make_flatten(const Config&);
LayerPtr make_reshape(const Config&);
LayerPtr make_permute(const Config&);
// embedding.cpp
LayerPtr make_embedding(const Config&);
LayerPtr make_masking(const Config&);
// recurrent.cpp
LayerPtr make_recurrent(const Config&);  // SimpleRNN, LSTM, GRU, CuDNNLSTM, CuDNNGRU, RNN
// sequence.cpp
LayerPtr make_repeat_vector(const Config&);
// spatial.cpp
LayerPtr make_zero_padding2d(const Config&);
LayerPtr make_cropping2d(const Config&);
LayerPtr make_up_sampling2d(const Config&);

}  // namespace limn
