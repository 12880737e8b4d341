// Faithfulness on networks so small that the numbers can be written down: sums, and "is there still a zero?".
// Cases of xplique (tests/metrics/test_fidelity.py), RISE (evaluation.py), captum (tests/metrics/test_sensitivity.py) in our words.
#include "autograd/gradcheck.h"
#include "evaluate/faithfulness.h"
#include "evaluate/rating.h"
#include "evaluate/road.h"
#include "evaluate/similarity.h"
#include "tests/support.h"

using namespace limn;

namespace {

// One number an input, by a rule for its pixels.
template <class Rule> Scorer each(Rule rule) {
    return [rule](const Tensor& inputs) {
        std::vector<double> scores;
        for (Index i = 0; i < inputs.shape()[0]; i++) scores.push_back(rule(inputs.rows(i, 1)));
        return scores;
    };
}

double sum(const Tensor& x) {
    double total = 0;
    for (float v : x.values()) total += double(v);
    return total;
}

Tensor line(std::vector<float> values) { return Tensor::from({1, 1, Index(values.size()), 1}, values); }
Tensor heat_of_line(std::vector<float> values) { return Tensor::from({1, Index(values.size())}, values); }

}  // namespace

TEST_CASE("a masked input is the input times the map, in every channel") {
    const Tensor input = Tensor::from({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4});
    const Tensor expected = Tensor::from({1, 1, 2, 2}, std::vector<float>{0.5f, 1, 0, 0});
    CHECK(same_bits(masked(input, heat_of_line({0.5f, 0})), expected));
    CHECK_THROWS_AS(masked(input, Tensor::zeros({2, 2})), Error);
}

TEST_CASE("drop and increase of the score") {
    CHECK(drop(0.5, 0.2) == doctest::Approx(60));
    CHECK(drop(0.5, 0.7) == 0);
    CHECK(increase(0.5, 0.7) == 100);
    CHECK(increase(0.5, 0.5) == 0);
    // a share of nothing, or of less than nothing (a linear head), is no share; and a score that is no number is no good one
    CHECK(std::isnan(drop(0, 0)));
    CHECK(std::isnan(drop(-1, -2)));
    CHECK(std::isnan(drop(0.5, std::nan(""))));
    CHECK(std::isnan(increase(0.5, std::nan(""))));
}

TEST_CASE("a rating holds the numbers that were asked for, each its own: a sum of four pixels, by hand") {
    CHECK(deviation_of(line({1, 3})) == 1);
    const Tensor input = line({1, 2, 3, 4}), raw = heat_of_line({8, 6, 4, 2});
    const Scorer whole = each([](const Tensor& x) { return sum(x); });
    RatingSettings settings{chosen_metrics({"drop", "increase", "insertion", "deletion", "road"}, {}), 1};
    Rating rating;
    rate_faithfulness(settings, raw, input, whole, 10, rating);
    CHECK(rating.numbers.size() == 5);
    CHECK(rating.numbers["drop"] == doctest::Approx(50));  // 1 + 2 * .75 + 3 * .5 + 4 * .25 = 5
    CHECK(rating.numbers["increase"] == 0);
    CHECK(rating.numbers["deletion"] == doctest::Approx((10 / 2. + 9 + 7 + 4 + 0 / 2.) / 4));
    const Tensor start = blurred(input);
    double score = sum(start), area = score / 2;
    for (Index i = 0; i < 4; i++) score += double(input.data()[i] - start.data()[i]), area += i < 3 ? score : score / 2;
    CHECK(rating.numbers["insertion"] == doctest::Approx(area / 4));
    RoadOptions noisy;
    noisy.noise *= deviation_of(input);
    CHECK(rating.numbers["road"] == road(whole, input, heat_of_line({1, 0.75f, 0.5f, 0.25f}), noisy));

    rating = {};
    settings.metrics = chosen_metrics({"increase"}, {});
    rate_faithfulness(settings, raw, input, whole, 4, rating);
    CHECK(rating.numbers == std::map<std::string, double>{{"increase", 100}});
}

