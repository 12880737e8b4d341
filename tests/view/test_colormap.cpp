// Colours of numbers: jet equals OpenCV's, the others lie close to the ones they are named after.
#include <cmath>

#include "tests/support.h"
#include "view/colormap.h"

using namespace limn;

namespace {

Rgb jet_step(int step) { return color(Colormap::jet, (float(step) + 0.5f) / 255); }

int distance(const Rgb& a, const Rgb& b) {
    int largest = 0;
    for (std::size_t c = 0; c < 3; c++) largest = std::max(largest, std::abs(int(a[c]) - int(b[c])));
    return largest;
}

}  // namespace

TEST_CASE("jet equals OpenCV's COLORMAP_JET, at the ends of its straight parts and at its one exception") {
    CHECK(jet_step(0) == Rgb{0, 0, 128});
    CHECK(jet_step(1) == Rgb{0, 0, 132});
    CHECK(jet_step(31) == Rgb{0, 0, 252});
    CHECK(jet_step(32) == Rgb{0, 0, 255});
    CHECK(jet_step(33) == Rgb{0, 4, 255});
    CHECK(jet_step(95) == Rgb{0, 252, 255});
    CHECK(jet_step(96) == Rgb{2, 255, 254});
    CHECK(jet_step(128) == Rgb{130, 255, 126});
    CHECK(jet_step(158) == Rgb{250, 255, 6});
    CHECK(jet_step(159) == Rgb{254, 255, 1});
    CHECK(jet_step(160) == Rgb{255, 252, 0});
    CHECK(jet_step(223) == Rgb{255, 0, 0});
    CHECK(jet_step(224) == Rgb{252, 0, 0});
    CHECK(color(Colormap::jet, 1) == Rgb{128, 0, 0});
}

TEST_CASE("jet's step is 255 * value cut down, as uint8(255 * value) is") {
    CHECK(color(Colormap::jet, 0.2f) == jet_step(51));
    CHECK(color(Colormap::jet, 0.999f) == jet_step(254));
    CHECK(color(Colormap::jet, 0.5f) == jet_step(127));
}

TEST_CASE("viridis and inferno: their own colours at every 17th step, within 7 levels between") {
    CHECK(color(Colormap::viridis, 0) == Rgb{68, 1, 84});
    CHECK(color(Colormap::viridis, 85 / 255.0f) == Rgb{49, 104, 142});
    CHECK(color(Colormap::viridis, 1) == Rgb{253, 231, 37});
    CHECK(color(Colormap::inferno, 0) == Rgb{0, 0, 4});
    CHECK(color(Colormap::inferno, 170 / 255.0f) == Rgb{237, 105, 37});
    CHECK(color(Colormap::inferno, 1) == Rgb{252, 255, 164});
    // matplotlib's, between the points
    CHECK(distance(color(Colormap::viridis, 8 / 255.0f), {71, 13, 96}) <= 7);
    CHECK(distance(color(Colormap::viridis, 59 / 255.0f), {61, 77, 138}) <= 7);
    CHECK(distance(color(Colormap::viridis, 111 / 255.0f), {38, 129, 142}) <= 7);
    CHECK(distance(color(Colormap::viridis, 145 / 255.0f), {31, 161, 136}) <= 7);
    CHECK(distance(color(Colormap::viridis, 195 / 255.0f), {101, 203, 94}) <= 7);
    CHECK(distance(color(Colormap::viridis, 230 / 255.0f), {189, 223, 38}) <= 7);
    CHECK(distance(color(Colormap::viridis, 245 / 255.0f), {229, 228, 25}) <= 7);
    CHECK(distance(color(Colormap::inferno, 8 / 255.0f), {4, 3, 18}) <= 7);
    CHECK(distance(color(Colormap::inferno, 59 / 255.0f), {79, 13, 108}) <= 7);
    CHECK(distance(color(Colormap::inferno, 111 / 255.0f), {162, 43, 98}) <= 7);
    CHECK(distance(color(Colormap::inferno, 145 / 255.0f), {211, 71, 67}) <= 7);
    CHECK(distance(color(Colormap::inferno, 195 / 255.0f), {250, 148, 7}) <= 7);
    CHECK(distance(color(Colormap::inferno, 230 / 255.0f), {246, 215, 70}) <= 7);
    CHECK(distance(color(Colormap::inferno, 245 / 255.0f), {242, 242, 125}) <= 7);
}

TEST_CASE("grey goes from black to white, diverging from blue through white to red") {
    CHECK(color(Colormap::grey, 0) == Rgb{0, 0, 0});
    CHECK(color(Colormap::grey, 0.5f) == Rgb{128, 128, 128});
    CHECK(color(Colormap::grey, 1) == Rgb{255, 255, 255});
    CHECK(color(Colormap::diverging, 0.5f) == Rgb{255, 255, 255});
    const Rgb low = color(Colormap::diverging, 0), high = color(Colormap::diverging, 1);
    CHECK(low[2] > 2 * low[0]);
    CHECK(high[0] > 2 * high[2]);
}

TEST_CASE("values outside 0 to 1 are clamped, NaN is 0") {
    for (Colormap map : {Colormap::jet, Colormap::viridis, Colormap::inferno, Colormap::grey, Colormap::diverging}) {
        CHECK(color(map, -1) == color(map, 0));
        CHECK(color(map, -INFINITY) == color(map, 0));
        CHECK(color(map, NAN) == color(map, 0));
        CHECK(color(map, 1.5f) == color(map, 1));
        CHECK(color(map, INFINITY) == color(map, 1));
    }
}

TEST_CASE("names: each is known, another one lists them") {
    CHECK(colormap_from_name("jet") == Colormap::jet);
    CHECK(colormap_from_name("viridis") == Colormap::viridis);
    CHECK(colormap_from_name("inferno") == Colormap::inferno);
    CHECK(colormap_from_name("grey") == Colormap::grey);
    CHECK(colormap_from_name("diverging") == Colormap::diverging);
    CHECK_THROWS_WITH_AS(colormap_from_name("hsv"), "colormap 'hsv' is not known: choose one of jet, viridis, inferno, grey, diverging",
                         Error);
    CHECK_THROWS_AS(colormap_from_name(""), Error);
}
