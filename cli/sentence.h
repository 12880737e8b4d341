// Sentences for networks that take words: a vocabulary's numbers of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace limn::cli {

// Line i of the file is the word with the number i. Word 0 fills up sentences that are shorter than the network's input.
class Vocabulary {
public:
    explicit Vocabulary(const std::string& file);
    const std::vector<std::string>& words() const { return words_; }
    Index operator[](const std::string& word) const;  // an unknown word is an Error with the nearest ones
    // The word that a caption begins with in training, by its usual names: <start>, startseq, [start], <s>, <bos>.
    Index start() const;

private:
    std::string file_;
    std::vector<std::string> words_;
};

std::vector<std::string> words_of(const std::string& sentence);  // cut at spaces

// (1,length), filled up with 0 at the end. length -1: as many as there are.
Tensor tokens(std::span<const Index> numbers, Index length);

}  // namespace limn::cli
