#include "cam/methods.h"

namespace limn {

std::span<const Method> methods() {
    static const Method table[] = {
        {"grad-cam", "Selvaraju 2017: mean gradient, sum, before ReLU", grad_cam},
        {"cam", "Zhou 2016: weights of the last linear layer, before ReLU"},
        {"hirescam", "Draelos & Carin 2020: gradient times activation, before ReLU", hires_cam},
        {"grad-cam++", "Chattopadhay 2018, its authors' code without the common factor e^score, before ReLU", grad_cam_plus_plus},
        {"xgrad-cam", "Fu 2020: gradient weighted by activation, before ReLU", xgrad_cam},
        {"layercam", "Jiang 2021: positive gradient times activation, before ReLU", layer_cam},
        {"eigen-cam", "Muhammad & Yeasin 2020: first principal component of the activations, not centred", nullptr, eigen_cam},
        {"eigengrad-cam", "first principal component of gradient times activation, not centred", nullptr, eigen_grad_cam},
        {"score-cam", "Wang 2020: softmax over channels of the masked images' scores", nullptr, score_cam},
        {"ablation-cam", "Desai & Ramaswamy 2020: drop of the score without the channel", nullptr, ablation_cam},
        {"recipro-cam", "Byun & Lee 2022: score of a cell's surroundings (Gaussian 3x3) less that of nothing", nullptr, recipro_cam},
        {"guided-grad-cam", "Selvaraju 2017: guided backpropagation times enlarged relu(Grad-CAM), sum of the colours", nullptr,
         guided_grad_cam, true},
        {"saliency", "Simonyan 2013: largest magnitude of the gradient over the colours", nullptr, saliency, true, false},
        {"gradient-x-input", "Shrikumar 2016: gradient times input, sum of the colours", nullptr, gradient_x_input, true, false},
        {"guided-backprop", "Springenberg 2014: sum of the colours", nullptr, guided_backpropagation, true, false},
        {"deconvnet", "Zeiler & Fergus 2014: sum of the colours", nullptr, deconvnet, true, false},
        {"smoothgrad", "Smilkov 2017: saliency of the mean gradient of noisy images, deviation 0.15 of the range", nullptr, smooth_grad,
         true, false},
        {"integrated-gradients", "Sundararajan 2017: from zeros, Gauss-Legendre, sum of the colours", nullptr, integrated_gradients, true,
         false},
        {"fullgrad", "Srinivas & Fleuret 2019: input and all biases, magnitudes from 0 to 1", nullptr, full_grad, true, false},
        {"occlusion", "Zeiler & Fergus 2014: mean drop under windows of a seventh of the side, filled with 0", nullptr, occlusion, true,
         false},
        {"rise", "Petsiuk 2018: mean score of the masks that show a pixel, less the mean of all", nullptr, rise, true, false},
    };
    return table;
}

const Method& method_named(std::string_view name) {
    std::string known;
    for (const Method& m : methods()) {
        if (m.name == name) return m;
        known += (known.empty() ? "" : ", ") + m.name;
    }
    fail("method '{}' is not known; {} and all are", name, known);
}

}  // namespace limn
