// What may be written as a target, what it means, and that a device chooses as the host does.
#include "cam/explain.h"
#include "tests/cam/networks.h"

using namespace limn;

namespace {

using Kind = Head::Kind;
Head head(Kind kind, Index classes, bool per_pixel = false) { return {kind, 1, 0, classes, per_pixel}; }
const Head three = head(Kind::softmax, 3), sigmoid = head(Kind::sigmoid, 1), pixels = head(Kind::softmax, 3, true),
           pixel_sigmoid = head(Kind::sigmoid, 1, true), steps = {Kind::softmax, 1, 0, 3, false, true};
const std::vector<std::string> names{"tabby cat", "egg-nog", "Sealyham - terrier"};
const std::vector<float> scores{1, 3, 2};

std::vector<Target> chosen(const std::string& spec, const Head& of = three, const std::vector<float>& logits = scores,
                           const std::vector<float>& outputs = scores) {
    return choose_targets(spec, of, logits, outputs, of.classes == 3 ? names : std::vector<std::string>());
}

// The weight of each class in a target.
std::vector<float> weights(const std::string& spec) { return numbers(seed_of({chosen(spec)}, {1, 3})); }

std::string refusal(const std::string& spec, const Head& of = three) {
    try {
        chosen(spec, of);
    } catch (const Error& e) {
        return e.what();
    }
    return "";
}

// conv -> GAP -> dense -> softmax
Network classifier() {
    Network net({1, 6, 5, 2});
    net.add("Conv2D", "conv", same_conv(4, 3, "relu")).add("GlobalAveragePooling2D", "gap");
    return net.add("Dense", "scores", {{"units", 3.0}, {"activation", std::string("softmax")}});
}

Request grad_cam_of(const Network& net, const std::string& target) {
    return {.methods = {method_named("grad-cam")}, .layers = {net["conv"]}, .target = target, .labels = {}};
}

}  // namespace

TEST_CASE("one class, by index or label, also by a label with spaces and dashes") {
    for (const auto& [spec, index] :
         {std::pair<std::string, Index>{"0", 0}, {"2", 2}, {"tabby cat", 0}, {"egg-nog", 1}, {"Sealyham - terrier", 2}, {"auto", 1}}) {
        CAPTURE_PART(spec);
        const auto targets = chosen(spec);
        REQUIRE(targets.size() == 1);
        CHECK(targets[0].index == index);
        CHECK(targets[0].sign == 1);
        CHECK(targets[0].label == names[std::size_t(index)]);
        CHECK(targets[0].terms.empty());
    }
}

TEST_CASE("sums: classes, labels and elements with signs and factors") {
    for (const auto& [spec, expected] : {std::pair<std::string, std::vector<float>>{"0 - 1", {1, -1, 0}},
                                         {"1-2", {0, 1, -1}},
                                         {"2*0 + 1", {2, 1, 0}},
                                         {"2*0+1", {2, 1, 0}},
                                         {"0.5*1-2", {0, 0.5f, -1}},
                                         {"2 * 0 - 0.25 * 2", {2, 0, -0.25f}},
                                         {"0 + 1 - 2", {1, 1, -1}},
                                         {"-egg-nog", {0, -1, 0}},
                                         {"-1 + 2", {0, -1, 1}},
                                         {"-2*0", {-2, 0, 0}},
                                         {"tabby cat - egg-nog", {1, -1, 0}},
                                         {"egg-nog + 0", {1, 1, 0}},
                                         {"0 + 0", {2, 0, 0}},
                                         {"output[2]", {0, 0, 1}},
                                         {"output[2] - output[0]", {-1, 0, 1}},
                                         {"3*output[1] - tabby cat", {-1, 3, 0}},
                                         {"output[egg-nog]", {0, 1, 0}},
                                         {"output[0:2]", {1, 1, 0}},
                                         {"output[1:]", {0, 1, 1}},
                                         {"output[:]", {1, 1, 1}},
                                         {"output[:] - 2*output[ 1 : 2 ]", {1, -1, 1}},
                                         {"log(1)", {0, 1, 0}},
                                         {"log(egg-nog) - 2*log(output[:1])", {-2, 1, 0}},
                                         {"output[4][2]", {0, 0, 1}}}) {
        CAPTURE_PART(spec);
        CHECK(weights(spec) == expected);
        CHECK(chosen(spec)[0].label == spec);
        CHECK_FALSE(depends_on_scores(spec, three));
    }
}

