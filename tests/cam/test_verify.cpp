// The evidence beside a map: sound maps pass every check, and each check fails when what it looks at is wrong.
#include "autograd/ops.h"
#include "cam/similarity.h"
#include "cam/verify.h"
#include "tests/support.h"
#include "tests/support_models.h"

using namespace limn;

namespace {

struct Case : TinyModel {
    Tensor image = random_tensor({1, 16, 16, 3}, 3);
    Request request{{}, {loaded.model.find("conv")}, "top:2", Score::logit, {}};
    Explained result;

    explicit Case(const std::vector<std::string>& names, std::optional<OwnScore> own = {}) {
        for (const std::string& name : names) request.methods.push_back(method_named(name));
        request.own = std::move(own);
        request.samples = 30;
        result = explain(cpu_backend(), loaded.model, image, request)[0];
    }
    std::vector<std::vector<Evidence>> evidence() const {
        return verify(cpu_backend(), loaded.model, load_model({(folder / "tiny.h5").string(), "", ""}).model, image, request, result);
    }
};

bool passed(const std::vector<Evidence>& of_map, const std::string& check) {
    for (const Evidence& e : of_map)
        if (e.check == check) return e.passed;
    FAIL("there is no check '", check, "'");
    return false;
}

}  // namespace

TEST_CASE("every method's maps pass every check that applies to them") {
    std::vector<std::string> all;
    for (const Method& method : methods()) all.push_back(method.name);
    const Case c(all);
    const auto evidence = c.evidence();
    REQUIRE(evidence.size() == 2 * methods().size());
    for (std::size_t i = 0; i < evidence.size(); i++) {
        CAPTURE(c.result.maps[i].method);
        CHECK(evidence[i].size() >= 1);
        for (const Evidence& e : evidence[i]) {
            CAPTURE(e.check);
            CAPTURE(e.found);
            CHECK(e.passed);
        }
    }
}

TEST_CASE("a fused map stands for its layers: the worst of their gradients, and the limit of rounding where ReLUs and pools decide") {
    Case c({"grad-cam", "layercam"});
    c.request.layers.push_back(c.loaded.model.inputs[0]);
    c.request.fusion = Fusion::mean;
    c.result = explain(cpu_backend(), c.loaded.model, c.image, c.request)[0];
    const auto evidence = c.evidence();
    REQUIRE(evidence.size() == 4);
    for (const auto& of_map : evidence) {
        CHECK(of_map[0].text.find("at conv, image") != std::string::npos);
        for (const char* check : {"gradient", "rounding", "agreement", "repeats"}) CHECK(passed(of_map, check));
    }
}

TEST_CASE("the likeness to another photo: verified in double, too; an embedding of zeros is like nothing") {
    const TinyModel tiny;
    const OwnScore likeness = similarity_to(cpu_backend(), tiny.loaded.model, random_tensor({1, 16, 16, 3}, 4), "other.jpg");
    const Case c({"grad-cam", "hirescam"}, likeness);
    for (const auto& of_map : c.evidence())
        for (const Evidence& e : of_map) CHECK_MESSAGE(e.passed, e.check, ": ", e.text);
    // the cosine itself, of two photos and of a photo with itself
    const auto embedding = [&](std::uint64_t seed) {
        Tape tape(reference_backend());
        return tiny.loaded.model.forward(tape, {random_tensor({1, 16, 16, 3}, seed)}, {}, {&likeness.node, 1})[std::size_t(likeness.node)]
            .value;
    };
    const Tensor other = embedding(4);
    for (std::uint64_t seed : {3, 4}) {
        const Tensor own = embedding(seed);
        double dot = 0, a = 0, b = 0;
        for (Index i = 0; i < own.size(); i++)
            dot += own.at_flat(i) * other.at_flat(i), a += own.at_flat(i) * own.at_flat(i), b += other.at_flat(i) * other.at_flat(i);
        Tape tape(reference_backend());
        CHECK(likeness.function(tape, Var{own}).value.at_flat(0) == doctest::Approx(dot / std::sqrt(a * b)).epsilon(1e-6));
        if (seed == 4) CHECK(dot / std::sqrt(a * b) == doctest::Approx(1));
    }
    for (DType dtype : {DType::f32, DType::f64}) {
        const Tensor e = random_tensor({3, 6}, 5, -1, 1, dtype);
        Tensor rows({3, 6}, dtype);
        rows.assign(e);
        with_type(dtype, [&](auto zero) { std::fill_n(rows.data<decltype(zero)>() + 6, 6, zero); });
        Tape tape(reference_backend());
        const Tensor found = likeness.function(tape, Var{rows}).value;
        CHECK(found.at_flat(1) == 0);
        for (Index n : {0, 2}) CHECK(std::abs(found.at_flat(n)) <= 1);
        CHECK(found.at_flat(0) != 0);
    }
}

