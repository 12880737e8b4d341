// What a model takes beside the photo: arrays, or a sentence. It is held for all photos and all trials.
#include <algorithm>

#include "cli/cli.h"
#include "cli/sentence.h"
#include "weights/npy.h"

namespace limn::cli {

static std::string names_of(const Model& model, const std::vector<int>& inputs) {
    std::string names;
    for (int i : inputs) names += fmt::format("{}{} {}", names.empty() ? "" : ", ", model.node(i).name, model.node(i).shape.str());
    return names;
}

static Tensor sentence_for(const Model& model, int input, const Options& o, std::optional<std::size_t> said) {
    const Shape& shape = model.node(input).shape;
    const char* option = o.words.empty() ? "--question" : "--words";
    LIMN_CHECK(!o.vocabulary.empty(), "{} needs the numbers of its words: --vocabulary FILE, one word a line", option);
    LIMN_CHECK(shape.rank() == 2, "{}: the model's input '{}' is {}, no row of words", option, model.node(input).name, shape.str());
    const Vocabulary vocabulary(o.vocabulary);
    std::vector<Index> numbers;
    if (!o.words.empty()) numbers.push_back(vocabulary.start());
    for (const std::string& word : words_of(o.words.empty() ? o.question : o.words)) numbers.push_back(vocabulary[word]);
    if (said) numbers.resize(1 + *said);
    // the last word of a caption is only predicted, and may have no place among those that were said
    if (!o.words.empty() && Index(numbers.size()) == shape[1] + 1) numbers.pop_back();
    return tokens(numbers, shape[1]);
}

Model holding_other_inputs(const Model& model, const Options& o, const Backend& backend, std::optional<std::size_t> said) {
    std::map<int, Tensor> held;
    std::vector<int> open = model.inputs;
    for (const std::string& given : o.inputs) {
        const std::size_t sign = given.find('=');
        LIMN_CHECK(sign != given.npos && sign > 0, "--input {}: should be NAME=FILE.npy; the model takes {}", given,
                   names_of(model, model.inputs));
        const auto input = std::ranges::find(open, given.substr(0, sign), [&](int i) { return model.node(i).name; });
        LIMN_CHECK(input != open.end(), "--input {}: the model takes {}{}", given, names_of(model, model.inputs),
                   held.empty() ? "" : ", each of them once");
        Tensor value = read_npy(given.substr(sign + 1));
        if (value.shape().rank() + 1 == model.node(*input).shape.rank()) {  // without a batch
            std::vector<Index> sizes(value.shape().begin(), value.shape().end());
            sizes.insert(sizes.begin(), 1);
            value = value.reshaped(Shape(std::span<const Index>(sizes)));
        }
        held.emplace(*input, std::move(value));
        open.erase(input);
    }
    if (!o.words.empty() || !o.question.empty()) {
        LIMN_CHECK(o.words.empty() || o.question.empty(), "--words and --question: one sentence at a time");
        const auto sentence = std::ranges::find_if(open, [&](int i) { return model.node(i).shape.rank() == 2; });
        LIMN_CHECK(sentence != open.end(), "the model takes no words: its inputs are {}", names_of(model, model.inputs));
        held.emplace(*sentence, sentence_for(model, *sentence, o, said));
        open.erase(sentence);
    }
    const auto photo = std::ranges::find_if(open, [&](int i) { return model.node(i).shape.rank() == 4; });
    LIMN_CHECK(photo != open.end(), "model '{}' takes {}, no photo: give arrays to `limn run`", model.name, names_of(model, model.inputs));
    open.erase(photo);
    LIMN_CHECK(open.empty(), "model '{}' takes more than a photo: give {} with --input NAME=FILE.npy{}", model.name, names_of(model, open),
               open.size() == 1 ? ", or its words with --question (or `limn explain --words`) and --vocabulary" : "");
    return model.holding(backend, held);
}

}  // namespace limn::cli
