// What a Lambda layer computes, said in words.
#include "autograd/gradcheck.h"
#include "layers/core.h"
#include "tests/support.h"

using namespace limn;

namespace {

LayerPtr lambda(const std::string& text) { return make_layer({"Lambda", "lambda_1", {{"expression", text}}}); }

Tensor run(const std::string& text, const Tensor& x) {
    const LayerPtr layer = lambda(text);
    Tape tape(reference_backend());
    const Tensor y = layer->forward(tape, {x}).value;
    CHECK(layer->output_shape({x.shape()}) == y.shape());
    return y;
}

}  // namespace

TEST_CASE("Lambda: arithmetic in float32, in the order Python has") {
    const float x[] = {0, 255, 100};
    const float expected[] = {0.0f / 127.5f - 1, 255.0f / 127.5f - 1, 100.0f / 127.5f - 1};
    CHECK(same_bits(run("x/127.5 - 1", Tensor::from({1, 3}, x)), Tensor::from({1, 3}, expected)));
    const float twice[] = {3, -507, -197};
    CHECK(same_bits(run("-2 * (x - 1) + 1", Tensor::from({1, 3}, x)), Tensor::from({1, 3}, twice)));
}

TEST_CASE("Lambda: one number a channel, channels in reverse, functions") {
    const float x[] = {1, 2, 3, 4, 5, 6};
    const float expected[] = {2, 0, -2, 5, 3, 1};  // (3,2,1) - (1,2,3), (6,5,4) - (1,2,3)
    CHECK(same_bits(run("x[..., ::-1] - [1, 2, 3]", Tensor::from({1, 1, 2, 3}, x)), Tensor::from({1, 1, 2, 3}, expected)));
    const float clipped[] = {0, 0, 1, 2, 3, 4};
    CHECK(same_bits(run("relu(x - 2)", Tensor::from({1, 1, 2, 3}, x)), Tensor::from({1, 1, 2, 3}, clipped)));
}

TEST_CASE("Lambda: space_to_depth makes a pixel of each block, as TensorFlow orders it") {
    Tensor x({1, 2, 4, 2});
    for (Index i = 0; i < x.size(); i++) x.data()[i] = float(i);
    const float expected[] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
    CHECK(same_bits(run("space_to_depth(x, 2)", x), Tensor::from({1, 1, 2, 8}, expected)));
    CHECK_THROWS_AS(lambda("space_to_depth(x, 3)")->output_shape({{-1, 4, 4, 1}}), Error);
    CHECK(lambda("space_to_depth(x, 2)")->output_shape({{-1, -1, -1, 3}}) == Shape{-1, -1, -1, 12});
}

TEST_CASE("Lambda: what is not understood is said, with what would be") {
    for (const char* text : {"", "5", "x +", "x**2", "y/2", "import os", "x; x", "[1, 2", "x[..., ::-2]", "softmax(x)",
                             "space_to_depth(x, 0.5)", "relu x", "((((", "x / ", "os.system('x')"}) {
        CAPTURE(text);
        CHECK(complaint([&] { lambda(text); }).find("lambda_1") != std::string::npos);
    }
    CHECK(complaint([] { lambda(std::string(100000, '(')); }).size() > 0);
    CHECK(complaint([] { make_layer({"Lambda", "lambda_1", {}}); }).find("--lambda 'lambda_1:") != std::string::npos);
    CHECK_THROWS_AS(lambda("x - [1, 2]")->output_shape({{-1, 4, 4, 3}}), Error);
}

TEST_CASE("Lambda: gradients flow through") {
    Tape tape(reference_backend());
    const Var x = tape.watch(Tensor::full({1, 2, 2, 3}, 2));
    const Var y = lambda("x[..., ::-1] * [1, 2, 3] / 2")->forward(tape, {x});
    const Tensor dx = tape.gradients(y, Tensor::full(y.shape(), 1), {&x, 1})[0];
    for (Index i = 0; i < dx.size(); i++) CHECK(dx.at_flat(i) == 1.5 - 0.5 * double(i % 3));
}
