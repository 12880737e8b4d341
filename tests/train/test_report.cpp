// What a run leaves to look at: history.csv, pictures, and the page.
#include <fstream>
#include <sstream>

#include "engine/file.h"
#include "tests/support.h"
#include "tests/train/photos.h"
#include "train/history.h"
#include "train/picture_folder.h"
#include "train/training_report.h"
#include "view/chart.h"
#include "view/html.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
    const auto bytes = read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t i = 0; (i = text.find(part, i)) != text.npos; i += part.size()) count++;
    return count;
}

Run run_from(int first_epoch, const fs::path& folder) {
    return {"paws", folder, {"cat", "dog"}, {{"learning_rate", "0.001"}, {"teacher", ""}}, "limn train <photos>", 4, first_epoch, 0};
}
void tell_epoch(Callback& callback, int number, double accuracy, bool pictures = true) {
    static const Model none;
    Epoch epoch{
        number,
        none,
        {{"loss", 1.0 / number}, {"accuracy", accuracy}, {"val_loss", 2.0 / number}, {"val_accuracy", accuracy}, {"images_per_second", 90}},
        {}};
    if (pictures) {
        epoch.pictures.push_back({"images", {{"cat 0.9", test_photo(300, 200, 1)}}});
        epoch.pictures.push_back({"gradcam", {{"cat <0.9>", test_photo(300, 200, std::uint64_t(10 + number))}}});
    }
    callback.on_epoch_end(epoch);
}

}  // namespace

TEST_CASE("history.csv: a header and a line an epoch; a resumed run goes on where the checkpoint was") {
    const TemporaryFolder folder;
    History first(folder.path);
    first.on_train_begin(run_from(1, folder.path));
    for (int n : {1, 2, 3}) tell_epoch(first, n, 0.5 + 0.1 * n);
    CHECK(has(text_of(folder / "history.csv"), "epoch,loss,accuracy,val_loss,val_accuracy,images_per_second\n1,1,0.6,2,0.6,90\n"));

    History resumed(folder.path);  // epoch 3 was not in the checkpoint
    resumed.on_train_begin(run_from(3, folder.path));
    tell_epoch(resumed, 3, 0.25);
    const std::string text = text_of(folder / "history.csv");
    CHECK(count_of(text, "\n") == 4);
    CHECK(has(text, "\n3,0.3333333,0.25,"));
    CHECK(count_of(text, "epoch,") == 1);
    const std::string svg = text_of(folder / "history.svg");
    CHECK(has(svg, "xmlns"));
    CHECK(has(svg, "validation 3: 0.25"));
    CHECK(has(svg, "validation 1: 0.6"));
    CHECK_THROWS_AS(tell_epoch(*std::make_unique<History>(folder / "none"), 1, 1), Error);
}

TEST_CASE("history.csv is read back by name, also after a spreadsheet; a resumed run may bring new figures, and NaN") {
    const TemporaryFolder folder;
    write_file(folder / "history.csv", std::string_view("epoch,loss\r\n1,0.5\r\n2,nan\r\n3\r\n4,0.25\r\n"));
    const auto rows = read_history(folder / "history.csv");
    REQUIRE(rows.size() == 3);  // a line that is cut short is none
    CHECK(rows[0] == std::vector<std::pair<std::string, double>>{{"epoch", 1}, {"loss", 0.5}});
    CHECK(std::isnan(rows[1][1].second));
    CHECK_THROWS_AS(read_history(folder / "none.csv"), Error);

    History resumed(folder.path);
    resumed.on_train_begin(run_from(3, folder.path));
    tell_epoch(resumed, 3, 0.75);
    CHECK(text_of(folder / "history.csv") ==
          "epoch,loss,accuracy,val_loss,val_accuracy,images_per_second\n1,0.5,nan,nan,nan,nan\n2,nan,nan,nan,nan,nan\n"
          "3,0.3333333,0.75,0.6666667,0.75,90\n");
}

