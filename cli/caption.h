// explain --words: a caption, word by word. The target of a word is log p(word | the words before it, the photo).
#pragma once

#include "cli/cli.h"

namespace limn::cli {

// A word as the network saw it coming.
struct SaidWord {
    std::string word;
    Index index;
    double probability;
    std::string likeliest;  // what the network itself would have said there
    double its_probability;
};

struct ExplainedWords {
    Explained explained;  // a target for each word
    std::vector<SaidWord> words;
};

// Two kinds of networks predict words: those that answer (N,T,K), at each step the next word, are asked once for all words, with the
// start word and the caption as their input; those that answer (N,K), only the next word, once for each word, with those before it.
class Caption {
public:
    Caption(const Options& options, const Ready& ready);
    std::string target() const;  // for a Request; of the first word if the network is asked once for each
    // explain: of ready's model, the request and top
    std::vector<ExplainedWords> operator()(const Ready& ready, Request request, Index top, Explaining& explain, const Tensor& images,
                                           const std::vector<Tensor>& photos);
    bool asked_once() const { return head_.per_step; }

private:
    std::string target_of(std::size_t word) const;
    void add_words(const Ready& ready, const Tensor& images, std::size_t first, std::size_t count,
                   std::vector<ExplainedWords>& results) const;

    const Options& options_;
    std::vector<std::string> vocabulary_, words_;
    std::vector<Index> numbers_;
    Head head_;
};

}  // namespace limn::cli