TEST_CASE("the best: of all, the K best, of some") {
    const auto indices = [](const std::string& spec, const std::vector<float>& logits = scores) {
        std::vector<Index> list;
        for (const Target& t : chosen(spec, three, logits)) list.push_back(t.index);
        return list;
    };
    using List = std::vector<Index>;
    CHECK(indices("top:1") == List{1});
    CHECK(indices("top:3") == List{1, 2, 0});
    CHECK(indices("top:3", {5, 5, 6}) == List{2, 0, 1});  // of equals the first
    CHECK(indices("best:0") == List{0});
    CHECK(indices("best:0-2") == List{1});
    CHECK(indices("best:0,2") == List{2});
    CHECK(indices("best:0-0,2-2") == List{2});
    CHECK(indices("best:tabby cat, 0") == List{0});
    CHECK(indices("best:egg-nog,2", {1, 2, 3}) == List{2});
    CHECK(indices("auto", {NAN, 2, 1}) == List{0});  // what to do with NaN is decided elsewhere
}

TEST_CASE("what cannot be understood is refused in one line") {
    const std::string choices = " is no class of this model: give an index from 0 to 2, top:K";
    CHECK(refusal("3") == "target 3: the model has the classes 0 to 2");
    CHECK(refusal("-1") == "target -1: the model has the classes 0 to 2");
    CHECK(refusal("dog") == "target 'dog'" + choices + " or a class name (`limn explain --help` lists all forms)");
    CHECK(refusal("cat") == "target 'cat'" + choices + ", or one of tabby cat (`limn explain --help` lists all forms)");
    CHECK(refusal("0 - dog").find("target 'dog'" + choices) == 0);
    CHECK(refusal("").find("target ''" + choices) == 0);
    CHECK(refusal("0 - ").find("target") == 0);
    CHECK(refusal("0 - 7") == "target 7: the model has the classes 0 to 2");
    CHECK(refusal("x*0") == "target 'x*0': what stands before * should be a number");
    CHECK(refusal("inf*0") == "target 'inf*0': what stands before * should be a number");
    CHECK(refusal("nan*0") == "target 'nan*0': what stands before * should be a number");
    CHECK(refusal("top:0") == "target 'top:0': the number after top: should be 1 to 3");
    CHECK(refusal("top:4") == "target 'top:4': the number after top: should be 1 to 3");
    CHECK(refusal("top:x") == "target 'top:x': the number after top: should be 1 to 3");
    CHECK(refusal("best:2-1") == "target 'best:2-1': 2-1 should be within 0 to 2");
    CHECK(refusal("best:0-3") == "target 'best:0-3': 0-3 should be within 0 to 2");
    CHECK(refusal("best:dog").find("target 'dog'") == 0);
    for (const char* at : {"9223372036854775807", "9223372036854775807:", ":9223372036854775807"})  // there is no place after it
        CHECK(refusal(fmt::format("output[{}]", at)).starts_with("target"));
    CHECK(refusal("output[3]") == "target 'output[3]': the model's output has one row of numbers for an image, with the classes 0 to 2");
    CHECK(refusal("output[0,1,2]").find("one row of numbers") != std::string::npos);
    CHECK(refusal("output[-1]") == "target 'output[-1]': an element is written output[class]");
    CHECK(refusal("output[2:1]") == "target 'output[2:1]': an element is written output[class]");
    CHECK(refusal("output[1:1]") == "target 'output[1:1]': an element is written output[class]");
    CHECK(refusal("output[-1:2]") == "target 'output[-1:2]': an element is written output[class]");
    CHECK(refusal("output[0:4]").find("the classes 0 to 2") != std::string::npos);
    CHECK(refusal("output[3:]").find("the classes 0 to 2") != std::string::npos);
    CHECK(refusal("output[]") == "target 'output[]': an element is written output[class]");
    CHECK(refusal("output[dog]") == "target 'output[dog]': an element is written output[class]");
    CHECK(refusal("output[egg-nog,1,1]", pixels).find("row,column,class") != std::string::npos);
    CHECK(refusal("log(dog)").find("target 'dog'") == 0);
    CHECK(refusal("log()").find("target ''") == 0);
    CHECK(refusal("0; auto") == "target '0; auto': in a list each target is one number, and auto may be several");
    CHECK(refusal("0;").find("target ''") == 0);
    CHECK(refusal("0", pixels) == "");
    CHECK(refusal("output[1]", pixels) ==
          "target 'output[1]': the model's output has rows, columns and classes for an image, with the classes 0 to 2");
    CHECK(refusal("output[x,0,1]", pixels) == "target 'output[x,0,1]': an element is written output[row,column,class]");
    CHECK(refusal("0 - 1", pixels) == "target '0 - 1': where each pixel is classified a sum is made of elements, output[row,column,class]");
    CHECK(refusal("2", sigmoid) ==
          "target '2': the model answers with one sigmoid; auto, 1 (what speaks for it), 0 (what speaks against it) can be explained");
    CHECK(refusal("top:3", sigmoid) == "target 'top:3': the number after top: should be 1 to 2");
    // found only when the image's size is known
    CHECK_THROWS_WITH_AS(seed_of({chosen("output[4,0,1]", pixels)}, {1, 4, 2, 3}),
                         "target 'output[4,0,1]': the output is (4,2,3) for this image", Error);
}