TEST_CASE("the folder of pictures: a file each, with a name made of its caption; an epoch that is repeated is replaced") {
    const TemporaryFolder folder;
    PictureFolder pictures(folder.path);
    tell_epoch(pictures, 2, 0.5);
    CHECK(fs::exists(folder / "images/epoch-0002/00-cat-0.9.png"));
    CHECK(fs::exists(folder / "gradcam/epoch-0002/00-cat--0.9-.png"));
    write_file(folder / "images/epoch-0002/77-left.png", std::string_view("x"));
    tell_epoch(pictures, 2, 0.5);
    CHECK_FALSE(fs::exists(folder / "images/epoch-0002/77-left.png"));
}

TEST_CASE("the folder of pictures of a resumed run: later epochs go, earlier ones and other files stay") {
    const TemporaryFolder folder;
    PictureFolder first(folder.path);
    for (int n : {1, 2, 3, 4}) tell_epoch(first, n, 0.5);
    for (const char* name : {"epoch-0009-mine", "notes", "epoch-"}) make_folder(folder / "images" / name);
    PictureFolder(folder.path).on_train_begin(run_from(1, folder.path));  // a new run removes nothing
    CHECK(fs::exists(folder / "images/epoch-0004"));
    PictureFolder(folder.path).on_train_begin(run_from(3, folder.path));
    for (const char* key : {"images", "gradcam"}) {
        CHECK(fs::exists(folder / key / "epoch-0002"));
        CHECK_FALSE(fs::exists(folder / key / "epoch-0003"));
        CHECK_FALSE(fs::exists(folder / key / "epoch-0004"));
    }
    for (const char* name : {"epoch-0009-mine", "notes", "epoch-"}) CHECK(fs::exists(folder / "images" / name));
    CHECK_NOTHROW(PictureFolder(folder / "none").on_train_begin(run_from(3, folder.path)));
}

TEST_CASE("the folder of pictures: no caption leaves it, and a folder that cannot be made is an Error") {
    const TemporaryFolder folder;
    static const Model none;
    Epoch epoch{1, none, {}, {{"cam", {{"../../etc/p\xff", test_photo(2, 2, 1)}}}}};
    PictureFolder(folder / "pictures").on_epoch_end(epoch);
    CHECK(fs::exists(folder / "pictures/cam/epoch-0001/00-..-..-etc-p-.png"));
    write_file(folder / "file", std::string_view("x"));
    CHECK_THROWS_AS(PictureFolder(folder / "file").on_epoch_end(epoch), Error);
}

TEST_CASE("the report: figures, curves, photos, mistakes, confusion, settings and command, nothing from elsewhere") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    report.on_train_begin(run_from(1, folder.path));
    tell_epoch(report, 1, 0.75);
    CHECK(has(text_of(folder / "report.html"), "epoch 1 of 4, running"));
    tell_epoch(report, 2, 0.875);
    tell_epoch(report, 3, 0.8);
    Outcome outcome{2, {}, {{7, 1}, {0, 8}}, {}, 0};
    outcome.mistakes.push_back({"photos/\"a\"<b>.jpg", "cat", "dog", 0.987, test_photo(20, 30, 1), {{"gradcam", test_photo(20, 30, 2)}}});
    report.on_train_end(outcome);
    const std::string page = text_of(folder / "report.html");
    CHECK(has(page, "87.50 %"));
    CHECK(has(page, "<b>2</b>best epoch"));
    CHECK_FALSE(has(page, "running"));
    CHECK(count_of(page, "<svg") == 3);
    CHECK(has(page, "is cat, taken for dog 0.987"));
    CHECK(has(page, "photos/&quot;a&quot;&lt;b&gt;.jpg"));
    CHECK(has(page, "<td>learning_rate</td><td>0.001</td>"));
    CHECK_FALSE(has(page, "<td>teacher</td>"));
    CHECK(has(page, "limn train &lt;photos&gt;"));
    CHECK(has(page, ">7<small>87.5 %</small></td>"));  // of the 8 cats
    CHECK(has(page, ">8<small>100.0 %</small></td><td>8</td>"));
    CHECK(has(page, "stopped after epoch 3 of 4"));
    for (const char* from_elsewhere : {"http:", "https:", "src=\"/", "@import"}) CHECK_FALSE(has(page, from_elsewhere));
    // the photo is embedded once, its map once an epoch, and two pictures of the mistake
    CHECK(count_of(page, "data:image/jpeg") == 1 + 3 + 2);
}

