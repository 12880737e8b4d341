// A network that takes more than the photo: its other inputs are held, and it is explained as any other.
#include "cam/explain.h"
#include "tests/cam/networks.h"
#include "weights/hdf5_file.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

// conv -> GAP -> times the second input (of 4 numbers, read as they are) -> dense
Network gated(bool photo_first = true) {
    Network net({1, 6, 5, 2});
    if (!photo_first) {
        net.model = {};
        net.model.add_input("gate", {-1, 4});
        net.model.add_input("image", {-1, 6, 5, 2});
        net.model.outputs = {1};
    } else {
        net.model.add_input("gate", {-1, 4});
    }
    net.add("Conv2D", "conv", same_conv(4, 3, "relu"), {}, {"image"}).add("GlobalAveragePooling2D", "gap");
    net.add("Multiply", "both", {}, {}, {"gap", "gate"});
    return net.add("Dense", "scores", {{"units", 3.0}, {"activation", std::string("softmax")}});
}

const Tensor gate = tensor({1, 4}, {0.5, -2, 0, 3});

// The same function of the photo alone: each row of the dense kernel times the gate's number.
Network folded() {
    Network with = gated(), net({1, 6, 5, 2});
    const auto weights = [&](const std::string& layer) {
        std::vector<Tensor> values;
        for (const Weight& w : with.model.node(with[layer]).layer->weights) values.push_back(w.value.clone());
        return values;
    };
    std::vector<Tensor> dense = weights("scores:linear");
    for (Index i = 0; i < 12; i++) dense[0].data()[i] *= gate.data()[i / 3];
    net.add("Conv2D", "conv", same_conv(4, 3, "relu"), weights("conv")).add("GlobalAveragePooling2D", "gap");
    return net.add("Dense", "scores", {{"units", 3.0}, {"activation", std::string("softmax")}}, dense);
}

int input_named(const Model& model, const std::string& name) { return model.find(name); }

}  // namespace

TEST_CASE("an input that is held: the outputs are those of both inputs, for each image of a batch, in whatever order they stand") {
    for (const bool photo_first : {true, false}) {
        const Network net = gated(photo_first);
        const Tensor images = random_tensor({3, 6, 5, 2}, 5);
        const Model held = net.model.holding(cpu_backend(), {{input_named(net.model, "gate"), gate}});
        CHECK(held.inputs.size() == 1);
        CHECK(held.node(held.inputs[0]).name == "image");
        for (const Backend* backend : network_backends()) {
            Model there = held;
            there.move_to(backend->device());
            Tape tape(*backend);
            const Tensor found = there.forward(tape, {images})[std::size_t(there.outputs[0])].value.host();
            there.move_to(nullptr);
            Tensor gates({3, 4});
            for (Index n = 0; n < 3; n++) gates.rows(n, 1).assign(gate);
            Tape other(cpu_backend());
            const std::vector<Tensor> both = photo_first ? std::vector<Tensor>{images, gates} : std::vector<Tensor>{gates, images};
            const Tensor expected = net.model.forward(other, both)[std::size_t(net.last())].value;
            CHECK(relative_error(found, expected) <= 1e-6);
        }
    }
}

TEST_CASE("every method explains it as the network that has the held numbers in its weights") {
    Network with = gated(), alone = folded();
    const Model held = with.model.holding(cpu_backend(), {{input_named(with.model, "gate"), gate}});
    const Tensor image = random_tensor({2, 6, 5, 2}, 5, 0, 1);
    for (const Method& method : methods()) {
        if (method.name == "cam") continue;  // its head is one linear layer after the average
        CAPTURE(method.name);
        Request request{.methods = {method}, .layers = {held.find("conv")}, .target = "top:2", .labels = {}};
        request.samples = 20;
        const auto found = explain(cpu_backend(), held, image, request);
        request.layers = {alone["conv"]};
        const auto expected = explain(cpu_backend(), alone.model, image, request);
        for (std::size_t n = 0; n < 2; n++)
            for (std::size_t i = 0; i < expected[n].maps.size(); i++)
                CHECK(relative_error(found[n].maps.at(i).raw, expected[n].maps[i].raw) <= 2e-5);
    }
}

TEST_CASE("what is held must fit, and one input must stay") {
    const Network net = gated();
    const int at = input_named(net.model, "gate"), image = input_named(net.model, "image");
    CHECK_THROWS_WITH_AS(net.model.holding(cpu_backend(), {{at, Tensor::zeros({1, 3})}}),
                         "input 'gate' of model '' takes (1,4), (1,3) was given", Error);
    CHECK_THROWS_WITH_AS(net.model.holding(cpu_backend(), {{at, Tensor::zeros({2, 4})}}),
                         "input 'gate' of model '' takes (1,4), (2,4) was given", Error);
    CHECK_THROWS_WITH_AS(net.model.holding(cpu_backend(), {{at, Tensor::zeros({4})}}),
                         "input 'gate' of model '' takes (1,4), (4) was given", Error);
    CHECK_THROWS_WITH_AS(net.model.holding(cpu_backend(), {{at, gate}, {image, Tensor::zeros({1, 6, 5, 2})}}),
                         "model '': all its inputs are held, none is left for an image", Error);
    CHECK(net.model.holding(cpu_backend(), {}).inputs.size() == 2);
}

TEST_CASE("goldens: captions, answers and values explained by what is written as a target, the words held: Keras's maps") {
    if (!have_shared({"goldens"})) return;
    for (const auto& [name, target] : {std::pair<std::string, std::string>{"captioner", "log(4)"},
                                       {"captioner_steps", "log(output[3,2])"},
                                       {"visual_question", "1"},
                                       {"q_network", "2"}}) {
        const Hdf5File golden(shared_data("goldens/" + name + ".golden.h5"));
        const Model whole = load_model({shared_data("goldens/" + name + ".h5").string(), "", ""}).model;
        std::vector<Tensor> inputs;
        for (const std::string& i : golden.children("/input")) inputs.push_back(golden.read("/input/" + i));
        for (Index n = 0; n < inputs[0].shape()[0]; n++) {
            std::map<int, Tensor> words;
            for (std::size_t i = 1; i < inputs.size(); i++) words.emplace(whole.inputs[i], inputs[i].rows(n, 1));
            const Model held = whole.holding(cpu_backend(), words);
            for (const std::string& layer : golden.children("/layer"))
                for (const std::string& method : {std::string("grad-cam"), std::string("hirescam")}) {
                    Request request{.methods = {method_named(method)}, .layers = {held.find(layer)}, .target = target, .labels = {}};
                    const Tensor found = explain(cpu_backend(), held, inputs[0].rows(n, 1), request)[0].maps[0].raw;
                    const Tensor all = golden.read("/layer/" + layer + "/" + (method == "grad-cam" ? "gradcam" : "hirescam"));
                    CAPTURE_PART(name);
                    INFO(layer, ", ", method);
                    CHECK(relative_error(found, all.rows(n, 1).reshaped(found.shape())) <= 2e-5);
                }
        }
    }
}
