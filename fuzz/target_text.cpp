// What is to be explained, as people write it: "best:151-268", "tabby - 2*207"; understood for heads of every kind.
#include "cam/target_text.h"

#include <array>

#include "fuzz/target.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string spec(text_of(data, size));
    const std::array<float, 6> logits{0.5f, -1, 2, 0, 3, -2}, outputs{0.6f, 0.2f, 0.9f, 0.5f, 1, 0.1f};
    const std::vector<std::string> sides{"cat", "dog"}, classes{"tabby", "tiger cat", "30"};
    using Kind = Head::Kind;
    const auto choose = [&](const Head& head, std::size_t numbers, const std::vector<std::string>& labels, const Shape& scores) {
        try_to([&] {
            const auto targets = choose_targets(spec, head, std::span(logits).first(numbers), std::span(outputs).first(numbers), labels);
            seed_of({targets}, scores);
        });
    };
    choose({Kind::sigmoid, 0, 0, 1}, 1, sides, {1, 1});
    choose({Kind::softmax, 0, 0, 3}, 3, classes, {1, 3});
    choose({Kind::linear, 0, 0, 6}, 6, {}, {1, 6});
    choose({Kind::softmax, 0, 0, 3, true}, 6, classes, {1, 1, 2, 3});
    return 0;
}