TEST_CASE("the report of one epoch, without pictures, mistakes or figures: no empty parts, dashes for what is not known") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    Run run = run_from(1, folder.path);
    run.epochs = 1;
    report.on_train_begin(run);
    tell_epoch(report, 1, 0.5, false);
    report.on_train_end({});
    const std::string page = text_of(folder / "report.html");
    CHECK(has(page, ">1 epoch<"));
    CHECK(has(page, "<b>50.00 %</b>best"));
    CHECK(count_of(page, "<svg") == 3);
    for (const char* absent : {"What it sees", "Mistakes", "Confusion", "nan", "data:image"}) CHECK_FALSE(has(page, absent));

    static const Model none;
    Epoch empty{1, none, {{"val_accuracy", NAN}, {"val_loss", INFINITY}}, {}};
    report.on_train_begin(run);
    report.on_epoch_end(empty);
    const std::string dashes = text_of(folder / "report.html");
    CHECK(count_of(dashes, "<b>-</b>") == 4);  // all but the time
    CHECK_FALSE(has(dashes, "marks the best epoch"));
}

TEST_CASE("the report says how a run ended") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    report.on_train_begin(run_from(1, folder.path));
    report.on_train_end({});
    CHECK_FALSE(fs::exists(folder / "report.html"));  // stopped before there was anything to show
    tell_epoch(report, 1, 0.5, false);
    report.on_train_end({1, {}, {}, {}, 128 + 15});
    CHECK(has(text_of(folder / "report.html"), "stopped by signal 15 after epoch 1 of 4"));
}

TEST_CASE("the report: the best epoch is the most accurate, of equal ones that of the smallest loss, at the end the trainer's") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    report.on_train_begin(run_from(1, folder.path));
    for (int n : {1, 2, 3}) tell_epoch(report, n, n == 1 ? 0.5 : 0.75, false);
    CHECK(has(text_of(folder / "report.html"), "<b>3</b>best epoch"));
    report.on_train_end({2, {}, {}, {}, 0});
    CHECK(has(text_of(folder / "report.html"), "<b>2</b>best epoch"));
}

TEST_CASE("the report's pictures are small: 192 pixels on the long side at most") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    report.on_train_begin(run_from(1, folder.path));
    static const Model none;
    Epoch epoch{1, none, {}, {{"images", {{"cat", Image{400, 800, std::vector<std::uint8_t>(400 * 800 * 3, 90)}}}}}};
    report.on_epoch_end(epoch);
    const std::string expected = data_uri("image/jpeg", encode_jpeg(Image{96, 192, std::vector<std::uint8_t>(96 * 192 * 3, 90)}, 75));
    CHECK(has(text_of(folder / "report.html"), expected));
}

TEST_CASE("the report of a resumed run shows the earlier epochs, without those that are done again") {
    const TemporaryFolder folder;
    {
        TrainingReport report(folder / "report.html");
        report.on_train_begin(run_from(1, folder.path));
        for (int n : {1, 2, 3}) tell_epoch(report, n, 0.5 + n / 10.0);
    }
    TrainingReport report(folder / "report.html");
    report.on_train_begin(run_from(3, folder.path));
    tell_epoch(report, 3, 0.99);
    const std::string page = text_of(folder / "report.html");
    CHECK(count_of(page, "\"number\":") == 3);
    CHECK(has(page, "99.00 %"));
    CHECK(has(page, "validation 2: 0.7"));
    CHECK(count_of(page, "data:image/jpeg") == 1 + 3);  // the map of the dropped epoch is the same again, and kept once

    TrainingReport last(folder / "report.html");
    last.on_train_begin(run_from(2, folder.path));
    tell_epoch(last, 2, 0.5, false);
    CHECK(count_of(text_of(folder / "report.html"), "data:image/jpeg") == 1 + 1);  // of dropped epochs nothing is left
}

