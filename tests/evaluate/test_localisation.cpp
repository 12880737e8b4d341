// Localisation, number by number. The arrays of the benchmark's own tests (clovaai/wsolevaluation, evaluation_test.py) in our words, and
// closed forms.
#include <sstream>

#include "evaluate/contours.h"
#include "evaluate/localisation.h"
#include "tests/support.h"

using namespace limn;

namespace {

// '#' is white
std::vector<Contour> contours_of(const std::vector<std::string>& rows) {
    std::vector<std::uint8_t> pixels;
    for (const std::string& row : rows)
        for (char c : row) pixels.push_back(c == '#');
    return contours(pixels, Index(rows.size()), Index(rows[0].size()));
}

Tensor heat_from(Index H, Index W, std::vector<float> values) { return Tensor::from({H, W}, values); }

// 'o' is object, 'x' left out, all else background
Tensor mask_from(const std::vector<std::string>& rows) {
    Tensor mask({Index(rows.size()), Index(rows[0].size())}, DType::u8);
    for (Index i = 0; i < mask.size(); i++) {
        const char c = rows[std::size_t(i / mask.shape()[1])][std::size_t(i % mask.shape()[1])];
        mask.data<std::uint8_t>()[i] = c == 'o' ? object : c == 'x' ? left_out : background;
    }
    return mask;
}

const std::vector<double> fifths{0, 0.2, 0.4, 0.6000000000000001, 0.8};  // as NumPy's arange makes them

std::vector<Rectangle> largest_at_fifths(const Tensor& heat) {
    std::vector<Rectangle> found;
    for (const auto& boxes : boxes_at(heat, fifths)) found.push_back(boxes[0]);
    return found;
}

double average_over_all_photos(const Tensor& heat, const Tensor& mask) {
    return pixel_average_precision(pixel_counts(heat, mask, sweep()));
}

}  // namespace

TEST_CASE("contours: a part's border, its box, and the area of the polygon through its pixels") {
    const auto square = contours_of({"....", ".##.", ".##.", "...."});
    REQUIRE(square.size() == 1);
    CHECK(square[0].area == 1);  // between four centres
    CHECK(square[0].left == 1);
    CHECK(square[0].right == 2);
    CHECK(square[0].top == 1);
    CHECK(square[0].bottom == 2);
    CHECK(!square[0].hole);

    CHECK(contours_of({"....", ".###", "...."})[0].area == 0);  // there and back
    CHECK(contours_of({"#..", ".#.", "..#"}).size() == 1);      // corners touch
    CHECK(contours_of({"#.#", "...", "#.#"}).size() == 4);      // nothing does
    CHECK(contours_of({"..", ".."}).empty());
    CHECK(contours_of({"#"})[0].area == 0);
}

TEST_CASE("contours: holes have borders, too") {
    const auto ring = contours_of({"#####", "#...#", "#...#", "#...#", "#####"});
    REQUIRE(ring.size() == 2);
    CHECK(ring[0].area == 16);
    CHECK(ring[1].hole);
    CHECK(ring[1].area == 14);  // the walk inside cuts the four corners
    const auto diamond = contours_of({".#.", "#.#", ".#."});
    REQUIRE(diamond.size() == 2);
    CHECK(diamond[0].area == 2);
    CHECK(largest(diamond) == &diamond[1]);  // of equal ones the last
    CHECK(largest({}) == nullptr);
}

TEST_CASE("intersection over union counts pixels, both ends included") {
    CHECK(intersection_over_union({1, 2, 5, 6}, {3, 1, 4, 5}) == doctest::Approx(8. / 27));
    CHECK(intersection_over_union({1, 1, 3, 3}, {1, 1, 3, 3}) == 1);
    CHECK(intersection_over_union({1, 1, 3, 3}, {4, 4, 5, 5}) == 0);  // neighbours share no pixel
    CHECK(intersection_over_union({0, 0, 0, 0}, {0, 0, 0, 0}) == 1);  // one pixel
    CHECK(best_overlap({}, {{0, 0, 1, 1}}) == 0);
}

TEST_CASE("boxes of resized photos are cut to whole numbers") {
    CHECK(resized({1, 2, 4, 3}, 20, 10, 10, 35) == Rectangle{3, 1, 14, 1});
    CHECK(resized({1, 2, 1, 2}, 3, 3, 3, 3) == Rectangle{1, 2, 1, 2});
}

