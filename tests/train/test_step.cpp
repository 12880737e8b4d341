// One step of training: losses, gradients of all trainable layers by finite differences, optimisers, schedules.
#include <map>
#include <optional>
#include <set>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tests/support.h"
#include "train/initialise.h"
#include "train/loss.h"
#include "train/schedule.h"
#include "train/step.h"

using namespace limn;

namespace {

// input -> layers one after another -> Flatten -> Dense(units)
Model chain(const Shape& input, const std::vector<Config>& layers, double units = 1, const char* activation = "sigmoid") {
    Model model;
    model.name = "chain";
    int x = model.add_input("x", input);
    for (const Config& config : layers) x = model.add(config.name, make_layer(config), {x});
    x = model.add("flatten", make_layer({"Flatten", "flatten", {}}), {x});
    x = model.add("dense", make_layer({"Dense", "dense", {{"units", units}, {"activation", activation}}}), {x});
    model.outputs = {x};
    return model;
}

// By finite differences along a random direction of each weight: the relative disagreement with compute_gradients.
double worst_gradient_error(Model& model, const Tensor& x, const Tensor& targets) {
    std::uint64_t seed = 100;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights)
            w.value = random_tensor(w.shape, seed++, w.name == "gamma" || w.name == "moving_variance" ? 0.5 : -1, 1.5, DType::f64);
    const Head head = find_head(model);
    const auto loss = [&] { return compute_gradients(reference_backend(), model, head, x, targets, 7).loss; };
    const std::vector<Tensor> gradients = compute_gradients(reference_backend(), model, head, x, targets, 7).gradients;
    const std::vector<Weight*> weights = trainable_weights(model);
    double worst = 0;
    for (std::size_t i = 0; i < weights.size(); i++) {
        const Tensor start = weights[i]->value, direction = random_tensor(start.shape(), 200 + i, -1, 1, DType::f64);
        const auto moved = [&](double step) {
            Tensor t = start.clone();
            for (Index j = 0; j < t.size(); j++) t.data<double>()[j] += step * direction.data<double>()[j];
            weights[i]->value = t;
            const double value = loss();
            weights[i]->value = start;
            return value;
        };
        const double measured = (moved(1e-5) - moved(-1e-5)) / 2e-5, computed = dot(gradients[i], direction);
        CAPTURE(weights[i]->name);
        worst = std::max(worst, std::abs(measured - computed) / std::max({std::abs(measured), std::abs(computed), 1e-4}));
    }
    return worst;
}

}  // namespace

TEST_CASE("gradients of the weights of every trainable layer: finite differences, in training mode") {
    const Config conv{"Conv2D", "conv", {{"filters", 4.0}, {"kernel_size", 3.0}, {"activation", "relu"}}};
    const std::pair<const char*, std::vector<Config>> cases[] = {
        {"Conv2D", {conv}},
        {"grouped, strided Conv2D",
         {{"Conv2D", "c", {{"filters", 6.0}, {"kernel_size", 3.0}, {"groups", 2.0}, {"strides", 2.0}, {"padding", "same"}}}}},
        {"dilated Conv2D", {{"Conv2D", "c", {{"filters", 3.0}, {"kernel_size", 3.0}, {"dilation_rate", 2.0}}}}},
        {"DepthwiseConv2D", {{"DepthwiseConv2D", "c", {{"kernel_size", 3.0}, {"depth_multiplier", 2.0}}}}},
        {"SeparableConv2D", {{"SeparableConv2D", "c", {{"filters", 3.0}, {"kernel_size", 3.0}}}}},
        {"Conv2DTranspose", {{"Conv2DTranspose", "c", {{"filters", 3.0}, {"kernel_size", 3.0}, {"strides", 2.0}, {"activation", "relu"}}}}},
        {"BatchNormalization", {conv, {"BatchNormalization", "bn", {}}, {"Activation", "a", {{"activation", "relu"}}}}},
        {"BatchNormalization without gamma and beta", {conv, {"BatchNormalization", "bn", {{"scale", false}, {"center", false}}}}},
        {"frozen BatchNormalization", {conv, {"BatchNormalization", "bn", {{"trainable", false}}}}},
        {"LayerNormalization", {conv, {"LayerNormalization", "ln", {}}}},
        {"PReLU", {{"PReLU", "p", {{"shared_axes", List{1.0, 2.0}}}}}},
        {"Dropout with its mask held", {conv, {"Dropout", "d", {{"rate", 0.4}}}}},
        {"SpatialDropout2D", {conv, {"SpatialDropout2D", "d", {{"rate", 0.4}}}}},
        {"pools", {conv, {"MaxPooling2D", "m", {{"pool_size", 2.0}}}, {"AveragePooling2D", "v", {{"pool_size", 2.0}}}}},
    };
    const Tensor x = random_tensor({3, 7, 8, 4}, 1, -1, 1, DType::f64);
    for (const auto& [what, layers] : cases) {
        CAPTURE_PART(what);
        Model binary = chain({-1, 7, 8, 4}, layers);
        CHECK(worst_gradient_error(binary, x, random_tensor({3, 1}, 2, 0, 1, DType::f64)) <= 2e-6);
        Model softmax = chain({-1, 7, 8, 4}, layers, 3, "softmax");
        CHECK(worst_gradient_error(softmax, x, random_tensor({3, 3}, 3, 0, 1, DType::f64)) <= 2e-6);
    }
}

