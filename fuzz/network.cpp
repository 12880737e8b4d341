// A model_config whose network then runs, if it is small: sizes and settings that pass the reader must not harm the kernels.
#include <algorithm>

#include "engine/cpu/backend.h"
#include "engine/threads.h"
#include "fuzz/target.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

constexpr Index small = 1 << 16;         // numbers in an array
constexpr double little_work = 1 << 24;  // multiply-adds

Index count(const Shape& shape) { return shape.with(0, 1).size(); }  // of one image

bool is_small(const Model& model) {
    if (model.parameters() > small) return false;
    double work = 0;
    for (const Node& node : model.nodes()) {
        const auto sizes = std::span(node.shape.begin(), node.shape.end());
        if (std::any_of(sizes.begin() + 1, sizes.end(), [](Index s) { return s < 0 || s > small; }) || count(node.shape) > small)
            return false;
        for (const Weight& w : node.layer->weights) work += double(count(node.shape)) * double(w.shape.size());
    }
    return work <= little_work;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    set_thread_count(1);
    const std::string text(text_of(data, size));
    try_to([&] {
        Model model = model_from_config(text, size % 2 ? "3.0.0" : "2.4.0");
        for (int i : model.inputs)
            if (model.inputs.size() == 1 && model.node(i).shape.rank() == 4 && model.node(i).shape[1] < 0)
                model = model.with_input_size(9, 7);
        if (!is_small(model)) return;
        for (Layer* layer : model.weighted_layers())
            for (Weight& w : layer->weights) w.value = Tensor::full(w.shape, 0.01);
        std::vector<Tensor> images;
        for (int i : model.inputs) images.push_back(Tensor::full(model.node(i).shape.with(0, 1), 0.5));
        Tape tape(cpu_backend());
        const std::vector<Var> values = model.forward(tape, images, model.inputs);
        const Var& output = values[std::size_t(model.outputs.at(0))];
        const Var wanted[] = {values[std::size_t(model.inputs[0])]};
        tape.gradients(output, Tensor::full(output.shape(), 1), wanted);
    });
    return 0;
}