TEST_CASE("boxes at thresholds: one hill") {
    const Tensor hill = heat_from(4, 5, {0, 0, 0, 0, 0, 0, .4f, .4f, .4f, .6f, 0, .4f, 1, .8f, .6f, 0, .4f, .4f, .4f, .6f});
    CHECK(largest_at_fifths(hill) == std::vector<Rectangle>{{1, 1, 4, 3}, {1, 1, 4, 3}, {2, 1, 4, 3}, {2, 2, 4, 3}, {2, 2, 3, 3}});
}

TEST_CASE("boxes at thresholds: several hills; the largest by its contour's area, not by its pixels") {
    const Tensor hills = heat_from(4, 5, {.4f, 0, .2f, .2f, .2f, .4f, .4f, 0, .4f, 0, 0, 0, 0, .4f, 0, 1, .6f, .8f, .2f, .2f});
    CHECK(largest_at_fifths(hills) == std::vector<Rectangle>{{0, 0, 4, 3}, {0, 0, 2, 2}, {0, 3, 3, 3}, {2, 3, 3, 3}, {0, 3, 1, 3}});
    CHECK(boxes_at(hills, {0.2})[0].size() == 2);  // a triangle, and a line of five pixels
}

TEST_CASE("boxes at thresholds: a map of zeros has the box of none; NaN is refused") {
    CHECK(largest_at_fifths(Tensor::zeros({3, 3})) == std::vector<Rectangle>(5, Rectangle{0, 0, 0, 0}));
    CHECK_THROWS_WITH_AS(boxes_at(Tensor::full({3, 3}, NAN), fifths), "the map holds NaN: it cannot be rated", Error);
    CHECK_THROWS_AS(boxes_at(Tensor({0, 0}), fifths), Error);
    CHECK(boxes_at(heat_from(1, 1, {1}), {0.5})[0] == std::vector<Rectangle>{{0, 0, 0, 0}});  // one pixel
}

TEST_CASE("MaxBoxAcc takes the threshold that is best for all photos together") {
    // photo 1 is right at the first two thresholds, photo 2 at the last two: half of them, wherever
    const std::string early = "7700", late = "0077", always = "ffff", never = "0000";
    CHECK(max_box_accuracy({&early, &late}) == 50);
    CHECK(max_box_accuracy({&early, &early, &never, &always}) == 75);
    CHECK(max_box_accuracy_v2({&always, &never}) == 50);
    const std::string loose = "2222";  // overlap .3 only
    CHECK(max_box_accuracy({&loose}) == 0);
    CHECK(max_box_accuracy_v2({&loose}) == doctest::Approx(100. / 3));
    CHECK(std::isnan(max_box_accuracy({})));
    const std::string shorter = "77";
    CHECK_THROWS_AS(max_box_accuracy({&early, &shorter}), Error);
}

TEST_CASE("hits: a map that fills the true box is right until nothing is left of it") {
    Tensor heat = Tensor::zeros({8, 8});
    for (Index r = 2; r < 6; r++)
        for (Index c = 2; c < 6; c++) heat.data()[r * 8 + c] = 1;
    // the box reaches one pixel further: 4x4 of 5x5 = .64
    CHECK(box_hits(heat, {{2, 2, 5, 5}}, {0, 0.5, 0.99}) == "777");
    CHECK(box_hits(heat, {{2, 2, 6, 6}}, {0}) == "f");
    CHECK(box_hits(heat, {{7, 7, 7, 7}}, {0}) == "0");
    CHECK(box_hits(heat, {{7, 7, 7, 7}, {2, 2, 6, 6}}, {0}) == "f");  // any of the true boxes
}

TEST_CASE("pixels of all photos: a perfect map has 100, a constant one the object's share") {
    const Tensor mask = mask_from({"oo..", "ox..", "...."});
    Tensor perfect = Tensor::zeros({3, 4});
    for (Index i = 0; i < 12; i++) perfect.data()[i] = mask.data<std::uint8_t>()[i] == object;
    for (float ignored : {0.f, 1.f}) {
        perfect.data()[5] = ignored;
        CHECK(average_over_all_photos(perfect, mask) == 100);
        CHECK(average_precision(perfect, mask) == 1);
    }
    for (double value : {0.0, 0.5, 1.0}) {
        CHECK(average_over_all_photos(Tensor::full({3, 4}, value), mask) == doctest::Approx(100 * 3. / 11));
        CHECK(average_precision(Tensor::full({3, 4}, value), mask) == doctest::Approx(3. / 11));
    }
    CHECK(average_over_all_photos(Tensor::full({3, 4}, 0.3), mask_from({"oooo", "oooo", "oooo"})) == 100);
    CHECK(std::isnan(average_over_all_photos(Tensor::full({3, 4}, 0.3), mask_from({"....", "....", "...."}))));
    CHECK(std::isnan(average_precision(Tensor::full({3, 4}, 0.3), mask_from({"....", "....", "...."}))));
    CHECK_THROWS_AS(average_over_all_photos(Tensor::full({3, 4}, NAN), mask), Error);
    CHECK_THROWS_AS(average_over_all_photos(Tensor::full({3, 4}, 1.5), mask), Error);
    CHECK_THROWS_WITH_AS(average_precision(Tensor::zeros({2, 2}), mask), "a map of (2,2) cannot be rated by a mask of (3,4)", Error);
}

