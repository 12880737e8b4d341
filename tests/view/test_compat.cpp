// Each library's picture of one small map on one small photo. The numbers are tests/peers/small_pictures.py's, whose formulas give the
// libraries' own bytes (tests/peers/compat.py checks that, and limn on real photos and networks).
#include "tests/support.h"
#include "view/compat.h"

using namespace limn;

namespace {

struct Expected {
    const char *library, *bytes;  // (6,5,3), hexadecimal
};
const Expected pictures[] = {
    {"pytorch-grad-cam",
     "001265374ad88c817761b8905e7053156cba5edfe141966c45ced8730690aa6f50aa750799ac3f518af60963adc08565ba0a1da8c15b67af8b51b09056acfa309f8f6"
     "ed7c1b78e66b38e596b7e50234bc75becff8fa43ac9626e"},
    {"captum",
     "7a7d79c9cbc8959d936f9770c1c5c0989b97e7eae6777f748eb58fa3a7a24d815e5f9370244632eef0ed6e7f6b6ca07d417552436550d0d2cf8d9e8af4f7f38d908cc"
     "dd9ca86a283699e77d6d9d5acafabecf7e968846587bc95"},
    {"zhou",
     "00124b3863a9854e4b4986765e8d50163f8752acb92664554a9ba0743165708a58af99084d79595296c309617a8d9966c4271d618e7067b1583d7e7256adc8266c675"
     "ea49e9b5c508093596c955d23699467bac04a714c96926e"},
    {"article",
     "00254a6f94b9de61a74de8ffbce1062b50759affff09a4d278efffe70c31b5fac1ffff0f5bd8d7a3c8ed12375ce0ffecff633a82ffffcef3183dd0ffacd1f61ba4e48"
     "afffff992c2b7ffe3d7fc21466b90b5ffff49c8c9ffffdd"},
    {"tf-keras-vis",
     "001264374adb8580785fb88d5e715423a6a7a1de984095673cb4e0740f97aa7d50a675077eab555176f50961adbf9366b70a1d90c16d67948a3bb0a164e7e86d9e4d7"
     "6d6b3848a949fc5686c7e4f234bc75ce0f969a35ac88c6f"},
    {"keras-io",
     "001a5a4f69cbb22e58548f8e86a02e2e426e788bd619416a6b9fb0a50e567b7e77b6b11437456e789fd70c4189999d96d51a3250659296c2423a759b8a9fca1d34796"
     "59fd4c3516080a79099b43d3251ab81cbff317d7eb1cc9d"},
};

const float values[] = {-1, 0.5, 2, 0.1f, 3, 4, -0.25, 1, 0, 0.7f, 1.5, 2.5};

Image photo() {
    Image image{6, 5, {}};
    for (int i = 0; i < 90; i++) image.rgb.push_back(std::uint8_t(i * 37 % 256));
    return image;
}

}  // namespace

TEST_CASE("pictures are those of pytorch-grad-cam, captum, tf-keras-vis, keras-io, zhou and the article, byte for byte") {
    for (const Expected& expected : pictures) {
        CAPTURE(std::string(expected.library));
        const Image picture = compat_picture(compat_named(expected.library), Tensor::from({3, 4}, values), photo());
        std::string bytes;
        for (std::uint8_t b : picture.rgb) bytes += fmt::format("{:02x}", b);
        CHECK(bytes == expected.bytes);
    }
}

TEST_CASE("where a library would divide 0 by 0 or stop, its picture is the photo without heat, in its way") {
    for (const Expected& expected : pictures) {
        CAPTURE(std::string(expected.library));
        const auto of = [&](float value) {
            return compat_picture(compat_named(expected.library), Tensor::full({3, 4}, double(value)), photo());
        };
        const Image dark = of(0);
        REQUIRE(dark.rgb.size() == photo().rgb.size());
        for (float value : {-1.f, std::nanf("")}) CHECK(of(value).rgb == dark.rgb);
    }
    CHECK(compat_picture(Compat::article, Tensor::full({3, 4}, -1), photo()).rgb == photo().rgb);
    const Image one{1, 1, {7, 7, 7}};
    for (const Expected& expected : pictures)
        CHECK(compat_picture(compat_named(expected.library), Tensor::full({1, 1}, 2), one).rgb.size() == 3);
    CHECK_THROWS_WITH_AS(compat_named("gimp"),
                         doctest::Contains("pytorch-grad-cam, captum, tf-keras-vis, keras-io, zhou, article are known"), Error);
}
