// Recurrent layers, masks and wrappers as real Keras computes them (tests/goldens/recurrent.h5, made by
// tests/keras/recurrent_goldens.py): outputs, gradients of the inputs and of the weights.
#include <cmath>

#include "autograd/ops.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"
#include "weights/keras_legacy.h"

using namespace limn;

namespace {

constexpr double tolerance = 2e-5;  // of each array's largest magnitude

Model model_of(const Hdf5File& file, const std::string& name, const std::string& weights) {
    Model model = model_from_config(file.text("/" + name, "model_config"), file.text("/" + name, "keras_version"));
    std::vector<std::string> notes;
    load_legacy_weights(file, "/" + name + "/" + weights, 3, model, notes);
    return model;
}

// The sum over all outputs of output * cos(element's number), image by image.
Var score_of(Tape& tape, const Model& model, const std::vector<Var>& values) {
    Var score;
    for (int node : model.outputs) {
        const Var& output = values[std::size_t(node)];
        Tensor seed(output.shape());
        for (Index i = 0; i < seed.size(); i++) seed.data()[i] = float(std::cos(double(i)));
        std::vector<int> axes;
        for (int axis = 1; axis < seed.shape().rank(); axis++) axes.push_back(axis);
        const Var total = sum(tape, multiply(tape, output, seed.on(tape.backend().device())), axes);
        const Var of_output = reshape(tape, total, {output.shape()[0]});
        score = score.value.empty() ? of_output : add(tape, score, of_output);
    }
    return score;
}

}  // namespace

TEST_CASE("recurrent layers, masks and wrappers compute what Keras computes") {
    const Hdf5File file(LIMN_PLACE(LIMN_GOLDENS_DIR) + "/recurrent.h5");
    const std::vector<std::string> cases = file.children("/");
    REQUIRE(cases.size() == 11);
    for (const std::string& name : cases) {
        CAPTURE(name);
        const auto array = [&](const std::string& of, std::size_t i) { return fmt::format("/{}/{}/{}", name, of, i); };
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            Model model = model_of(file, name, "weights");
            model.move_to(backend->device());
            std::vector<Tensor> inputs;
            for (std::size_t i = 0; i < model.inputs.size(); i++) inputs.push_back(file.read(array("input", i)));

            Tape tape(*backend);
            const std::vector<Layer*> layers = model.weighted_layers();
            for (const Layer* layer : layers)
                for (const Weight& w : layer->weights) tape.watch_parameter(w.value);
            const std::vector<Var> values = model.forward(tape, inputs, model.inputs);
            for (std::size_t i = 0; i < model.outputs.size(); i++) {
                CAPTURE(model.node(model.outputs[i]).name);
                CHECK(relative_error(values[std::size_t(model.outputs[i])].value, file.read(array("output", i))) <= tolerance);
            }

            std::vector<Var> wanted;
            for (int node : model.inputs) wanted.push_back(values[std::size_t(node)]);
            for (const Layer* layer : layers)
                for (const Weight& w : layer->weights) wanted.push_back(tape.parameter(w.value));
            const Var score = score_of(tape, model, values);
            const std::vector<Tensor> gradients = tape.gradients(score, Tensor::full(score.shape(), 1), wanted);
            for (std::size_t i = 0; i < inputs.size(); i++) {
                CAPTURE(i);
                if (file.has(array("input_gradient", i)))  // words have none
                    CHECK(relative_error(gradients[i], file.read(array("input_gradient", i))) <= tolerance);
            }
            if (!file.has("/" + name + "/gradient")) continue;
            std::size_t next = inputs.size();
            const Model expected = model_of(file, name, "gradient");
            for (const Layer* layer : expected.weighted_layers())
                for (const Weight& w : layer->weights) {
                    CAPTURE(layer->name);
                    CAPTURE(w.name);
                    const Tensor& gradient = gradients[next++];
                    if (w.trainable && layer->trainable) CHECK(relative_error(gradient.reshaped(w.shape), w.value) <= tolerance);
                }
        }
    }
}

TEST_CASE("several targets in one walk backward through time") {
    const Hdf5File file(LIMN_PLACE(LIMN_GOLDENS_DIR) + "/recurrent.h5");
    for (const std::string name : {"cells", "masked_floats", "wrapped"}) {
        CAPTURE(name);
        const Model model = model_of(file, name, "weights");
        std::vector<Tensor> inputs;
        for (std::size_t i = 0; i < model.inputs.size(); i++) inputs.push_back(file.read(fmt::format("/{}/input/{}", name, i)));
        Tape tape(reference_backend());
        const std::vector<Var> values = model.forward(tape, inputs, model.inputs);
        const Var score = score_of(tape, model, values);
        const std::vector<Var> wanted{values[std::size_t(model.inputs[0])]};
        const auto walk = [&](std::vector<float> seed) {
            return tape.gradients(score, Tensor::from({Index(seed.size())}, seed), wanted)[0];
        };
        const Tensor both = walk({1, 2, 3, -1, 0, 5});
        CHECK(same_bits(both.rows(0, 3), walk({1, 2, 3})));
        CHECK(same_bits(both.rows(3, 3), walk({-1, 0, 5})));
    }
}