TEST_CASE("counts of two photos add up") {
    PixelCounts sum;
    sum.add(pixel_counts(heat_from(1, 2, {1, 0.5f}), mask_from({"o."}), {0, 0.5}));
    sum.add(pixel_counts(heat_from(1, 2, {0.49f, 1}), mask_from({"o."}), {0, 0.5}));
    CHECK(sum.object == std::vector<std::int64_t>{1, 0, 1});
    CHECK(sum.other == std::vector<std::int64_t>{0, 1, 1});
    CHECK(pixel_average_precision(sum) == doctest::Approx(100 * (0.5 * 0.5 + 0.5 * 0.5)));
}

TEST_CASE("average precision: equal values are one threshold (scikit-learn's number)") {
    const Tensor heat = heat_from(2, 4, {.9f, .8f, .8f, .7f, .6f, .6f, .6f, .1f});
    CHECK(average_precision(heat, mask_from({"o.oo", ".o.."})) == doctest::Approx(0.7470238095238095));
}

TEST_CASE("the peak: the largest pixel; of a plateau the pixel in its middle; none where the map says nothing") {
    const Peak corner = peak_of(heat_from(2, 3, {0, 0, 0, 0, .1f, .2f}));
    CHECK(corner.exists);
    CHECK(corner.row == 1);
    CHECK(corner.column == 2);
    const Peak plateau = peak_of(Tensor::full({3, 5}, 1));
    CHECK(plateau.row == 1);
    CHECK(plateau.column == 2);
    CHECK(!peak_of(Tensor::zeros({3, 3})).exists);
    CHECK(peak_of(heat_from(1, 1, {1})).exists);
    CHECK_THROWS_AS(peak_of(Tensor::full({2, 2}, NAN)), Error);
}

TEST_CASE("the pointing game, with and without tolerance") {
    const Tensor mask = mask_from({"o....", ".....", "....x"});
    CHECK(points_at({0, 0, true}, mask));
    CHECK(!points_at({0, 2, true}, mask));
    CHECK(points_at({0, 2, true}, mask, 2));
    CHECK(!points_at({2, 2, true}, mask, 2));  // a corner away: 2.8 pixels
    CHECK(points_at({2, 2, true}, mask, 3));
    CHECK(!points_at({2, 4, true}, mask));  // the border is not the object
    CHECK(!points_at({}, mask, 100));       // points nowhere
}

TEST_CASE("energy: the share of the map on the object, the border left out") {
    const Tensor mask = mask_from({"oo", ".x"});
    CHECK(energy_on_object(heat_from(2, 2, {1, 2, 1, 100}), mask) == doctest::Approx(0.75));
    CHECK(std::isnan(energy_on_object(Tensor::zeros({2, 2}), mask)));
}

TEST_CASE("masks from boxes and boxes from masks; what lies outside the photo is cut off") {
    const Tensor mask = mask_of({{1, 0, 2, 1}, {-5, -5, 0, 0}, {7, 7, 9, 9}}, 3, 4);
    const std::vector<std::uint8_t> expected{1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0};
    CHECK(std::equal(expected.begin(), expected.end(), mask.data<std::uint8_t>()));
    CHECK(box_around(mask) == Rectangle{0, 0, 2, 1});
    CHECK_THROWS_AS(box_around(mask_from({"..", ".x"})), Error);
}

TEST_CASE("a sweep of thresholds starts at 0 and ends below 1") {
    CHECK(sweep(5) == std::vector<double>{0, 0.2, 0.4, 0.6, 0.8});
    CHECK(sweep(1000).back() == doctest::Approx(0.999));
    CHECK_THROWS_AS(sweep(0), Error);
}