TEST_CASE("losses: exact values, and none overflows") {
    Tape tape(reference_backend());
    const auto binary = [&](float z, float t) {
        return binary_cross_entropy(tape, Tensor::full({1, 1}, z), Tensor::full({1, 1}, t)).value.at_flat(0);
    };
    CHECK(binary(0, 1) == doctest::Approx(std::log(2)));
    CHECK(binary(2, 0) == doctest::Approx(2 + std::log1p(std::exp(-2))));
    CHECK(binary(2, 0.25) == doctest::Approx(0.25 * std::log1p(std::exp(-2)) + 0.75 * (2 + std::log1p(std::exp(-2)))));
    CHECK(binary(1000, 1) == 0);
    CHECK(binary(-1000, 1) == 1000);
    const float z[] = {1, 2, 3}, far[] = {-1000, 0, 1000}, t[] = {0, 1, 0};
    const double total = std::log(std::exp(1) + std::exp(2) + std::exp(3));
    CHECK(categorical_cross_entropy(tape, Tensor::from({1, 3}, z), Tensor::from({1, 3}, t)).value.at_flat(0) == doctest::Approx(total - 2));
    CHECK(categorical_cross_entropy(tape, Tensor::from({1, 3}, far), Tensor::from({1, 3}, t)).value.at_flat(0) == 1000);
}

TEST_CASE("targets: labels, smoothed as Keras does") {
    const Head binary{Head::Kind::sigmoid, 1, 0, 1}, three{Head::Kind::softmax, 1, 0, 3};
    CHECK(targets_of(binary, {0, 1}, 0.1).at_flat(0) == doctest::Approx(0.05));
    CHECK(targets_of(binary, {0, 1}, 0.1).at_flat(1) == doctest::Approx(0.95));
    CHECK(targets_of(three, {2}, 0.3).at_flat(0) == doctest::Approx(0.1));
    CHECK(targets_of(three, {2}, 0.3).at_flat(2) == doctest::Approx(0.8));
    const float z[] = {-0.1f, 0};
    CHECK(count_correct(binary, Tensor::from({2, 1}, z), {0, 1}) == 2);
}

TEST_CASE("a frozen layer keeps its weights and averages; a batch normalisation in training moves them") {
    Model model = chain({-1, 6, 6, 3}, {{"Conv2D", "frozen", {{"filters", 4.0}, {"kernel_size", 3.0}, {"trainable", false}}},
                                        {"BatchNormalization", "still", {{"trainable", false}}},
                                        {"Conv2D", "free", {{"filters", 4.0}, {"kernel_size", 3.0}}},
                                        {"BatchNormalization", "moving", {{"momentum", 0.9}}}});
    initialise_for_training(model, 1);
    std::map<std::string, Tensor> before;
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) before[layer->name + "/" + w.name] = w.value;
    Optimizer optimizer({.name = "sgd"});
    const Tensor x = random_tensor({4, 6, 6, 3}, 1), t = Tensor::full({4, 1}, 1);
    train_step(cpu_backend(), model, find_head(model), optimizer, 0.1, x, t, 1);
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) {
            CAPTURE(layer->name);
            CAPTURE(w.name);
            const bool frozen = layer->name == "frozen" || layer->name == "still";
            if (layer->name == "free" && w.name == "bias") continue;  // it has no effect before a batch normalisation
            CHECK(same_bits(w.value, before[layer->name + "/" + w.name]) == frozen);
        }
}

