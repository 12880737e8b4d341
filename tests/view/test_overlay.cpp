// A map over a photo: the article's sum and the blend, computed by hand; boxes.
#include <cmath>

#include "tests/support.h"
#include "view/overlay.h"

using namespace limn;

namespace {

Image flat(Index h, Index w, std::uint8_t value) { return {h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3), value)}; }

Tensor heat_row(const std::vector<float>& values) { return Tensor::from({1, Index(values.size())}, values); }

// '#' where the first channel is not 0
std::vector<std::string> drawn(const Image& image) {
    std::vector<std::string> rows;
    for (Index r = 0; r < image.height; r++) {
        rows.emplace_back();
        for (Index c = 0; c < image.width; c++) rows.back() += image.pixel(r, c)[0] ? '#' : '.';
    }
    return rows;
}

Image boxed(Index top, Index left, Index bottom, Index right) {
    Image image = flat(7, 9, 0);
    draw_box(image, top, left, bottom, right, {200, 0, 0});
    return image;
}

}  // namespace

TEST_CASE("article: photo + half of jet's colour, clipped; the photo alone where heat is below the threshold") {
    const Image photo{1, 4, {100, 100, 100, 100, 100, 100, 100, 100, 100, 250, 250, 250}};
    // jet: 0.1 -> not used; 0.2 -> step 51 (0,76,255); 1 -> (128,0,0)
    const Image out = overlay(photo, heat_row({0.1f, 0.2f, 1, 1}), {});
    CHECK(out.rgb == std::vector<std::uint8_t>{100, 100, 100, 100, 138, 227, 164, 100, 100, 255, 250, 250});
}

TEST_CASE("article: threshold and alpha are the style's; 0 colours the coldest cell, too") {
    const Image photo = flat(1, 2, 10);
    CHECK(overlay(photo, heat_row({0.7f, 1}), {.threshold = 0.8f}).rgb == std::vector<std::uint8_t>{10, 10, 10, 74, 10, 10});
    CHECK(overlay(photo, heat_row({0, 1}), {.threshold = 0, .alpha = 1}).rgb == std::vector<std::uint8_t>{10, 10, 138, 138, 10, 10});
    CHECK(overlay(photo, heat_row({0, 1}), {.threshold = 0, .alpha = 0}).rgb == photo.rgb);
}

TEST_CASE("blend: the mean by alpha, everywhere; the threshold is not used") {
    const OverlayStyle half{.mode = OverlayStyle::Mode::blend, .colormap = Colormap::grey};
    CHECK(overlay(flat(1, 2, 100), heat_row({0, 1}), half).rgb == std::vector<std::uint8_t>{50, 50, 50, 177, 177, 177});
    OverlayStyle all = half, none = half;
    all.alpha = 1, none.alpha = 0;
    CHECK(overlay(flat(1, 2, 100), heat_row({0, 1}), all).rgb == std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255});
    CHECK(overlay(flat(1, 2, 100), heat_row({0, 1}), none).rgb == flat(1, 2, 100).rgb);
}

TEST_CASE("blend of equal colours is that colour, for every alpha") {
    for (int percent = 0; percent <= 100; percent++) {
        const OverlayStyle style{.mode = OverlayStyle::Mode::blend, .colormap = Colormap::grey, .alpha = float(percent) / 100};
        CHECK(overlay(flat(1, 1, 255), heat_row({1}), style).rgb == flat(1, 1, 255).rgb);
    }
}

TEST_CASE("NaN counts as 0, infinity as 1") {
    const Image photo = flat(1, 3, 10);
    const OverlayStyle style{.threshold = 0};
    CHECK(overlay(photo, heat_row({NAN, INFINITY, -INFINITY}), {}).rgb == overlay(photo, heat_row({0, 1, 0}), {}).rgb);
    CHECK(overlay(photo, heat_row({NAN, 2, 0}), style).rgb == overlay(photo, heat_row({0, 1, 0}), style).rgb);
}

TEST_CASE("a map of another size than the photo is an Error") {
    CHECK_THROWS_WITH_AS(overlay(flat(2, 3, 0), Tensor::zeros({3, 2}), {}), "a map of (3,2) cannot be laid over a photo of (2,3)", Error);
    CHECK_THROWS_AS(overlay(flat(2, 3, 0), Tensor::zeros({2, 3, 1}), {}), Error);
}

TEST_CASE("a box is a frame of two pixels inside its bounds") {
    CHECK(drawn(boxed(1, 1, 6, 8)) == std::vector<std::string>{".........",  //
                                                               ".#######.", ".#######.", ".##...##.", ".#######.", ".#######.",
                                                               "........."});
    const Image image = boxed(1, 1, 6, 8);
    CHECK(image.pixel(1, 1)[0] == 200);
    CHECK(image.pixel(1, 1)[1] == 0);
}

TEST_CASE("a box is clipped to the image, its frame stays where it is") {
    CHECK(drawn(boxed(-3, 4, 4, 99)) ==
          std::vector<std::string>{"....##...", "....##...", "....#####", "....#####", ".........", ".........", "........."});
    CHECK(drawn(boxed(50, 50, 60, 60)) == drawn(flat(7, 9, 0)));
    CHECK(drawn(boxed(4, 4, 4, 4)) == drawn(flat(7, 9, 0)));
    CHECK(drawn(boxed(5, 5, 2, 2)) == drawn(flat(7, 9, 0)));
    CHECK(drawn(boxed(2, 3, 3, 4)) ==
          std::vector<std::string>{".........", ".........", "...#.....", ".........", ".........", ".........", "........."});
}