TEST_CASE("what a target is about is known before the model: the output, and whether its logarithm") {
    CHECK(subject_of("auto") == Subject{});
    CHECK(subject_of("tabby - 207") == Subject{});
    CHECK(subject_of("output[1]") == Subject{});
    CHECK(subject_of("output[1][2]") == Subject{1, false});
    CHECK(subject_of("log(tabby)") == Subject{0, true});
    CHECK(subject_of("log(top:3)") == Subject{0, true});
    CHECK(subject_of("-2*log(output[1][3,2:5])") == Subject{1, true});
    CHECK(subject_of("log(1); log(2) - log(0)") == Subject{0, true});
    CHECK_THROWS_WITH_AS(subject_of("log(1) - 2"), "target 'log(1) - 2': it is made of logarithms or of scores, not of both", Error);
    CHECK_THROWS_WITH_AS(subject_of("1; log(2)"), "target '1; log(2)': it is made of logarithms or of scores, not of both", Error);
    CHECK_THROWS_WITH_AS(subject_of("output[1][2] - output[2]"),
                         "target 'output[1][2] - output[2]': all of it should be of the same output", Error);
    CHECK_THROWS_WITH_AS(subject_of("output[x][2]"), "target 'output[x][2]': an element of output 1 is written output[1][...]", Error);
    CHECK_THROWS_WITH_AS(subject_of("output[-1][2]"), "target 'output[-1][2]': an element of output 1 is written output[1][...]", Error);
}