TEST_CASE("the report takes what comes: no pictures, no numbers, one epoch, names in any bytes, other pages in its place") {
    const TemporaryFolder folder;
    TrainingReport report(folder / "report.html");
    Run run = run_from(2, folder.path);
    for (const char* other :
         {"", "{\"epochs\": 3", "{\"epochs\": 3}", "[]", "{\"epochs\": [{\"number\": \"one\"}]}", "{\"epochs\": [1]}",
          "{\"epochs\": [{\"number\": 1, \"scalars\": {}, \"pictures\": {\"cam\": [{\"image\": 7}]}}], \"images\": []}"}) {
        write_file(folder / "report.html", "<script id=\"data\" type=\"application/json\">" + std::string(other) + "</script>");
        CHECK_NOTHROW(report.on_train_begin(run));
    }
    run.name = "\xff<script>";
    report.on_train_begin(run);
    static const Model none;
    Epoch epoch{2, none, {{"loss", NAN}, {"val_accuracy", INFINITY}}, {{"cam", {{"\xc3</script><!--<script>", test_photo(2, 2, 1)}}}}};
    report.on_epoch_end(epoch);
    report.on_train_end({2, {}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 0}}, {}, 0});  // more classes than labels
    const std::string page = text_of(folder / "report.html");
    CHECK(has(page, "?&lt;script&gt;"));
    CHECK(count_of(page, "</script>") == 2);
    CHECK_FALSE(has(page, "<!--"));
    TrainingReport nowhere(folder / "none" / "report.html");
    nowhere.on_train_begin(run_from(1, folder.path));
    CHECK_THROWS_AS(tell_epoch(nowhere, 1, 1), Error);
}

TEST_CASE("charts: gaps where there is no number, ticks at round values, one point, none, and a flat line") {
    const std::string svg = line_chart("loss", {{"training", {1, 0.5, NAN, 0.25}}}, 2);
    CHECK(has(svg, "M52.0"));
    CHECK(count_of(svg, "<circle") == 3);
    CHECK(count_of(svg, "M") == 2);  // the gap
    CHECK(has(svg, ">0.2<"));
    CHECK(has(svg, ">1<"));
    CHECK(has(svg, "best epoch: 2"));
    for (const std::vector<double>& y :
         {std::vector<double>{}, {3}, {0, 0, 0}, {NAN}, {1e-30, 1e30}, {-5, -5}, std::vector<double>(100000, 1.0)}) {
        const std::string any = line_chart("x", {{"a", y}, {"b", y}}, 0);
        CHECK_FALSE(has(any, "nan"));
        CHECK_FALSE(has(any, "inf"));
        CHECK(any.size() < 4000000);
    }
}

TEST_CASE("texts are safe in HTML, whatever bytes they hold") {
    CHECK(escaped("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    CHECK(escaped("Kätzchen \xe7\x8c\xab") == "Kätzchen \xe7\x8c\xab");
    CHECK(escaped("a\xff\xc3") == "a??");
    CHECK(escaped("\xed\xa0") == "??");
    CHECK(escaped("\xed\xa0\x80 \xc0\xaf \xe0\x80\xaf \xf4\x90\x80\x80") == "??? ?? ??? ????");
    CHECK(escaped("\xed\x9f\xbf \xf4\x8f\xbf\xbf") == "\xed\x9f\xbf \xf4\x8f\xbf\xbf");
    CHECK(data_uri("text/plain", {std::byte{'M'}, std::byte{'a'}}) == "data:text/plain;base64,TWE=");
    CHECK(data_uri("a/b", {std::byte{'M'}}) == "data:a/b;base64,TQ==");
    CHECK(data_uri("a/b", {std::byte{'M'}, std::byte{'a'}, std::byte{'n'}}) == "data:a/b;base64,TWFu");
    CHECK(data_uri("a/b", {}) == "data:a/b;base64,");
}

TEST_CASE("JPEG: of flat colours little is lost, less with more quality; a picture without pixels is an Error") {
    const Image flat{20, 30, std::vector<std::uint8_t>(20 * 30 * 3, 77)};
    const Image back = decode_image(encode_jpeg(flat), "flat");
    CHECK(back.height == 20);
    CHECK(back.width == 30);
    for (std::size_t i = 0; i < back.rgb.size(); i++) REQUIRE(std::abs(int(back.rgb[i]) - 77) <= 2);
    const Image noise = test_photo(64, 64, 1);
    CHECK(encode_jpeg(noise, 95).size() > encode_jpeg(noise).size());
    CHECK(encode_jpeg(noise).size() > encode_jpeg(noise, 50).size());
    CHECK_THROWS_AS(encode_jpeg({}), Error);
    CHECK_THROWS_AS(encode_jpeg({2, 2, {1, 2, 3}}), Error);
}
