// Three steps of training by real Keras (tests/goldens/training.h5, made by tests/keras/training_goldens.py), repeated by
// limn: the losses, the first gradients, and every weight and moving average after each step.
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "train/checkpoint.h"
#include "train/loss.h"
#include "train/step.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

struct Golden {
    const Hdf5File& file;
    std::string group;

    double number(const char* name) const { return file.numbers("/" + group, name).value().at(0); }
    std::string text(const char* name) const { return file.text("/" + group, name); }
    Tensor array(const std::string& name) const { return file.read("/" + group + "/" + name); }
    Tensor weight(const std::string& when, const Layer& layer, const Weight& w) const {
        const std::string place = when + "/" + layer.name + "/";  // Keras 3 calls a depthwise kernel just kernel
        return array(place + (file.has("/" + group + "/" + place + w.name) ? w.name : "kernel")).reshaped(w.shape);
    }
};

// The largest disagreement of all weights with those stored, relative to each array's largest value.
double worst_weight(const Model& model, const Golden& golden, const std::string& when, std::string& where) {
    double worst = 0;
    for (Layer* layer : model.weighted_layers())
        for (const Weight& w : layer->weights) {
            const double error = relative_error(w.value, golden.weight(when, *layer, w));
            if (error > worst) worst = error, where = layer->name + "/" + w.name;
        }
    return worst;
}

}  // namespace

TEST_CASE("three training steps give Keras's losses, gradients, weights and moving averages") {
    const std::filesystem::path path = LIMN_PLACE(LIMN_GOLDENS_DIR) + "/training.h5";
    const Hdf5File file(path);
    const std::vector<std::string> cases = file.children("/");
    REQUIRE(cases.size() == 14);
    for (const Backend* backend : network_backends())
        for (const std::string& name : cases) {
            CAPTURE(backend->name());
            CAPTURE(name);
            const Golden golden{file, name};
            Model model = model_from_config(golden.text("model_config"), golden.text("keras_version"));
            for (Layer* layer : model.weighted_layers())
                for (Weight& w : layer->weights) w.value = golden.weight("initial", *layer, w).clone();
            model.move_to(backend->device());
            const Head head = find_head(model);
            CHECK(is_binary(head) == (golden.text("loss") == "binary_crossentropy"));
            Optimizer optimizer({.name = golden.text("optimizer"),
                                 .momentum = golden.number("momentum"),
                                 .nesterov = golden.number("nesterov") != 0,
                                 .beta_1 = golden.number("beta_1"),
                                 .beta_2 = golden.number("beta_2"),
                                 .epsilon = golden.number("epsilon"),
                                 .weight_decay = golden.number("weight_decay"),
                                 .decay_vectors = true});
            const Tensor losses = golden.array("loss");
            const double smoothing = golden.number("label_smoothing");
            for (int step = 0; step < 3; step++) {
                CAPTURE(step);
                Tensor targets = golden.array("y" + std::to_string(step)).clone();
                for (float& t : targets.values())
                    t = float(double(t) * (1 - smoothing) + smoothing / (is_binary(head) ? 2.0 : double(head.classes)));
                const StepResult result = train_step(*backend, model, head, optimizer, golden.number("learning_rate"),
                                                     golden.array("x" + std::to_string(step)), targets, 1);
                CHECK(result.loss == doctest::Approx(double(losses.data()[step])).epsilon(2e-5));
                if (step == 0) {
                    std::size_t i = 0;
                    for (Layer* layer : model.weighted_layers())
                        for (const Weight& w : layer->weights) {
                            if (!layer->trainable || !w.trainable) continue;
                            CAPTURE(layer->name);
                            CAPTURE(w.name);
                            CHECK(relative_error(result.gradients[i++], golden.weight("gradient1", *layer, w)) <= 2e-5);
                        }
                    CHECK(i == result.gradients.size());
                }
                std::string where;
                const double worst = worst_weight(model, golden, "step" + std::to_string(step + 1), where);
                CAPTURE(where);
                CHECK(worst <= 2e-5);
            }
        }
}
