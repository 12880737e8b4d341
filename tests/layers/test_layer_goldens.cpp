// Single layers and calls by real Keras (tests/goldens/layers.h5, made by tests/keras/layer_goldens.py): the same outputs, and the same
// gradients with respect to the inputs.
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"
#include "weights/keras_legacy.h"

using namespace limn;

TEST_CASE("layers and functions give Keras's outputs and gradients") {
    const Hdf5File file(LIMN_PLACE(LIMN_GOLDENS_DIR) + "/layers.h5");
    const std::vector<std::string> cases = file.children("/");
    REQUIRE(cases.size() == 167);
    for (const std::string& name : cases) {
        CAPTURE(name);
        const std::string group = "/" + name, place = group + "/";
        Model model;
        std::vector<std::string> notes;
        const std::string problem = complaint([&] {
            const std::string version = file.text(group, "keras_version");
            model = model_from_config(file.text(group, "model_config"), version);
            load_legacy_weights(file, group, keras_major(version), model, notes);
        });
        CHECK_MESSAGE(problem.empty(), problem);
        CHECK_MESSAGE(notes.empty(), notes[0]);  // each weight is found by its name
        if (!problem.empty()) continue;

        std::vector<Tensor> inputs;
        for (std::size_t i = 0; i < model.inputs.size(); i++) inputs.push_back(file.read(place + "x" + std::to_string(i)));
        const Tensor numbers = file.read(place + "y_dx");  // the output, then the gradients
        for (const Backend* backend : network_backends()) {
            CAPTURE(backend->name());
            model.move_to(backend->device());
            Tape tape(*backend);
            const std::vector<Var> values = model.forward(tape, inputs, model.inputs);
            const Var& y = values[std::size_t(model.outputs[0])];
            auto expected = [&, at = Index(0)](const Shape& shape) mutable {
                const Tensor part = numbers.rows(at, shape.size()).reshaped(shape);
                at += shape.size();
                return part;
            };
            Index size = y.value.size();
            for (const Tensor& x : inputs) size += x.size();
            REQUIRE(size == numbers.size());
            CHECK(relative_error(y.value, expected(y.shape())) <= 2e-5);

            Tensor noise(y.shape());
            for (Index i = 0; i < noise.size(); i++) noise.data()[i] = float(std::cos(0.7 * double(i + 1)));
            std::vector<Var> wanted;
            for (int node : model.inputs) wanted.push_back(values[std::size_t(node)]);
            const std::vector<Tensor> gradients = tape.gradients(y, noise, wanted);
            for (std::size_t i = 0; i < inputs.size(); i++) {
                CAPTURE(i);
                const Tensor found = gradients[i].host();
                Tensor slopes = expected(found.shape()).clone();
                if (name == "max_pooling3d") {
                    // One window's maximum stands in it twice. Of a 3-D pool TensorFlow gives both the whole slope, so that the sum of the
                    // gradient grows; limn, as both do in two dimensions, the first alone.
                    const Index second = 101;
                    REQUIRE(std::ranges::count(inputs[i].values(), inputs[i].values()[second]) == 2);
                    CHECK(found.data()[second] != doctest::Approx(slopes.data()[second]));
                    slopes.data()[second] = found.data()[second];
                }
                CHECK(relative_error(found, slopes) <= 2e-5);
            }
        }
    }
}
