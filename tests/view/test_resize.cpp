// Resizing equals Pillow's, number by number. The expected arrays are Pillow 12's Image.resize of the same pattern.
#include "tests/support.h"
#include "view/image.h"

using namespace limn;

namespace {

using Values = std::vector<std::uint8_t>;

Image pattern(Index h, Index w) {
    Image image{h, w, {}};
    for (Index i = 0; i < h * w * 3; i++) image.rgb.push_back(std::uint8_t(i * 37 + 11));
    return image;
}

Values resized(Index h, Index w, Resampling resampling) { return resize(pattern(4, 5), h, w, resampling).rgb; }

}  // namespace

TEST_CASE("bilinear equals Pillow's: both sides smaller") {
    CHECK(resized(2, 3, Resampling::bilinear) ==
          Values{90, 127, 148, 126, 102, 131, 161, 135, 110, 157, 147, 137, 132, 145, 133, 124, 140, 130});
}

TEST_CASE("bilinear equals Pillow's: taller and narrower") {
    CHECK(resized(7, 2, Resampling::bilinear) == Values{110, 89,  126, 158, 137, 92,  105, 104, 141, 153, 123, 107, 96,  129,
                                                        166, 144, 101, 132, 117, 154, 138, 124, 120, 151, 141, 171, 109, 107,
                                                        143, 163, 166, 135, 128, 132, 162, 127, 181, 113, 139, 147, 173, 105});
}

TEST_CASE("bilinear equals Pillow's: wider and lower") {
    CHECK(resized(3, 8, Resampling::bilinear) ==
          Values{24,  61,  98,  73,  110, 147, 137, 163, 200, 158, 72,  109, 148, 62,  99,  105, 131, 168, 163, 157, 93,  212, 172, 30,
                 76,  113, 150, 125, 162, 143, 178, 215, 132, 87,  124, 121, 77,  114, 151, 146, 183, 220, 143, 108, 145, 136, 45,  82,
                 127, 164, 201, 176, 135, 138, 229, 98,  63,  138, 119, 132, 128, 165, 146, 197, 234, 103, 122, 159, 118, 59,  96,  133});
}

TEST_CASE("bilinear equals Pillow's: far smaller, where each new pixel is a mean of many") {
    const Image small = resize(pattern(1, 300), 1, 7, Resampling::bilinear);
    Values reds;
    for (Index c = 0; c < 7; c++) reds.push_back(small.pixel(0, c)[0]);
    CHECK(reds == Values{128, 130, 126, 128, 128, 125, 127});
}

TEST_CASE("nearest equals Pillow's") {
    CHECK(resized(7, 3, Resampling::nearest) == Values{11,  48,  85,  233, 14,  51,  199, 236, 17,  11,  48,  85,  233, 14,  51,  199,
                                                       236, 17,  54,  91,  128, 20,  57,  94,  242, 23,  60,  54,  91,  128, 20,  57,
                                                       94,  242, 23,  60,  97,  134, 171, 63,  100, 137, 29,  66,  103, 140, 177, 214,
                                                       106, 143, 180, 72,  109, 146, 140, 177, 214, 106, 143, 180, 72,  109, 146});
}

TEST_CASE("nearest sums positions up as Pillow does: from 2 to 7 the centre of new pixel 3 is 1, but the sum stays below") {
    const Image row = resize({1, 2, {0, 0, 0, 9, 9, 9}}, 1, 7, Resampling::nearest);
    const std::uint8_t expected[] = {0, 0, 0, 0, 9, 9, 9};
    for (Index c = 0; c < 7; c++) CHECK(row.pixel(0, c)[0] == expected[c]);
}

TEST_CASE("the same size changes nothing, one pixel fills any size, a flat picture stays flat") {
    for (Resampling resampling : {Resampling::nearest, Resampling::bilinear}) {
        CHECK(resized(4, 5, resampling) == pattern(4, 5).rgb);
        const Image one{1, 1, {10, 20, 30}};
        const Image many = resize(one, 3, 5, resampling);
        for (Index i = 0; i < 15; i++) CHECK(many.rgb[std::size_t(i) * 3 + 2] == 30);
        for (std::uint8_t value : {std::uint8_t(1), std::uint8_t(254), std::uint8_t(255)}) {
            const Image flat{2, 997, Values(2 * 997 * 3, value)};
            CHECK(resize(flat, 3, 11, resampling).rgb == Values(3 * 11 * 3, value));
        }
    }
}

TEST_CASE("sizes that cannot be are Errors") {
    CHECK_THROWS_AS(resize(pattern(4, 5), 0, 5, Resampling::nearest), Error);
    CHECK_THROWS_AS(resize(pattern(4, 5), 4, -1, Resampling::bilinear), Error);
    CHECK_THROWS_AS(resize(Image{}, 4, 4, Resampling::bilinear), Error);
}