TEST_CASE("where each step has its scores: elements and slices of steps and classes; a class alone says too little") {
    CHECK(numbers(seed_of({chosen("output[1,2]", steps)}, {1, 2, 3})) == std::vector<float>{0, 0, 0, 0, 0, 1});
    CHECK(numbers(seed_of({chosen("output[:,egg-nog]", steps)}, {1, 2, 3})) == std::vector<float>{0, 1, 0, 0, 1, 0});
    CHECK(numbers(seed_of({chosen("output[1,0] - 2*output[0,1:]", steps)}, {1, 2, 3})) == std::vector<float>{0, -2, -2, 1, 0, 0});
    const auto list = chosen("output[0,1]; output[1,2]", steps);
    REQUIRE(list.size() == 2);
    CHECK(list[1].label == "output[1,2]");
    CHECK(numbers(seed_of({list}, {1, 2, 3})) == std::vector<float>{0, 1, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 1});
    for (const std::string spec : {"auto", "top:2", "best:0-1", "log(auto)"})
        CHECK(refusal(spec, steps) ==
              "target '" + spec + "': each step of the output has its own scores: name an element, output[step,class]");
    CHECK(refusal("1 - 2", steps).find("name an element, output[step,class]") != std::string::npos);
    CHECK(refusal("output[1]", steps) ==
          "target 'output[1]': the model's output has steps and classes for an image, with the classes 0 to 2");
    CHECK_THROWS_WITH_AS(seed_of({chosen("output[2,0]", steps)}, {1, 2, 3}), "target 'output[2,0]': the output is (2,3) for this image",
                         Error);
    CHECK_THROWS_WITH_AS(seed_of({chosen("output[1:3,0]", steps)}, {1, 2, 3}), "target 'output[1:3,0]': the output is (2,3) for this image",
                         Error);
    const auto best =
        predictions(steps, std::vector<float>{3, 1, 2, /**/ 0, 1, 5}, std::vector<float>{.7f, .1f, .2f, /**/ 0, .1f, .9f}, names, 1);
    REQUIRE(best.size() == 2);  // each step's winner
    CHECK(best[0].label == "tabby cat");
    CHECK(best[1].label == "Sealyham - terrier");
    CHECK(best[1].score == 0.9f);
    CHECK(best[1].logit == 5);
}

TEST_CASE("a single sigmoid has two sides") {
    const auto side = [](const std::string& spec, float output, std::size_t at = 0) {
        return choose_targets(spec, sigmoid, std::vector<float>{output - 0.5f}, std::vector<float>{output}, {"cat", "dog"})[at];
    };
    CHECK(side("auto", 0.7f).sign == 1);
    CHECK(side("auto", 0.7f).label == "dog");
    CHECK(side("auto", 0.5f).sign == 1);
    CHECK(side("auto", 0.3f).sign == -1);
    CHECK(side("auto", 0.3f).label == "cat");
    CHECK(side("1", 0.3f).sign == 1);
    CHECK(side("cat", 0.9f).sign == -1);
    CHECK(side("top:2", 0.3f, 0).sign == -1);
    CHECK(side("top:2", 0.3f, 1).sign == 1);
    CHECK(side("output[0]", 0.3f).terms.size() == 1);
}

TEST_CASE("what depends on the scores is chosen without looking at them: the same seed, on every backend") {
    const Index N = 5;
    for (Index classes : {1, 3, 17}) {
        const Head of = head(classes == 1 ? Kind::sigmoid : Kind::softmax, classes);
        Tensor logits = random_tensor({N, classes}, 3), outputs = logits.clone();
        for (float& v : outputs.values()) v = 1 / (1 + std::exp(-v));
        if (classes > 1) logits.data()[0] = logits.data()[1];  // equals
        for (const std::string spec : {"auto", "top:1", "top:2", "best:0-1", "best:1,2", "best:0-2"}) {
            if (classes == 1 && spec.starts_with("best")) continue;
            CAPTURE(spec);
            CAPTURE(classes);
            CHECK(depends_on_scores(spec, of));
            std::vector<std::vector<Target>> targets;
            for (Index n = 0; n < N; n++)
                targets.push_back(choose_targets(spec, of, logits.rows(n, 1).values(), outputs.rows(n, 1).values(), {}));
            for (const Backend* backend : network_backends())
                CHECK(same_bits(scored_seed(*backend, spec, of, logits.on(backend->device()), outputs.on(backend->device())),
                                seed_of(targets, logits.shape())));
        }
    }
}