TEST_CASE("steps: so many pixels at a time, or so many points") {
    CHECK(steps_of_pixels(10, 4) == std::vector<Index>{0, 4, 8, 10});
    CHECK(steps_of_pixels(8, 4) == std::vector<Index>{0, 4, 8});
    CHECK(steps_of_pixels(1, 224) == std::vector<Index>{0, 1});
    CHECK(steps_of_count(10, 4) == std::vector<Index>{0, 2, 5, 7, 10});
    CHECK_THROWS_AS(steps_of_pixels(10, 0), Error);
}

TEST_CASE("deletion takes the hottest pixels first; of equal ones the first") {
    const Tensor input = line({.1f, .2f, .3f, .4f});
    const ScoreCurve curve = deletion_curve(each(sum), input, heat_of_line({0, .5f, .5f, 1}), {0, 1, 2, 3, 4});
    const std::vector<double> expected{1, 0.6, 0.4, 0.1, 0};
    for (std::size_t i = 0; i < expected.size(); i++) CHECK(curve.score[i] == doctest::Approx(expected[i]));
    CHECK(curve.share == std::vector<double>{0, 0.25, 0.5, 0.75, 1});
    CHECK(area_by_steps(curve) == doctest::Approx((0.5 + 0.6 + 0.4 + 0.1) / 4));
}

TEST_CASE("for a sum, what deletion takes away insertion brings: the areas add up to the score") {
    const Tensor input = line({.4f, .1f, .3f, .2f}), heat = heat_of_line({.4f, .1f, .3f, .2f}), nothing = Tensor::zeros(input.shape());
    for (Index points : {1, 2, 4, 20}) {
        const double deletion = area_by_steps(exchange_curve(each(sum), input, nothing, heat, steps_of_count(4, points)));
        const double insertion = area_by_steps(exchange_curve(each(sum), nothing, input, heat, steps_of_count(4, points)));
        CHECK(deletion + insertion == doctest::Approx(1));
        if (points == 4) CHECK(deletion == doctest::Approx((0.5 + 0.6 + 0.3 + 0.1) / 4));
    }
}

TEST_CASE("a last step of other size: RISE counts it as a whole one, shares as what it is") {
    // 5 pixels, 2 at a time: 1, .6, .2, 0 at shares 0, .4, .8, 1
    const Tensor input = line({.2f, .2f, .2f, .2f, .2f});
    const ScoreCurve curve = deletion_curve(each(sum), input, heat_of_line({5, 4, 3, 2, 1}), steps_of_pixels(5, 2));
    CHECK(area_by_steps(curve) == doctest::Approx((0.5 + 0.6 + 0.2) / 3));
    CHECK(area_by_shares(curve) == doctest::Approx(0.5));
}

TEST_CASE("RISE's area of a curve") {
    CHECK(area_by_steps({{}, {1, 0.5, 0.25, 0}}) == doctest::Approx(1.25 / 3));
    CHECK(area_by_steps({{}, {1, 1}}) == 1);
    CHECK_THROWS_AS(area_by_steps({{}, {1}}), Error);
}

TEST_CASE("a network that fails at the first missing pixel has the lowest deletion, one that needs a single pixel the highest insertion") {
    Tensor input = random_tensor({1, 16, 16, 1}, 3);
    for (float& v : input.values()) v = std::abs(v) + 0.1f;
    const Tensor heat = input.reshaped({16, 16});
    const Scorer whole = each([](const Tensor& x) { return double(std::ranges::none_of(x.values(), [](float v) { return v == 0; })); });
    const Scorer any = each([](const Tensor& x) { return double(std::ranges::any_of(x.values(), [](float v) { return v != 0; })); });
    const std::vector<Index> steps = steps_of_pixels(256, 1);
    CHECK(area_by_steps(deletion_curve(whole, input, heat, steps)) == doctest::Approx(0.5 / 256));
    CHECK(area_by_steps(exchange_curve(any, Tensor::zeros(input.shape()), input, heat, steps)) == doctest::Approx(1 - 0.5 / 256));
}

TEST_CASE("batches of a curve do not matter") {
    Index largest = 0;
    const Scorer scorer = [&](const Tensor& inputs) {
        largest = std::max(largest, inputs.shape()[0]);
        return each(sum)(inputs);
    };
    const auto one = scores_of(scorer, 40, [](Index i) { return line({float(i), 1}); });
    CHECK(largest == 16);
    const auto other = scores_of(
        scorer, 40,
        [](Index i) {
            return line({float(i), 1});
        },
        1);
    CHECK(one == other);
    CHECK(one[39] == 40);
}

