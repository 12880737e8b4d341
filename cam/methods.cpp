#include "cam/methods.h"

namespace limn {

std::span<const Method> methods() {
    static const Method table[] = {
        {.name = "grad-cam", .variant = "Selvaraju 2017: mean gradient, sum, before ReLU", .formula = grad_cam},
        {.name = "cam", .variant = "Zhou 2016: weights of the last linear layer, before ReLU", .walks = false},
        {.name = "hirescam", .variant = "Draelos & Carin 2020: gradient times activation, before ReLU", .formula = hires_cam},
        {.name = "grad-cam++",
         .variant = "Chattopadhay 2018, its authors' code without the common factor e^score, before ReLU",
         .formula = grad_cam_plus_plus},
        {.name = "xgrad-cam", .variant = "Fu 2020: gradient weighted by activation, before ReLU", .formula = xgrad_cam},
        {.name = "layercam", .variant = "Jiang 2021: positive gradient times activation, before ReLU", .formula = layer_cam},
        {.name = "eigen-cam",
         .variant = "Muhammad & Yeasin 2020: first principal component of the activations, not centred",
         .study = eigen_cam,
         .walks = false},
        {.name = "eigengrad-cam",
         .variant = "first principal component of gradient times activation, not centred",
         .study = eigen_grad_cam},
        {.name = "score-cam",
         .variant = "Wang 2020: softmax over channels of the masked images' scores",
         .study = score_cam,
         .many = true,
         .walks = false},
        {.name = "ablation-cam",
         .variant = "Desai & Ramaswamy 2020: drop of the score without the channel",
         .study = ablation_cam,
         .walks = false},
        {.name = "recipro-cam",
         .variant = "Byun & Lee 2022: score of a cell's surroundings (Gaussian 3x3) less that of nothing",
         .study = recipro_cam,
         .walks = false},
        {.name = "guided-grad-cam",
         .variant = "Selvaraju 2017: guided backpropagation times enlarged relu(Grad-CAM), sum of the colours",
         .study = guided_grad_cam,
         .of_input = true},
        {.name = "saliency",
         .variant = "Simonyan 2013: largest magnitude of the gradient over the colours",
         .study = saliency,
         .of_input = true,
         .by_layer = false},
        {.name = "gradient-x-input",
         .variant = "Shrikumar 2016: gradient times input, sum of the colours",
         .study = gradient_x_input,
         .of_input = true,
         .by_layer = false},
        {.name = "guided-backprop",
         .variant = "Springenberg 2014: sum of the colours",
         .study = guided_backpropagation,
         .of_input = true,
         .by_layer = false},
        {.name = "deconvnet",
         .variant = "Zeiler & Fergus 2014: sum of the colours",
         .study = deconvnet,
         .of_input = true,
         .by_layer = false},
        {.name = "smoothgrad",
         .variant = "Smilkov 2017: saliency of the mean gradient of noisy images, deviation 0.15 of the range",
         .study = smooth_grad,
         .of_input = true,
         .by_layer = false,
         .many = true},
        {.name = "integrated-gradients",
         .variant = "Sundararajan 2017: from zeros, Gauss-Legendre, sum of the colours",
         .study = integrated_gradients,
         .of_input = true,
         .by_layer = false,
         .many = true},
        {.name = "fullgrad",
         .variant = "Srinivas & Fleuret 2019: input and all biases, magnitudes from 0 to 1",
         .study = full_grad,
         .of_input = true,
         .by_layer = false},
        {.name = "occlusion",
         .variant = "Zeiler & Fergus 2014: mean drop under windows of a seventh of the side, filled with 0",
         .study = occlusion,
         .of_input = true,
         .by_layer = false,
         .many = true,
         .walks = false},
        {.name = "rise",
         .variant = "Petsiuk 2018: mean score of the masks that show a pixel, less the mean of all",
         .study = rise,
         .of_input = true,
         .by_layer = false,
         .many = true,
         .walks = false},
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
