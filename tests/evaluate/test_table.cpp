// From the numbers of photos to the table: intervals, records that survive anything, what is printed.
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "evaluate/baselines.h"
#include "evaluate/page.h"
#include "tests/cli/command.h"
#include "tests/support.h"

using namespace limn;

namespace {

Metric metric(const std::string& id) {
    for (const Metric& m : metrics())
        if (m.id == id) return m;
    FAIL("no metric ", id);
    return {};
}

PhotoRecord record(const std::string& photo, double grad_cam, double box) {
    PhotoRecord r{photo, {}, "cat", "cat", "cat", 0.75, {}, {}};
    Rating a, b;
    a.numbers = {{"pointing", grad_cam}, {"drop", 10}};
    a.box_hits = grad_cam > 50 ? "70" : "07";
    a.pixels = {{1, 0, 3}, {4, 1, 0}};
    b.numbers = {{"pointing", box}};
    r.maps = {{"grad-cam", a}, {"centre-box", b}};
    return r;
}

}  // namespace

TEST_CASE("quantiles as NumPy's percentile") {
    const std::vector<double> v{1, 2, 4, 8};
    CHECK(quantile(v, 0.1) == doctest::Approx(1.3));
    CHECK(quantile(v, 0.5) == 3);
    CHECK(quantile(v, 0.9) == doctest::Approx(6.8));
    CHECK(quantile(v, 1) == 8);
    CHECK_THROWS_AS(quantile({}, 0.5), Error);
}

TEST_CASE("the bootstrap's interval: of a mean it is close to 1.96 standard errors; the same seed, the same numbers") {
    std::vector<double> values;
    for (int i = 0; i < 400; i++) values.push_back(i % 4 == 0 ? 100 : 0);  // a quarter hits
    const Estimate e = bootstrap_mean(values);
    CHECK(e.value == 25);
    CHECK(e.count == 400);
    const double error = std::sqrt(25 * 75 / 400.);
    CHECK(e.low == doctest::Approx(25 - 1.96 * error).epsilon(0.03));
    CHECK(e.high == doctest::Approx(25 + 1.96 * error).epsilon(0.03));
    CHECK(bootstrap_mean(values).low == e.low);
    CHECK(bootstrap_mean(values, {1000, 0.95, 2}).low != e.low);
    CHECK(bootstrap_mean(std::vector<double>{7}).low == 7);
    CHECK(std::isnan(bootstrap_mean({}).value));
    CHECK(bootstrap_mean({}).count == 0);
}

TEST_CASE("baselines: they know nothing, and are what they say") {
    Image photo{40, 60, std::vector<std::uint8_t>(40 * 60 * 3, 10)};
    for (Index r = 0; r < 40; r++)
        for (Index c = 30; c < 60; c++) std::fill_n(photo.pixel(r, c), 3, std::uint8_t(200));
    std::map<std::string, Tensor> maps;
    for (const Baseline& b : baselines()) maps[b.name] = b.map(photo, 40, 60, 1);
    double area = 0;
    for (float v : maps.at("centre-box").values()) area += double(v);
    CHECK(area / 2400 == doctest::Approx(0.5).epsilon(0.03));
    CHECK(maps.at("centre-box").at({20, 30}) == 1);
    CHECK(maps.at("centre-box").at({0, 0}) == 0);
    const Peak peak = peak_of(maps.at("centre-gauss"));
    CHECK(std::abs(peak.row - 20) <= 1);
    CHECK(std::abs(peak.column - 30) <= 1);
    CHECK(maps.at("random").shape() == Shape{7, 7});
    CHECK(maps.at("edges").at({20, 5}) == 0);
    CHECK(maps.at("edges").at({20, 30}) == doctest::Approx(4 * 190));  // Sobel
    for (const Baseline& b : baselines()) {
        CHECK(same_bits(b.map(photo, 16, 16, 3), b.map(photo, 16, 16, 3)));
        CHECK(b.map(photo, 1, 1, 3).size() == 1);
    }
    CHECK(!same_bits(baselines()[2].map(photo, 16, 16, 3), baselines()[2].map(photo, 16, 16, 4)));
}