TEST_CASE("insertion's blur: RISE's eleven weights, zeros beyond the edges") {
    // scipy.ndimage.gaussian_filter of a single 1 in 11 places
    const std::vector<double> expected{0.08795814577727815, 0.08889611977709484, 0.09047419654910865,
                                       0.09219111781938806, 0.09348938844291409, 0.09398206326843249};
    const std::vector<double> kernel = folded_gaussian(11, 5);
    REQUIRE(kernel.size() == 11);
    for (std::size_t i = 0; i < 11; i++) CHECK(kernel[i] == doctest::Approx(expected[std::min(i, 10 - i)]).epsilon(1e-9));

    Tensor ramp({1, 4, 5, 1});
    for (Index i = 0; i < 20; i++) ramp.data()[i] = float(i);
    const Tensor soft = blurred(ramp);
    CHECK(soft.data()[0] == doctest::Approx(1.59564941363412));  // scipy.signal.convolve2d
    CHECK(soft.data()[13] == doctest::Approx(1.6515324978965655));
    const Tensor plain = Tensor::full({1, 31, 31, 2}, 3);
    CHECK(blurred(plain).at({0, 15, 15, 1}) == doctest::Approx(3));
}

TEST_CASE("sensitivity: 0 where the map does not follow the input, the noise's share where it is the input") {
    const Tensor input = random_tensor({1, 4, 4, 1}, 5);
    const auto constant = [](const Tensor&) { return std::vector<Tensor>{Tensor::full({4, 4}, 2)}; };
    CHECK(max_sensitivity(constant, input, 0.02, 10, 1) == std::vector<double>{0});

    double largest = 0;
    const auto identity = [&](const Tensor& x) {
        double squares = 0, own = 0;
        for (Index i = 0; i < 16; i++) {
            squares += std::pow(double(x.data()[i]) - double(input.data()[i]), 2), own += std::pow(double(input.data()[i]), 2);
            CHECK(std::abs(x.data()[i] - input.data()[i]) <= 0.02f * 1.001f);
        }
        largest = std::max(largest, std::sqrt(squares / own));
        Tensor twice = x.clone();
        for (float& v : twice.values()) v *= 2;
        return std::vector<Tensor>{x.reshaped({4, 4}).clone(), twice.reshaped({4, 4})};  // a factor changes nothing
    };
    const std::vector<double> found = max_sensitivity(identity, input, 0.02, 10, 1);
    CHECK(found[0] == doctest::Approx(largest));
    CHECK(found[1] == doctest::Approx(largest));
    CHECK(found == max_sensitivity(identity, input, 0.02, 10, 1));
    CHECK(found != max_sensitivity(identity, input, 0.02, 10, 2));

    const auto zero = [](const Tensor&) { return std::vector<Tensor>{Tensor::zeros({2, 2})}; };  // 0 / 1, not 0 / 0
    CHECK(max_sensitivity(zero, input, 0.02, 3, 1) == std::vector<double>{0});
    CHECK_THROWS_AS(max_sensitivity(zero, input, 0.02, 0, 1), Error);

    // a map without numbers, be it the first or one in between, is not a steady one
    Index asked = 0;
    const auto broken = [&](const Tensor&) {
        return std::vector<Tensor>{Tensor::full({2, 2}, std::nanf("")), Tensor::full({2, 2}, ++asked == 2 ? std::nanf("") : 1)};
    };
    for (double found_of_broken : max_sensitivity(broken, input, 0.02, 3, 1)) CHECK(std::isnan(found_of_broken));
}