TEST_CASE("in use, dropout and batch normalisation do what the file says: a tape without a training step") {
    const LayerPtr dropout = make_layer({"Dropout", "d", {{"rate", 0.9}}}),
                   norm = make_layer({"BatchNormalization", "n", {{"epsilon", 0.25}}});
    const Tensor x = random_tensor({2, 4, 4, 2}, 1);
    dropout->build({x.shape()}), norm->build({x.shape()});
    Tape tape(cpu_backend());
    CHECK(same_bits(dropout->forward(tape, {x}).value, x));
    const float gamma[] = {2, 3}, beta[] = {0, 1}, mean[] = {0.5f, -0.5f}, variance[] = {0.75f, 2};  // + epsilon: 1, 2.25
    norm->weights[0].value = Tensor::from({2}, gamma), norm->weights[1].value = Tensor::from({2}, beta);
    norm->weights[2].value = Tensor::from({2}, mean), norm->weights[3].value = Tensor::from({2}, variance);
    const Tensor y = norm->forward(tape, {x}).value;
    for (Index i = 0; i < x.size(); i++)
        CHECK(y.at_flat(i) == doctest::Approx(i % 2 ? (x.at_flat(i) + 0.5) / 1.5 * 3 + 1 : (x.at_flat(i) - 0.5) * 2).epsilon(1e-6));
}

TEST_CASE("spatial dropout takes whole channels, stochastic depth whole images") {
    const auto taken = [](const char* kind, const Shape& shape, const Value& noise_shape = {}, const std::set<int>& channels_first = {}) {
        const LayerPtr layer = make_layer({kind, "d", {{"rate", 0.5}, {"noise_shape", noise_shape}}, channels_first});
        layer->build({shape});
        Tape tape(cpu_backend());
        TrainingStep training{1, {}};
        tape.training = &training;
        return layer->forward(tape, {Tensor::full(shape, 1)}).value;
    };
    const auto check_groups = [](const Tensor& y, auto group_of) {  // all of a group is 0, or all of it 1 / (1 - rate)
        std::map<Index, double> seen;
        for (Index i = 0; i < y.size(); i++) CHECK(seen.try_emplace(group_of(i), y.at_flat(i)).first->second == y.at_flat(i));
        std::set<double> values;
        for (const auto& [group, value] : seen) values.insert(value);
        CHECK(values == std::set<double>{0, 2});
    };
    check_groups(taken("SpatialDropout1D", {4, 5, 8}), [](Index i) { return i / 40 * 8 + i % 8; });
    check_groups(taken("SpatialDropout2D", {4, 5, 6, 8}), [](Index i) { return i / 240 * 8 + i % 8; });
    check_groups(taken("SpatialDropout3D", {4, 2, 3, 5, 8}), [](Index i) { return i / 240 * 8 + i % 8; });
    check_groups(taken("StochasticDepth", {16, 3, 3, 2}), [](Index i) { return i / 18; });
    // noise_shape (None, 1, 1, 1), as EfficientNet has it; and of a file with channels first, along its own axes
    check_groups(taken("Dropout", {16, 3, 3, 2}, List{Value(), 1.0, 1.0, 1.0}), [](Index i) { return i / 18; });
    check_groups(taken("Dropout", {4, 5, 6, 8}, List{Value(), Value(), 1.0, 1.0}, {4}), [](Index i) { return i / 240 * 8 + i % 8; });
}