TEST_CASE("metrics: what the truth allows; a wrong wish is said with its remedy") {
    const auto ids = [](const std::vector<Metric>& list) {
        std::string text;
        for (const Metric& m : list) text += m.id + " ";
        return text;
    };
    CHECK(ids(chosen_metrics({"auto"}, {})) == "drop increase ");
    CHECK(ids(chosen_metrics({"drop", "pointing"}, {.boxes = true})) == "pointing drop ");  // in the table's order
    CHECK(ids(chosen_metrics({"auto"}, {.boxes = true})).find("ap ") == std::string::npos);
    CHECK(ids(chosen_metrics({"auto"}, {.masks = true})).find("ap ") != std::string::npos);
    CHECK(ids(chosen_metrics({"auto"}, {.masks = true, .labels = true})).find("top5") == std::string::npos);
    CHECK(chosen_metrics({"all"}, {true, true, true, true}).size() == metrics().size());
    // the answer's class with another class's box is no answer
    CHECK(ids(chosen_metrics({"all"}, {true, true, true})).find("top1") == std::string::npos);
    CHECK(ids(chosen_metrics({"top1-error"}, {.boxes = true, .labels = true, .maps_of_answers = true})) == "top1-error ");
    CHECK(complaint([] { chosen_metrics({"top1-error"}, {true, true, true}); }).find("--target auto or label") != std::string::npos);
    CHECK(complaint([] { chosen_metrics({"ap"}, {.boxes = true}); }) == "--metrics ap needs masks: --masks FOLDER");
    CHECK(complaint([] { chosen_metrics({"top5-error"}, {true, true, true, false}); }).find("--target label") != std::string::npos);
    CHECK(complaint([] { chosen_metrics({"accuracy"}, {}); }).find("'accuracy'") == std::string::npos);
    CHECK(complaint([] { chosen_metrics({"accuracy"}, {}); }).find("--metrics accuracy: is not known; auto, all, pointing,") !=
          std::string::npos);
}

TEST_CASE("rating: a map that covers the object, one that says nothing, and a photo without truth") {
    RatingSettings settings{chosen_metrics({"all"}, {true, true, true, true}), 0, 100, 1};
    Tensor raw = Tensor::zeros({4, 4});
    for (Index i : {5, 6, 9, 10}) raw.data()[i] = 3;
    raw.data()[0] = -7;  // counts as 0
    Truth truth;
    truth.mask = mask_of({{8, 8, 23, 23}}, 32, 32), truth.drawn = true;
    truth.boxes = {box_around(truth.mask)};
    Rating good;
    rate_place(settings, raw, truth, 32, 32, Answer{true, true}, good);
    CHECK(good.numbers.at("pointing") == 100);
    CHECK(good.numbers.at("loc-20") == 100);
    CHECK(good.numbers.at("top1-error") == 0);
    CHECK(good.numbers.at("ap") > 99);  // enlarged cells have soft corners
    CHECK(good.numbers.at("energy") > 60);
    CHECK(good.box_hits.size() == 100);
    CHECK(good.pixels.object.size() == 101);

    Rating wrong_class;
    rate_place(settings, raw, truth, 32, 32, Answer{false, true}, wrong_class);
    CHECK(wrong_class.numbers.at("top1-error") == 100);
    CHECK(wrong_class.numbers.at("top5-error") == 0);

    for (const Tensor& nothing : {Tensor::zeros({4, 4}), Tensor::full({4, 4}, -1), Tensor::full({4, 4}, NAN)}) {
        Rating none;
        rate_place(settings, nothing, truth, 32, 32, {}, none);
        CHECK(none.numbers.at("pointing") == 0);
        CHECK(none.numbers.at("iou-15") == 0);
        CHECK(none.numbers.at("ap") == doctest::Approx(25));  // the object's share
        CHECK(!none.numbers.contains("energy"));
        CHECK(!none.numbers.contains("top1-error"));
    }
    Rating unknown;
    rate_place(settings, raw, {}, 32, 32, Answer{true, true}, unknown);
    CHECK(unknown.numbers.empty());
    Truth empty_mask;
    empty_mask.mask = Tensor::zeros({32, 32}, DType::u8);
    rate_place(settings, raw, empty_mask, 32, 32, {}, unknown);
    CHECK(unknown.numbers.empty());
    CHECK_THROWS_AS(rate_place(settings, Tensor({0, 4}), truth, 32, 32, {}, unknown), Error);

    Rating tiny;  // a photo of one pixel
    truth.mask = mask_of({{0, 0, 0, 0}}, 1, 1), truth.boxes = {{0, 0, 0, 0}};
    rate_place(settings, raw, truth, 1, 1, {}, tiny);
    CHECK(tiny.box_hits.size() == 100);
}