TEST_CASE("imputation: a missing pixel is the weighted mean of its neighbours") {
    const Tensor input = Tensor::from({1, 3, 3, 1}, std::vector<float>{12, 6, 0, 6, 99, 0, 0, 0, 24});
    Tensor missing = Tensor::zeros({3, 3}, DType::u8);
    missing.data<std::uint8_t>()[4] = 1;
    CHECK(imputed(input, missing, 0, 1).data()[4] == doctest::Approx((6 + 6) / 6. + (12 + 24) / 12.));
    CHECK(imputed(input, missing, 0, 1).data()[0] == 12);
    const Tensor noisy = imputed(input, missing, 0.5, 1);
    CHECK(noisy.data()[4] != doctest::Approx(5));
    CHECK(same_bits(noisy, imputed(input, missing, 0.5, 1)));
    CHECK(!same_bits(noisy, imputed(input, missing, 0.5, 2)));
    // along a line it is linear
    Tensor gap = Tensor::zeros({1, 5}, DType::u8);
    for (Index i = 1; i < 4; i++) gap.data<std::uint8_t>()[i] = 1;
    const Tensor filled = imputed(line({0, 9, 9, 9, 4}), gap, 0, 1);
    for (Index i = 0; i < 5; i++) CHECK(filled.data()[i] == doctest::Approx(double(i)).epsilon(1e-5));
    // nothing is known: 0; all is known: nothing changes
    for (auto& v : missing.values<std::uint8_t>()) v = 1;
    CHECK(sum(imputed(input, missing, 0, 1)) == 0);
    CHECK(same_bits(imputed(input, Tensor::zeros({3, 3}, DType::u8), 0.5, 1), input));
}

// The same system, solved by Gaussian elimination.
static std::vector<double> imputed_densely(const Tensor& input, const Tensor& missing) {
    const Index H = input.shape()[1], W = input.shape()[2], n = H * W;
    std::vector<std::vector<double>> rows;
    for (Index i = 0; i < n; i++) {
        std::vector<double> row(std::size_t(n + 1), 0);
        if (!missing.data<std::uint8_t>()[i]) {
            row[std::size_t(i)] = 1, row[std::size_t(n)] = input.data()[i];
        } else {
            for (Index dr = -1; dr <= 1; dr++)
                for (Index dc = -1; dc <= 1; dc++) {
                    const Index r = i / W + dr, c = i % W + dc;
                    if ((dr == 0 && dc == 0) || r < 0 || c < 0 || r >= H || c >= W) continue;
                    const double weight = dr == 0 || dc == 0 ? 1. / 6 : 1. / 12;
                    row[std::size_t(i)] += weight, row[std::size_t(r * W + c)] -= weight;
                }
        }
        rows.push_back(row);
    }
    for (Index k = 0; k < n; k++)
        for (Index i = 0; i < n; i++) {
            if (i == k) continue;
            const double factor = rows[std::size_t(i)][std::size_t(k)] / rows[std::size_t(k)][std::size_t(k)];
            for (Index j = 0; j <= n; j++) rows[std::size_t(i)][std::size_t(j)] -= factor * rows[std::size_t(k)][std::size_t(j)];
        }
    std::vector<double> x;
    for (Index i = 0; i < n; i++) x.push_back(rows[std::size_t(i)][std::size_t(n)] / rows[std::size_t(i)][std::size_t(i)]);
    return x;
}

TEST_CASE("imputation: the system as a whole, against elimination") {
    for (double share : {0.2, 0.6, 0.95}) {
        const Tensor input = random_tensor({1, 9, 11, 1}, 7), chance = random_tensor({9, 11}, 8);
        std::vector<float> sorted(chance.values().begin(), chance.values().end());
        std::sort(sorted.begin(), sorted.end());
        Tensor missing({9, 11}, DType::u8);
        for (Index i = 0; i < 99; i++) missing.data<std::uint8_t>()[i] = chance.data()[i] < sorted[std::size_t(share * 98)];
        const std::vector<double> expected = imputed_densely(input, missing);
        const Tensor found = imputed(input, missing, 0, 1);
        for (Index i = 0; i < 99; i++) CHECK(found.data()[i] == doctest::Approx(expected[std::size_t(i)]).epsilon(1e-6));
    }
}

TEST_CASE("ROAD is above 0 for a map that ranks pixels as the network does, and turns its sign with the map") {
    Tensor input = Tensor::zeros({1, 12, 12, 1}), heat = Tensor::zeros({12, 12});
    for (Index i = 0; i < 144; i++) {
        const bool bright = i / 12 >= 3 && i / 12 < 7 && i % 12 >= 3 && i % 12 < 7;
        input.data()[i] = bright;
        heat.data()[i] = (bright ? 0.5f : 0) + 0.4f * float(i) / 144;  // no two alike
    }
    const Scorer brightness = each([](const Tensor& x) { return sum(x) / 16; });
    RoadOptions options;
    options.noise = 0;
    const double good = road(brightness, input, heat, options);
    CHECK(good > 0.1);
    Tensor opposite = heat.clone();
    for (float& v : opposite.values()) v = 1 - v;
    CHECK(road(brightness, input, opposite, options) == doctest::Approx(-good).epsilon(1e-3));
    options.noise = 0.01;
    CHECK(road(brightness, input, heat, options) == road(brightness, input, heat, options));
    options.noise = 0;
    CHECK(road(brightness, input, Tensor::full({12, 12}, 1), options) == 0);  // of equal pixels all go, both times
}