TEST_CASE("a map that is not what the network gives is found out") {
    Case c({"grad-cam", "hirescam", "cam", "ablation-cam"});
    for (Map& map : c.result.maps) {
        map.raw.data()[5] += 0.1f * std::max(std::abs(map.stats.max), std::abs(map.stats.min));
        map.stats = statistics(map.raw);
    }
    const auto evidence = c.evidence();
    for (std::size_t i = 0; i < evidence.size(); i++) {
        CAPTURE(c.result.maps[i].method);
        CHECK_FALSE(passed(evidence[i], "agreement"));
        CHECK_FALSE(passed(evidence[i], "repeats"));
        if (c.result.maps[i].method != "ablation-cam") CHECK_FALSE(passed(evidence[i], "completeness"));
    }
}

TEST_CASE("weights that are not the file's are found out: the gradient in double is another, also where maps are fused") {
    Case c({"grad-cam"});
    for (const bool fuse : {false, true}) {
        if (fuse) c.request.layers.push_back(c.loaded.model.inputs[0]), c.request.fusion = Fusion::mean;
        c.result = explain(cpu_backend(), c.loaded.model, c.image, c.request)[0];
        Model exact = load_model({(c.folder / "tiny.h5").string(), "", ""}).model;
        for (Layer* layer : exact.weighted_layers())
            if (layer->name == "scores") {
                Tensor kernel = layer->weights[0].value.clone();
                for (Index i = 0; i < kernel.size(); i += 2) kernel.data()[i] *= 1.01f;
                layer->weights[0].value = kernel;
            }
        for (const auto& of_map : verify(cpu_backend(), c.loaded.model, exact, c.image, c.request, c.result)) {
            CHECK_FALSE(passed(of_map, "rounding"));
            CHECK(passed(of_map, "gradient"));
        }
    }
}

TEST_CASE("a backward rule that is wrong is found out by finite differences") {
    // the score's value is right, its gradient is 5 % too large
    const auto wrong = [](Tape& tape, const Var& value) {
        const Var right = index(tape, value, 1);
        return tape.record("wrong", {right}, right.value, [](const Tensor& dy, Walk& walk) {
            Tensor dx = dy.like();
            walk.backend.binary(Binary::multiply, dy, Tensor::full({1}, 1.05, dy.dtype()), dx);
            walk.give(0, dx);
        });
    };
    const auto right = [](Tape& tape, const Var& value) { return index(tape, value, 1); };
    const TinyModel tiny;
    const int node = find_head(tiny.loaded.model).logits;
    for (const bool is_wrong : {false, true}) {
        const Case c({"grad-cam", "saliency"}, OwnScore{node, is_wrong ? ScoreFunction(wrong) : ScoreFunction(right), "own"});
        for (const auto& of_map : c.evidence()) {
            CHECK(passed(of_map, "gradient") == !is_wrong);
            CHECK(passed(of_map, "repeats"));
        }
    }
}

TEST_CASE("flat areas of a photo, where every pool has several equal winners, are not taken for mistakes") {
    TemporaryFolder folder;
    write_model(folder / "pool.h5", pooled_config(12, 12).dump(), tiny_weights());
    const auto load = [&] { return load_model({(folder / "pool.h5").string(), "", ""}).model; };
    const Model model = load();
    const Tensor flat = Tensor::full({1, 12, 12, 3}, 0.7);
    const Request request{{method_named("saliency"), method_named("grad-cam")}, {model.find("conv")}, "0", Score::logit, {}};
    const Explained result = explain(cpu_backend(), model, flat, request)[0];
    for (const auto& of_map : verify(cpu_backend(), model, load(), flat, request, result)) {
        CHECK(passed(of_map, "gradient"));
        CHECK(passed(of_map, "rounding"));
    }
}
