#include "cli/sentence.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "cli/cli.h"
#include "engine/spelling.h"

namespace limn::cli {

Vocabulary::Vocabulary(const std::string& file) : file_(file), words_(read_lines(file)) {
    LIMN_CHECK(!words_.empty(), "{}: holds no words: one a line is wanted", file);
}

Index Vocabulary::operator[](const std::string& word) const {
    const auto found = std::ranges::find(words_, word);
    LIMN_CHECK(found != words_.end(), "'{}' is no word of {}; the nearest are {}", word, file_,
               fmt::join(nearest_words(word, words_, 3), ", "));
    return found - words_.begin();
}

Index Vocabulary::start() const {
    for (const char* name : {"<start>", "startseq", "[start]", "<s>", "<bos>"})
        if (const auto found = std::ranges::find(words_, name); found != words_.end()) return found - words_.begin();
    fail("{}: has no word that captions start with: <start>, startseq, [start], <s> and <bos> are known", file_);
}

std::vector<std::string> words_of(const std::string& sentence) {
    std::istringstream text(sentence);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    return words;
}

std::string some_words(const std::string& text) { return words_of(text).empty() ? "holds no words" : ""; }

Tensor tokens(std::span<const Index> numbers, Index length) {
    if (length < 0) length = Index(numbers.size());
    LIMN_CHECK(Index(numbers.size()) <= length, "{} words, and the model takes {} (a caption's first one is the start word)",
               numbers.size(), length);
    Tensor row = Tensor::zeros({1, length});
    for (std::size_t i = 0; i < numbers.size(); i++) row.data()[i] = float(numbers[i]);
    return row;
}

}  // namespace limn::cli
