// How arrays lay in older Keras files, and how to make today's of them: the rules of Keras 2's own `preprocess_weights_for_loading`.
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace limn {

struct WrittenBy {
    int keras_major = 3;
    bool theano = false;  // Theano convolves with the kernel turned by 180 degrees
};

bool convolves(const Layer& layer);  // with a kernel that Theano turns

// One stored array for `weight` of `layer`, in today's order of axes; of any other shape it comes back as it was.
Tensor todays_layout(const Layer& layer, const Weight& weight, const Tensor& stored, const WrittenBy& by);

// Keras 1 kept the gates of an LSTM (input, forget, cell, output) and a GRU (update, reset, new) in arrays of their own:
// "lstm_1_W_i" is the gate i of the array "lstm_1_W". gate 0: not one of those.
struct GateName {
    std::string array;
    char gate = 0;
};
GateName gate_name(const std::string& name);
Index gate_place(char gate);  // in today's joined array

}  // namespace limn