TEST_CASE("where each pixel is classified: a class is summed over the pixels it wins; auto and top:K go by how many those are") {
    const Index N = 3, h = 4, w = 3;
    for (Index K : {1, 3}) {
        const Head of = K == 1 ? pixel_sigmoid : pixels;
        const Tensor logits = random_tensor({N, h, w, K}, 4);
        Tensor outputs = logits.clone();
        for (float& v : outputs.values()) v = 1 / (1 + std::exp(-v));
        const Index classes = std::max<Index>(K, 2);
        const auto winner = [&](Index n, Index p) {  // of a single sigmoid: 1 or 0
            const float* row = logits.data() + (n * h * w + p) * K;
            return K == 1 ? Index(row[0] >= 0) : Index(std::max_element(row, row + K) - row);
        };
        for (const std::string spec : {"auto", "top:2", "0", "1", "2", "best:0,2"}) {
            if (K == 1 && (spec == "2" || spec.starts_with("best"))) continue;
            CAPTURE(spec);
            CAPTURE(K);
            CHECK(depends_on_scores(spec, of));
            const Index T = spec == "top:2" ? 2 : 1;
            Tensor expected = Tensor::zeros({T * N, h, w, K});
            for (Index n = 0; n < N; n++) {
                std::vector<Index> votes(std::size_t(classes), 0), order;
                for (Index p = 0; p < h * w; p++) votes[std::size_t(winner(n, p))]++;
                for (Index k = 0; k < classes; k++)
                    if (!spec.starts_with("best") || k != 1) order.push_back(k);
                std::ranges::stable_sort(order, [&](Index a, Index b) { return votes[std::size_t(a)] > votes[std::size_t(b)]; });
                if (K == 1) order = {1, 0};  // what is looked for comes first
                if (spec.size() == 1) order = {Index(spec[0] - '0')};
                const auto targets = choose_targets(spec, of, logits.rows(n, 1).values(), outputs.rows(n, 1).values(), {});
                REQUIRE(Index(targets.size()) == T);
                for (Index t = 0; t < T; t++) {
                    const Index k = order[std::size_t(t)];
                    CHECK(targets[std::size_t(t)].own_pixels);
                    CHECK(targets[std::size_t(t)].label == std::to_string(k));
                    for (Index p = 0; p < h * w; p++)
                        if (winner(n, p) == k)
                            expected.data()[((t * N + n) * h * w + p) * K + (K == 1 ? 0 : k)] = K == 1 && k == 0 ? -1 : 1;
                }
            }
            for (const Backend* backend : network_backends()) {
                const Tensor seed = scored_seed(*backend, spec, of, logits.on(backend->device()), outputs.on(backend->device())).host();
                CHECK(numbers(seed) == numbers(expected));
            }
        }
        // an element is the same for all images
        const std::string element = K == 1 ? "output[3,1,0]" : "2*output[3,1,2] - output[0,0,1]";
        CHECK_FALSE(depends_on_scores(element, of));
        const Tensor seed = seed_of({chosen(element, of, {}, {})}, {1, h, w, K});
        CHECK(seed.at({0, 3, 1, K - 1}) == (K == 1 ? 1 : 2));
        if (K == 3) CHECK(seed.at({0, 0, 0, 1}) == -1);
    }
}