TEST_CASE("records: what was appended is read again, to the bit, in the order of names") {
    const TemporaryFolder folder;
    const NamedTexts settings{{"model", "paws"}, {"seed", "1"}};
    {
        PhotoRecords records(folder / "photos.jsonl", settings);
        CHECK(records.size() == 0);
        records.append(record("b.jpg", 100.0 / 3, 0.1));
        records.append({"a\xff.jpg", "cannot be read", {}, {}, {}, 0, {}, {}});
    }
    PhotoRecords records(folder / "photos.jsonl", settings);
    CHECK(records.size() == 2);
    const auto list = records.read();
    REQUIRE(list.size() == 2);
    CHECK(list[0].problem == "cannot be read");
    CHECK(list[1].maps[0].second.numbers.at("pointing") == 100.0 / 3);
    CHECK(list[1].maps[0].second.box_hits == "07");
    CHECK(list[1].maps[0].second.pixels.object == std::vector<std::int64_t>{1, 0, 3});
    CHECK(list[1].maps[1].second.pixels.object.empty());
    CHECK(list[1].score == 0.75);
}

TEST_CASE("records: a photo's last line counts, and holds for the files it was made of") {
    const TemporaryFolder folder;
    write_file(folder / "a.jpg", std::string("1"));
    const std::string before = state_of({folder / "a.jpg", folder / "none.png", {}});
    CHECK(before == state_of({folder / "a.jpg"}));
    write_file(folder / "a.jpg", std::string("22"));
    const std::string after = state_of({folder / "a.jpg"});
    CHECK(after != before);
    std::filesystem::last_write_time(folder / "a.jpg", std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
    CHECK(state_of({folder / "a.jpg"}) != after);  // as large, but changed
    CHECK(state_of({}).empty());

    PhotoRecord first = record("a.jpg", 1, 2), second = record("a.jpg", 3, 4);
    first.files = before, second.files = after;
    for (int time : {1, 2}) {  // as written, and as read again
        CAPTURE(time);
        PhotoRecords records(folder / "photos.jsonl", {});
        if (time == 1) records.append(first);
        CHECK(records.holds("a.jpg", before) == (time == 1));
        if (time == 1) records.append(second);
        CHECK_FALSE(records.holds("a.jpg", before));
        CHECK(records.holds("a.jpg", after));
        CHECK_FALSE(records.holds("b.jpg"));
        REQUIRE(records.read().size() == 1);
        CHECK(records.read()[0].maps[0].second.numbers.at("pointing") == 3);
    }
}

TEST_CASE("records: a torn last line is cut off; other damage and other settings are said") {
    const TemporaryFolder folder;
    const auto path = folder / "photos.jsonl";
    const NamedTexts settings{{"model", "paws"}, {"seed", "1"}};
    { PhotoRecords(path, settings).append(record("a.jpg", 1, 2)); }
    const std::string sound = slurp(path);
    for (const std::string torn : {"{\"photo\":\"b.jpg\",\"lab", "{", "\0\0\0"}) {
        write_file(path, sound + torn);
        const PhotoRecords records(path, settings);
        CHECK(records.size() == 1);
        CHECK(records.holds("a.jpg"));
        CHECK(slurp(path) == sound);
    }
    write_file(path, sound.substr(0, 20));  // within the first line
    CHECK(PhotoRecords(path, settings).size() == 0);

    write_file(path, sound + "rubbish\n");
    CHECK(complaint([&] { PhotoRecords(path, settings); }).find("line 3 is damaged: delete that line") != std::string::npos);
    write_file(path, sound);
    CHECK(complaint([&] {
              PhotoRecords(path, {{"model", "paws"}, {"seed", "2"}});
          }).find("seed was '1' and is '2' now; take another --out") != std::string::npos);
    CHECK(complaint([&] {
              PhotoRecords(path, {{"model", "paws"}});
          }).find("seed was '1' and is '' now; take another --out") != std::string::npos);
    CHECK(slurp(path) == sound);
    CHECK(complaint([&] { PhotoRecords("/nowhere/photos.jsonl", settings); }).find("cannot be written") != std::string::npos);
    if (std::filesystem::exists("/dev/full")) CHECK(complaint([&] { PhotoRecords("/dev/full", settings); }) != "");
}

TEST_CASE("the table: means, numbers of the whole set, the best method, and what is unknown") {
    std::vector<PhotoRecord> records{
        record("a.jpg", 100, 100), record("b.jpg", 0, 100), {"c.jpg", "cannot be read", {}, {}, {}, 0, {}, {}}};
    const Table table = table_of(records, {metric("pointing"), metric("pxap"), metric("maxboxacc"), metric("drop")}, {});
    CHECK(table.photos == 2);
    CHECK(table.left_out == std::vector<std::string>{"c.jpg: cannot be read"});
    REQUIRE(table.rows.size() == 2);
    CHECK(table.rows[0].cells[0].value == 50);
    CHECK(table.rows[0].cells[2].value == 50);
    CHECK(table.rows[0].cells[1].value == doctest::Approx(100 * (3. / 4 * 3 / 3 + 1. / 4 * 4 / 9)));  // bins from above: 6 of 6, 0, 2 of 10
    CHECK(table.rows[0].cells[3].value == 10);
    CHECK(table.rows[1].baseline);
    CHECK(table.rows[1].cells[1].count == 0);
    CHECK(is_best(table, 0, 0));
    CHECK(!is_best(table, 1, 0));  // baselines do not compete

    const std::string text = terminal_text(table, 60);
    CHECK(text.find("pointing % (+)") != std::string::npos);
    CHECK(text.find("50.0 [0.0, 100.0]*") != std::string::npos);
    CHECK(text.find("drop % (-)") != std::string::npos);
    for (const std::string& row : {std::string("grad-cam,no,50,0,100,2"), std::string("centre-box,yes,100,100,100,2,,,,0")})
        CHECK(csv_text(table).find(row) != std::string::npos);
    const auto json = nlohmann::json::parse(json_text(table, {{"model", "paws"}}));
    CHECK(json["methods"][0]["numbers"]["pointing"]["value"] == 50);
    CHECK(!json["methods"][1]["numbers"].contains("drop"));
    CHECK(table_of({}, {metric("drop")}, {}).rows.empty());
    CHECK(table_of({{"d.jpg", "", {}, {}, {}, 0, {}, {}}}, {metric("pointing")}, {}).without_place == 1);
    for (const char* other : {"drop", "top1-error"})  // nobody asked; or what is missing may be the label
        CHECK(table_of({{"d.jpg", "", {}, {}, {}, 0, {}, {}}}, {metric(other)}, {}).without_place == 0);
    CHECK(terminal_text(table_of({}, {metric("drop")}, {}), 80) != "");
}

TEST_CASE("the page shows the best and the worst photos, none twice, and no foreign markup") {
    std::vector<PhotoRecord> records;
    for (int i = 0; i < 5; i++) {
        records.push_back(record(fmt::format("<{}>.jpg", i), 0, 0));
        records.back().maps[0].second.numbers["drop"] = 10 * i;
    }
    const Extremes e = extremes_of(records, "grad-cam", metric("drop"), 4);
    CHECK(e.best.size() == 3);
    CHECK(e.best[0].second == 0);  // lower is better
    CHECK(e.worst.size() == 2);
    CHECK(e.worst[0].second == 40);
    CHECK(extremes_of(records, "centre-box", metric("drop"), 4).best.empty());
    CHECK(ranking_metric({metric("pointing")}) == nullptr);

    const Table table = table_of(records, {metric("drop")}, {});
    const Image grey{4, 4, std::vector<std::uint8_t>(48, 99)};
    const Metric drop_metric = metric("drop");
    const std::string page = html_page("<b>", table, {{"model", "<i>"}}, &drop_metric, {{"grad-cam", {{e.best[0].first, grey}}, {}}});
    CHECK(page.find("&lt;0&gt;.jpg") != std::string::npos);
    CHECK(page.find("<0>") == std::string::npos);
    CHECK(page.find("<i>") == std::string::npos);
    CHECK(page.find("data:image/jpeg;base64,") != std::string::npos);
    CHECK(page.find("src=\"http") == std::string::npos);
}