TEST_CASE("attention forgets in training what it looks at, and nothing else; in use it forgets nothing") {
    for (const char* kind : {"MultiHeadAttention", "Attention"}) {
        CAPTURE(std::string(kind));
        const Tensor x = random_tensor({2, 7, 4}, 1);
        const auto attended = [&](double rate, std::optional<std::uint64_t> seed, bool frozen = false) {
            const LayerPtr layer = make_layer({kind, "a", {{"num_heads", 2.0}, {"key_dim", 3.0}, {"dropout", rate}}});
            layer->build({x.shape(), x.shape()});
            for (std::size_t i = 0; i < layer->weights.size(); i++)
                layer->weights[i].value = random_tensor(layer->weights[i].shape, 10 + i);
            layer->trainable = !frozen;
            CHECK(layer->random_in_training() == (rate > 0));
            Tape tape(cpu_backend());
            TrainingStep training{seed.value_or(0), {}};
            if (seed) tape.training = &training;
            return layer->forward(tape, {x, x}).value;
        };
        const Tensor plain = attended(0, {});
        CHECK(same_bits(attended(0.5, {}), plain));
        CHECK(same_bits(attended(0, 1), plain));
        CHECK(same_bits(attended(0.5, 1, true), plain));
        CHECK(relative_error(attended(0.5, 1), plain) > 0.01);
        CHECK(same_bits(attended(0.5, 1), attended(0.5, 1)));
        CHECK_FALSE(same_bits(attended(0.5, 1), attended(0.5, 2)));
        Tensor mean = plain.zeros_like(plain.shape());  // over many draws nothing is gained or lost
        for (std::uint64_t seed = 1; seed <= 400; seed++) {
            const Tensor one = attended(0.5, seed);
            for (Index i = 0; i < mean.size(); i++) mean.data()[i] += one.data()[i] / 400;
        }
        CHECK(relative_error(mean, plain) < 0.15);
    }
}

TEST_CASE("weight decay is of kernels and embeddings, whatever the number of their axes") {
    const auto decayed = [](const std::string& name, const Shape& shape) {
        Weight w{name, shape, Tensor::full(shape, 1)};
        Optimizer optimizer({.name = "sgd", .weight_decay = 0.5});
        optimizer.step(cpu_backend(), 0.1, {&w}, {Tensor::zeros(shape)});
        return w.value.at_flat(0) == doctest::Approx(0.95);
    };
    for (const char* name : {"kernel", "depthwise_kernel", "recurrent_kernel", "query/kernel"}) CHECK(decayed(name, {3, 4}));
    CHECK(decayed("embeddings", {5, 2}));
    CHECK_FALSE(decayed("bias", {4}));
    CHECK_FALSE(decayed("query/bias", {2, 3}));  // of two heads
    CHECK_FALSE(decayed("bias", {2, 12}));       // a GRU's two
    CHECK_FALSE(decayed("alpha", {1, 1, 4}));    // of a PReLU
    CHECK_FALSE(decayed("gamma", {4}));
}

TEST_CASE("noise and random changes of photos are the identity") {
    const Tensor x = random_tensor({2, 4, 4, 3}, 1);
    for (const char* kind : {"Identity", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization", "RandomFlip",
                             "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"}) {
        CAPTURE(std::string(kind));
        const LayerPtr layer = make_layer({kind, "noise", {{"rate", 0.5}}});
        layer->build({x.shape()});
        Tape tape(cpu_backend());
        TrainingStep training{1, {}};
        CHECK(same_bits(layer->forward(tape, {x}).value, x));
        tape.training = &training;
        CHECK(same_bits(layer->forward(tape, {x}).value, x));
    }
}

TEST_CASE("dropout keeps the mean, forgets the share it is told, and repeats for the same seed only") {
    const LayerPtr layer = make_layer({"Dropout", "d", {{"rate", 0.25}}});
    layer->build({{-1, 10000}});
    const auto drop = [&](std::uint64_t seed) {
        Tape tape(cpu_backend());
        TrainingStep training{seed, {}};
        tape.training = &training;
        return layer->forward(tape, {Tensor::full({1, 10000}, 3)}).value;
    };
    const Tensor y = drop(1);
    const auto zeros = std::count(y.values().begin(), y.values().end(), 0.0f);
    CHECK(zeros == doctest::Approx(2500).epsilon(0.05));
    CHECK(std::count(y.values().begin(), y.values().end(), 4.0f) == 10000 - zeros);
    CHECK(same_bits(y, drop(1)));
    CHECK_FALSE(same_bits(y, drop(2)));
    CHECK_THROWS_WITH_AS(make_layer({"Dropout", "d", {{"rate", 1.0}}}), "layer 'd' (Dropout): a rate of 1 makes no sense: 0 to below 1",
                         Error);
}