TEST_CASE("predictions where each pixel is classified: shares of the pixels, and mean logits there") {
    const std::vector<float> of_3{3, 1, 2, /**/ 0, 5, 1, /**/ 2, 4, 0, /**/ 1, 3, 2};  // winners 0, 1, 1, 1
    const auto best = predictions(pixels, of_3, of_3, names, 3);
    REQUIRE(best.size() == 2);  // class 2 wins nowhere
    CHECK(best[0].label == "egg-nog");
    CHECK(best[0].score == 0.75f);
    CHECK(best[0].logit == 4);
    CHECK(best[1].label == "tabby cat");
    CHECK(best[1].score == 0.25f);
    CHECK(best[1].logit == 3);
    const auto binary =
        predictions(pixel_sigmoid, std::vector<float>{1, -3, -1, -2}, std::vector<float>{0.7f, 0.1f, 0.3f, 0.2f}, {"sky", "cloud"}, 5);
    REQUIRE(binary.size() == 2);
    CHECK(binary[0].label == "sky");
    CHECK(binary[0].score == 0.75f);
    CHECK(binary[0].logit == 2);  // of the other side
    CHECK(binary[1].label == "cloud");
    CHECK(predictions(pixels, of_3, of_3, names, 1).size() == 1);
}

TEST_CASE("a segmentation network is explained from end to end, its maps the class's pixels'") {
    Network net({1, 6, 5, 2});
    net.add("Conv2D", "conv", same_conv(4, 3, "relu"));
    net.add("Conv2D", "out", same_conv(3, 1, "softmax"));
    const Tensor images = random_tensor({2, 6, 5, 2}, 3);
    const auto automatic = explain(cpu_backend(), net.model, images, grad_cam_of(net, "auto"));
    for (std::size_t n = 0; n < 2; n++) {
        const std::string winner = std::to_string(automatic[n].predictions[0].index);
        const auto by_name = explain(cpu_backend(), net.model, images.rows(Index(n), 1), grad_cam_of(net, winner));
        CHECK(relative_error(by_name[0].maps[0].raw, automatic[n].maps[0].raw) <= 1e-5);
        float shares = 0;
        for (const Prediction& p : automatic[n].predictions) shares += p.score;
        CHECK(shares == doctest::Approx(1));
    }
    CHECK(explain(cpu_backend(), net.model, images, grad_cam_of(net, "output[2,3,1]"))[0].maps[0].target.label == "output[2,3,1]");
    const auto listed = explain(cpu_backend(), net.model, images, grad_cam_of(net, "0; output[2,3,1]; 2"));
    for (std::size_t n = 0; n < 2; n++)
        for (const auto& [map, target] : {std::pair(0, "0"), {1, "output[2,3,1]"}, {2, "2"}}) {
            const auto alone = explain(cpu_backend(), net.model, images.rows(Index(n), 1), grad_cam_of(net, target));
            REQUIRE(listed[n].maps.size() == 3);
            CHECK(relative_error(listed[n].maps[std::size_t(map)].raw, alone[0].maps[0].raw) <= 1e-5);
        }
    Explainer explainer(cpu_backend(), net.model, grad_cam_of(net, "auto"));
    CHECK_THROWS_WITH_AS(explainer(images, {}, {"1", "output[0,0,0]"}),
                         "target '1' depends on the scores: it can be asked for all images, not for single ones", Error);
}

TEST_CASE("each image its own target: as if each had been asked alone; wrong counts and what depends on the scores are refused") {
    const Tensor images = random_tensor({3, 6, 5, 2}, 3);
    Network net = classifier();
    for (const Backend* backend : network_backends()) {
        CAPTURE(backend->name());
        net.model.move_to(backend->device());
        Explainer explainer(*backend, net.model, grad_cam_of(net, "auto"));
        for (const std::vector<std::string>& targets :
             {std::vector<std::string>{"0", "1", "2"}, {"2 - 1", "2*0", "output[1]"}, {"1", "1", "1"}, {"0", "1", "2"}}) {
            const auto together = explainer(images, {}, targets);
            for (Index n = 0; n < 3; n++) {
                const auto alone = explain(*backend, net.model, images.rows(n, 1), grad_cam_of(net, targets[std::size_t(n)]));
                CHECK(same_bits(together[std::size_t(n)].maps[0].raw, alone[0].maps[0].raw));
                CHECK(together[std::size_t(n)].maps[0].target.label == targets[std::size_t(n)]);
            }
        }
        const auto automatic = explainer(images);  // and back to the request's
        CHECK(automatic[0].maps[0].target.index == automatic[0].predictions[0].index);
        CHECK_THROWS_WITH_AS(explainer(images, {}, {"0", "1"}), "2 targets for 3 images: there should be one for each", Error);
        for (const std::string spec : {"auto", "top:1", "best:0-1"})
            CHECK_THROWS_WITH_AS(
                explainer(images, {}, {"0", spec, "1"}),
                ("target '" + spec + "' depends on the scores: it can be asked for all images, not for single ones").c_str(), Error);
    }
}