TEST_CASE("rank correlation (SciPy's number) and its ends") {
    Tensor a({8, 9}), b({8, 9});
    for (Index i = 0; i < 8; i++)
        for (Index j = 0; j < 9; j++)
            a.data()[i * 9 + j] = float((i * 7 + j * 3) % 11) / 10, b.data()[i * 9 + j] = float((i * 5 + j * 4) % 13) / 12;
    CHECK(rank_correlation(a, b) == doctest::Approx(-0.09551114514244509));
    CHECK(rank_correlation(a, a) == doctest::Approx(1));
    Tensor cubed = a.clone(), opposite = a.clone();
    for (float& v : cubed.values()) v = v * v * v;
    for (float& v : opposite.values()) v = -v;
    CHECK(rank_correlation(a, cubed) == doctest::Approx(1));
    CHECK(rank_correlation(a, opposite) == doctest::Approx(-1));
    CHECK(std::isnan(rank_correlation(a, Tensor::full({8, 9}, 1))));
    CHECK_THROWS_AS(rank_correlation(a, Tensor::zeros({2, 2})), Error);
}

TEST_CASE("structural similarity (scikit-image's number) and its ends") {
    Tensor a({8, 9}), b({8, 9});
    for (Index i = 0; i < 8; i++)
        for (Index j = 0; j < 9; j++)
            a.data()[i * 9 + j] = float((i * 7 + j * 3) % 11) / 10, b.data()[i * 9 + j] = float((i * 5 + j * 4) % 13) / 12;
    CHECK(structural_similarity(a, b) == doctest::Approx(-0.07671563275398662).epsilon(1e-5));
    CHECK(structural_similarity(a, a) == doctest::Approx(1));
    CHECK(structural_similarity(Tensor::zeros({1, 1}), Tensor::zeros({1, 1})) == doctest::Approx(1));
}

TEST_CASE("torch-cam 0.5.0's metrics, on a network that sums up weighted pixels: its numbers for ten pixels in 5, 4, 3 and 10 steps") {
    // DeletionInsertionMetric(steps) and ClassificationMetric, run on these arrays: ceil(10 / steps) pixels at a time, zeros on both ways,
    // trapezoids over the real shares, so that 4 and 3 steps, which do not divide 10, count for what they are
    const float weights[] = {.1f, .05f, .02f, .01f, .02f, .005f, .01f, .02f, .005f, .01f};
    const Scorer weighted = each([&](const Tensor& x) {
        double total = 0;
        for (Index i = 0; i < 10; i++) total += double(weights[i]) * double(x.data()[i]);
        return total;
    });
    const Tensor input = line({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), nothing = Tensor::zeros(input.shape());
    const Tensor heat = heat_of_line({.9f, .1f, .5f, .3f, .8f, .2f, .7f, .4f, .6f, 1});
    struct {
        Index steps;
        double deletion, insertion;
    } const expected[] = {{5, 0.3805, 0.4245}, {4, 0.39125, 0.41375}, {3, 0.374, 0.431}, {10, 0.37725, 0.42775}};
    for (const auto& e : expected) {
        CAPTURE(e.steps);
        const auto steps = steps_of_pixels(10, (10 + e.steps - 1) / e.steps);
        CHECK(area_by_shares(exchange_curve(weighted, input, nothing, heat, steps)) == doctest::Approx(e.deletion).epsilon(1e-6));
        CHECK(area_by_shares(exchange_curve(weighted, nothing, input, heat, steps)) == doctest::Approx(e.insertion).epsilon(1e-6));
    }
    const double before = weighted(input)[0], after = weighted(masked(input, heat))[0];
    CHECK(drop(before, after) == doctest::Approx(41.863351).epsilon(1e-6));  // theirs: .41863346, with 1e-7 added to the score
    CHECK(increase(before, after) == 0);
}
