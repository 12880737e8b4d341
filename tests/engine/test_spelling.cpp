// Which known words an unknown one could have meant.
#include "engine/spelling.h"
#include "tests/support.h"

using namespace limn;

TEST_CASE("the nearest words: fewest letters to change, insert or drop; of equals the first of the list") {
    const std::vector<std::string> list{"red", "green", "blue", "circle", "cross", "square"};
    using Words = std::vector<std::string>;
    CHECK(nearest_words("grene", list, 1) == Words{"green"});
    CHECK(nearest_words("circel", list, 2)[0] == "circle");
    CHECK(nearest_words("", list, 2) == Words{"red", "blue"});
    CHECK(nearest_words("red", list, 0).empty());
    CHECK(nearest_words("red", list, 99).size() == list.size());
    CHECK(nearest_words("red", {}, 3).empty());
    CHECK(nearest_words(std::string(100000, 'x') + "red", list, 1).size() == 1);  // long words are compared by their first letters
}

TEST_CASE("the word that was probably meant: one that is part of it, or almost it, or none") {
    const std::vector<std::string> list{"Add", "Attention", "Conv2D", "Conv2DTranspose", "LayerNormalization"};
    CHECK(probably_meant("SubpixelConv2D", list) == "Conv2D");
    CHECK(probably_meant("MyConv2DTranspose", list) == "Conv2DTranspose");  // the longest
    CHECK(probably_meant("Conv2d", list) == "Conv2D");
    CHECK(probably_meant("InstanceNormalization", list) == "LayerNormalization");
    CHECK(probably_meant("AddCoords", list) == "");  // too little of it is Add
    CHECK(probably_meant("Capsule", list) == "");
    CHECK(probably_meant("", list) == "");
    CHECK(probably_meant("Conv2D", {}) == "");
}