TEST_CASE("a step leaves the old weights as they were, so that nothing prepared from them is used for the new ones") {
    Model model = chain({-1, 8, 8, 3}, {{"Conv2D", "c", {{"filters", 8.0}, {"kernel_size", 3.0}}}});
    initialise_for_training(model, 1);
    const Head head = find_head(model);
    const Tensor x = random_tensor({4, 8, 8, 3}, 1), t = Tensor::full({4, 1}, 1);
    Optimizer optimizer({.name = "sgd"});
    for (int i = 0; i < 3; i++) {
        train_step(cpu_backend(), model, head, optimizer, 0.05, x, t, 1);
        Tape fast(cpu_backend()), truth(reference_backend());
        const int keep[] = {head.logits};
        CHECK(relative_error(model.forward(fast, {x}, {}, keep)[std::size_t(head.logits)].value,
                             model.forward(truth, {x}, {}, keep)[std::size_t(head.logits)].value) <= 1e-5);
    }
}

TEST_CASE("schedules: warm-up from zero, half a cosine to zero, steps") {
    const Schedule cosine{.name = "cosine", .learning_rate = 1, .warmup = 2};
    CHECK(cosine.at(0, 10) == 0);
    CHECK(cosine.at(1, 10) == 0.5);
    CHECK(cosine.at(2, 10) == 1);
    CHECK(cosine.at(6, 10) == doctest::Approx(0.5));
    CHECK(cosine.at(10, 10) == doctest::Approx(0));
    const Schedule step{.name = "step", .learning_rate = 1, .step_epochs = 3, .step_factor = 0.5};
    CHECK(step.at(2.9, 10) == 1);
    CHECK(step.at(3, 10) == 0.5);
    CHECK(step.at(6, 10) == 0.25);
    CHECK_THROWS_AS(Schedule{.name = "linear"}.check(), Error);
    CHECK_THROWS_AS(Schedule{.learning_rate = NAN}.check(), Error);
    CHECK_THROWS_AS(Optimizer({.name = "lion"}), Error);
}

TEST_CASE("initial weights: the same for the same seed, kernels of the size He and Glorot ask for") {
    const auto build = [](std::uint64_t seed) {
        Model model = chain({-1, 8, 8, 16}, {{"Conv2D", "c", {{"filters", 32.0}, {"kernel_size", 3.0}}}, {"BatchNormalization", "bn", {}}},
                            20, "softmax");
        initialise_for_training(model, seed);
        return model;
    };
    Model a = build(1), b = build(1), c = build(2);
    const Tensor& kernel = a.weighted_layers()[0]->weight("kernel");
    CHECK(same_bits(kernel, b.weighted_layers()[0]->weight("kernel")));
    CHECK_FALSE(same_bits(kernel, c.weighted_layers()[0]->weight("kernel")));
    CHECK(std::sqrt(dot(kernel, kernel) / double(kernel.size())) == doctest::Approx(std::sqrt(2.0 / (9 * 16))).epsilon(0.05));
    const Tensor& dense = a.weighted_layers()[2]->weight("kernel");
    const double limit = std::sqrt(6.0 / double(dense.shape()[0] + 20));
    CHECK(*std::max_element(dense.values().begin(), dense.values().end()) <= limit);
    CHECK(*std::max_element(dense.values().begin(), dense.values().end()) >= 0.98 * limit);
    CHECK(a.weighted_layers()[1]->weight("gamma").at_flat(3) == 1);
    CHECK(a.weighted_layers()[1]->weight("moving_variance").at_flat(3) == 1);
    CHECK(a.weighted_layers()[0]->weight("bias").at_flat(3) == 0);
}