TEST_CASE("log p: its map is the class's less that of all classes by their probabilities, also where p is almost 0") {
    const Tensor image = random_tensor({1, 6, 5, 2}, 3);
    for (const float strength : {1.f, 300.f}) {
        Network net = classifier();
        Weight& kernel = net.model.node(net["gap"] + 1).layer->weights[0];
        for (float& v : kernel.value.values()) v *= strength;
        for (const Backend* backend : network_backends()) {
            net.model.move_to(backend->device());
            const auto raw = [&](const std::string& target) {
                return explain(*backend, net.model, image, grad_cam_of(net, target))[0].maps[0].raw;
            };
            const auto best = explain(*backend, net.model, image, grad_cam_of(net, "auto"))[0].predictions;
            Tensor expected = Tensor::zeros(raw("0").shape());
            double scale = 0;
            for (const Prediction& p : best) {
                const Tensor map = raw(std::to_string(p.index));
                for (Index i = 0; i < map.size(); i++) {
                    scale = std::max(scale, std::abs(map.at_flat(i)));
                    expected.data()[i] += float((p.index == 2) - p.score) * map.data()[i];
                }
            }
            const Tensor log_p = raw("log(2)");
            for (Index i = 0; i < log_p.size(); i++) CHECK(std::abs(log_p.at_flat(i) - expected.at_flat(i)) <= 2e-6 * scale);
            Request by_score = grad_cam_of(net, "2");
            by_score.score = Score::log;
            CHECK(same_bits(explain(*backend, net.model, image, by_score)[0].maps[0].raw, log_p));
            const std::string winner = std::to_string(best[0].index);
            CHECK(same_bits(raw("log(auto)"), raw("log(" + winner + ")")));
        }
        net.model.move_to(nullptr);
        CHECK(net.model.nodes().size() == 5);  // the caller's model has no further node: image, conv, gap, logits, softmax
    }
    Network linear({1, 6, 5, 2});
    linear.add("Conv2D", "conv", same_conv(4, 3, "relu")).add("GlobalAveragePooling2D", "gap").add("Dense", "q", {{"units", 3.0}});
    CHECK_THROWS_WITH_AS(explain(cpu_backend(), linear.model, image, grad_cam_of(linear, "log(0)")),
                         "logarithms are taken of probabilities after a softmax, and the output 'q' has none: explain its score", Error);
}

TEST_CASE("log p by methods that try things out: the drop of the logarithm itself") {
    const Tensor image = random_tensor({1, 6, 5, 2}, 3);
    Network net = classifier();
    const auto asked = [&](const std::string& target) {
        Request request = grad_cam_of(net, target);
        request.methods = {method_named("occlusion")};
        return explain(cpu_backend(), net.model, image, request)[0].maps[0].raw;
    };
    // windows of one pixel: a drop is the difference of two runs
    const auto log_p = [&](const Tensor& x) {
        Tape tape(cpu_backend());
        return std::log(double(net.model.forward(tape, {x})[std::size_t(net.last())].value.at_flat(1)));
    };
    const Tensor map = asked("log(1)");
    for (Index pixel = 0; pixel < 30; pixel++) {
        Tensor covered = image.clone();
        for (Index c = 0; c < 2; c++) covered.data()[pixel * 2 + c] = 0;
        CHECK(map.at_flat(pixel) == doctest::Approx(log_p(image) - log_p(covered)).epsilon(1e-4).scale(1));
    }
}

