#include "cli/caption.h"

#include <algorithm>

#include "cli/sentence.h"

namespace limn::cli {

Caption::Caption(const Options& o, const Ready& ready) : options_(o), words_(words_of(o.words)) {
    const Model& model = ready.loaded.model;
    const Vocabulary vocabulary(o.vocabulary);
    vocabulary_ = vocabulary.words();
    for (const std::string& word : words_) numbers_.push_back(vocabulary[word]);
    head_ = find_head(model);
    const Node& output = model.node(head_.output);
    LIMN_CHECK(!head_.per_pixel && head_.kind == Head::Kind::softmax,
               "--words: the output '{}' {} predicts no words: a softmax over the vocabulary is wanted", output.name, output.shape.str());
    LIMN_CHECK(Index(vocabulary_.size()) <= head_.classes, "{}: holds {} words, and the network knows {}", o.vocabulary, vocabulary_.size(),
               head_.classes);
    LIMN_CHECK(!head_.per_step || output.shape[1] < 0 || Index(words_.size()) <= output.shape[1],
               "--words: {} words, and the network answers at {} steps", words_.size(), output.shape[1]);
}

std::string Caption::target_of(std::size_t word) const {
    return head_.per_step ? fmt::format("log(output[{},{}])", word, numbers_[word]) : fmt::format("log({})", numbers_[word]);
}

std::string Caption::target() const {
    std::string all = target_of(0);
    for (std::size_t i = 1; head_.per_step && i < words_.size(); i++) all += "; " + target_of(i);
    return all;
}

// Words as the network saw them coming, with what the input holds now.
void Caption::add_words(const Ready& ready, const Tensor& images, std::size_t first, std::size_t count,
                        std::vector<ExplainedWords>& results) const {
    Tape tape(*ready.backend);
    const Tensor outputs = ready.loaded.model.forward(tape, {images}, {}, {&head_.output, 1})[std::size_t(head_.output)].value.host();
    const Index size = outputs.size() / Index(results.size()), K = head_.classes;
    for (std::size_t n = 0; n < results.size(); n++)
        for (std::size_t i = first; i < first + count; i++) {
            const auto row = outputs.values().subspan(std::size_t(Index(n) * size + (head_.per_step ? Index(i) * K : 0)), std::size_t(K));
            const auto best = std::size_t(std::ranges::max_element(row) - row.begin());
            results[n].words.push_back({words_[i], numbers_[i], row[std::size_t(numbers_[i])],
                                        best < vocabulary_.size() ? vocabulary_[best] : std::to_string(best), row[best]});
        }
}

std::vector<ExplainedWords> Caption::operator()(const Ready& ready, Request request, Index top, Explaining& explain, const Tensor& images,
                                                const std::vector<Tensor>& photos) {
    std::vector<ExplainedWords> results(static_cast<std::size_t>(images.shape()[0]));
    const auto keep = [&](const Ready& asked, std::vector<Explained> found, std::size_t first, std::size_t count) {
        for (std::size_t n = 0; n < results.size(); n++) {
            Explained& all = results[n].explained;
            const auto name = [&](Target& target, std::size_t i) {
                target.label = fmt::format("{:02}-{}", first + i % count + 1, words_[first + i % count]);
            };
            for (std::size_t i = 0; i < found[n].targets.size(); i++) name(found[n].targets[i], i);
            for (std::size_t i = 0; i < found[n].maps.size(); i++) name(found[n].maps[i].target, i);
            if (first == 0) all.predictions = std::move(found[n].predictions);
            std::ranges::move(found[n].targets, std::back_inserter(all.targets));
            std::ranges::move(found[n].maps, std::back_inserter(all.maps));
        }
        add_words(asked, images, first, count, results);
    };
    if (head_.per_step) {
        keep(ready, explain(images, photos), 0, words_.size());
        return results;
    }
    for (std::size_t i = 0; i < words_.size(); i++) {
        Ready one = ready;
        one.loaded.model = holding_other_inputs(ready.whole, options_, *ready.backend, i);
        one.loaded.model.move_to(ready.backend->device());
        request.target = target_of(i);
        Explaining after_those(options_, one, request, top);
        after_those.progress = explain.progress;
        keep(one, after_those(images, photos), i, 1);
    }
    // word by word -> by method and layer, then by word
    for (ExplainedWords& result : results) {
        std::vector<Map> sorted;
        const std::size_t kinds = result.explained.maps.size() / words_.size();
        for (std::size_t kind = 0; kind < kinds; kind++)
            for (std::size_t i = 0; i < words_.size(); i++) sorted.push_back(std::move(result.explained.maps[i * kinds + kind]));
        result.explained.maps = std::move(sorted);
    }
    return results;
}

}  // namespace limn::cli
