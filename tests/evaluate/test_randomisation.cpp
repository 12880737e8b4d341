// A network forgets from the top, and remembers afterwards.
#include "evaluate/randomisation.h"
#include "tests/support_models.h"

using namespace limn;

TEST_CASE("cascading randomisation: layer by layer from the scores downward, the same numbers in another order; then all is as it was") {
    TinyModel tiny;
    Model& model = tiny.loaded.model;
    const auto weights = [&] {
        std::vector<Tensor> list;
        for (const Layer* layer : model.weighted_layers())
            for (const Weight& w : layer->weights) list.push_back(w.value);
        return list;  // conv: kernel, bias; scores: kernel, bias
    };
    const auto sorted = [](const Tensor& t) {
        std::vector<float> v(t.values().begin(), t.values().end());
        std::sort(v.begin(), v.end());
        return v;
    };
    const std::vector<Tensor> trained = weights();
    REQUIRE(trained.size() == 4);
    std::vector<Tensor> first;
    {
        CascadingRandomisation forgetting(model, 1);
        CHECK(weights()[2].id() == trained[2].id());
        REQUIRE(forgetting.next());
        CHECK(forgetting.layer() == "scores");
        CHECK(!same_bits(weights()[2], trained[2]));
        CHECK(sorted(weights()[2]) == sorted(trained[2]));
        CHECK(same_bits(weights()[0], trained[0]));
        REQUIRE(forgetting.next());
        CHECK(forgetting.layer() == "conv");
        CHECK(!same_bits(weights()[0], trained[0]));
        CHECK(!forgetting.next());
        first = weights();
    }
    for (std::size_t i = 0; i < trained.size(); i++) CHECK(weights()[i].id() == trained[i].id());
    {
        CascadingRandomisation again(model, 1);
        while (again.next()) {}
        for (std::size_t i = 0; i < first.size(); i++) CHECK(same_bits(weights()[i], first[i]));
    }
    CascadingRandomisation other(model, 2);
    other.next();
    CHECK(!same_bits(weights()[2], first[2]));
}