TEST_CASE("of several outputs each can be explained, as if it were the only one") {
    Network net = classifier();
    const int first = net.last();
    net.add("Dense", "other", {{"units", 4.0}, {"activation", std::string("softmax")}}, {}, {"gap"});
    const int second = net.last();
    net.model.outputs = {first, second};
    Network alone = net;
    alone.model.outputs = {second};
    const Tensor images = random_tensor({2, 6, 5, 2}, 3);
    for (const auto& [spec, of_it] : {std::pair<std::string, std::string>{"output[1][3]", "3"},
                                      {"log(output[1][0:2])", "log(output[0:2])"},
                                      {"output[1][auto]", "auto"},
                                      {"output[1][top:2]", "top:2"},
                                      {"output[1][0] - output[1][1]", "0 - 1"}}) {
        CAPTURE_PART(spec);
        const auto found = explain(cpu_backend(), net.model, images, grad_cam_of(net, spec));
        const auto expected = explain(cpu_backend(), alone.model, images, grad_cam_of(alone, of_it));
        for (std::size_t n = 0; n < 2; n++) {
            REQUIRE(found[n].maps.size() == expected[n].maps.size());
            for (std::size_t i = 0; i < found[n].maps.size(); i++) CHECK(same_bits(found[n].maps[i].raw, expected[n].maps[i].raw));
            CHECK(found[n].predictions[0].score == expected[n].predictions[0].score);
        }
    }
    CHECK_THROWS_WITH_AS(explain(cpu_backend(), net.model, images, grad_cam_of(net, "output[2][0]")),
                         "the model has 2 outputs, there is no output 2", Error);
    Explainer explainer(cpu_backend(), net.model, grad_cam_of(net, "output[1][0]"));
    CHECK(explainer(images, {}, {"output[1][2]", "output[1][0]"})[1].maps[0].target.index == 0);
    CHECK_THROWS_WITH_AS(explainer(images, {}, {"output[1][0]", "0"}),
                         "target '0' is of another output than the request's 'output[1][0]', or only one of them is a logarithm", Error);
}

TEST_CASE("the winner is always told, also where no prediction is asked for") {
    Network net = classifier();
    CHECK(explain(cpu_backend(), net.model, random_tensor({1, 6, 5, 2}, 3), grad_cam_of(net, "auto"), 0)[0].predictions.size() == 1);
}

TEST_CASE("maps are linear in the target before ReLU: the map of a - b is the map of a less the map of b") {
    const Tensor image = random_tensor({1, 6, 5, 2}, 3);
    Network net = classifier();
    for (const Backend* backend : network_backends()) {
        net.model.move_to(backend->device());
        const auto raw = [&](const std::string& target) {
            return explain(*backend, net.model, image, grad_cam_of(net, target))[0].maps[0].raw;
        };
        const Tensor a = raw("0"), b = raw("1"), difference = raw("0 - 1"), weighted = raw("2*0 + 0.5*1");
        double scale = 0;
        for (Index i = 0; i < a.size(); i++) scale = std::max({scale, std::abs(a.at_flat(i)), std::abs(b.at_flat(i))});
        for (Index i = 0; i < a.size(); i++) {
            CHECK(std::abs(difference.at_flat(i) - (a.at_flat(i) - b.at_flat(i))) <= rounding(4) * scale);
            CHECK(std::abs(weighted.at_flat(i) - (2 * a.at_flat(i) + 0.5 * b.at_flat(i))) <= 2 * rounding(4) * scale);
        }
    }
}
