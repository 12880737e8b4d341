// Truth beside photos: what is understood, and one clear line for everything that is not.
#include "engine/file.h"
#include "evaluate/annotations.h"
#include "tests/support.h"
#include "view/image.h"

using namespace limn;

namespace {

const std::vector<std::string> animals{"cat", "dog", "3"};

struct Desk : TemporaryFolder {
    std::string text(const std::string& name, const std::string& content) const {
        const std::filesystem::path file = path / name;
        make_folder(file.parent_path());
        write_file(file, content);
        return file.string();
    }
    // A grey picture of these values.
    std::string mask(const std::string& name, Index h, Index w, std::vector<std::uint8_t> values) const {
        Image image{h, w, {}};
        for (std::uint8_t v : values) image.rgb.insert(image.rgb.end(), {v, v, v});
        make_folder((path / name).parent_path());
        write_png(path / name, image);
        return (path / name).string();
    }
};

std::string voc(const std::string& objects) { return "<annotation><filename>a.jpg</filename>" + objects + "</annotation>"; }
std::string object_xml(const std::string& name, int xmin, int ymin, int xmax, int ymax) {
    return fmt::format("<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
                       name, xmin, ymin, xmax, ymax);
}

std::vector<int> regions(const Tensor& mask) {
    const auto v = mask.values<std::uint8_t>();
    return {v.begin(), v.end()};
}

}  // namespace

TEST_CASE("Pascal VOC: several objects, each with its name") {
    const Desk desk;
    const auto objects = read_voc(desk.text("a.xml", voc(object_xml("cat", 1, 2, 30, 40) + object_xml("dog", 5, 5, 6, 6))));
    REQUIRE(objects.size() == 2);
    CHECK(objects[0].name == "cat");
    CHECK(objects[0].box == Rectangle{1, 2, 30, 40});
    CHECK(objects[1].name == "dog");
    CHECK(read_voc(desk.text("none.xml", voc(""))).empty());
}

TEST_CASE("Pascal VOC: what is wrong is said in one line") {
    const Desk desk;
    const auto says = [&](const std::string& content) { return complaint([&] { read_voc(desk.text("a.xml", content)); }); };
    CHECK(says("<annotation><object>").find("is no sound XML") != std::string::npos);
    CHECK(says("").find("is no sound XML") != std::string::npos);
    CHECK(says("<html/>").find("should be a Pascal VOC file") != std::string::npos);
    CHECK(says(voc("<object><name>cat</name></object>")).find("object 1 ('cat'): a box needs numbers") != std::string::npos);
    CHECK(says(voc(object_xml("cat", 9, 1, 2, 2))).find("ends before it begins") != std::string::npos);
    CHECK(says(voc("<object><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>1e99</xmax><ymax>1</ymax></bndbox></object>"))
              .find("needs numbers") != std::string::npos);
    CHECK(complaint([&] { read_voc(desk / "missing.xml"); }).find("missing.xml") != std::string::npos);
}

TEST_CASE("Pascal VOC: no file is opened that the XML names") {
    const Desk desk;
    const std::string secret = desk.text("secret", "cat");
    const auto objects = read_voc(desk.text("a.xml", "<!DOCTYPE annotation [<!ENTITY x SYSTEM \"file://" + secret + "\">]>" +
                                                         voc("<object><name>&x;</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax>"
                                                             "<ymax>2</ymax></bndbox></object>")));
    CHECK(objects.at(0).name == "&x;");
}

TEST_CASE("Pascal VOC: entities that would grow to gigabytes stay as they are written; a million levels are read") {
    const Desk desk;
    std::string doctype = "<!DOCTYPE annotation [<!ENTITY a0 \"lol\">";
    for (int i = 1; i < 30; i++) {
        doctype += fmt::format("<!ENTITY a{} \"", i);
        for (int k = 0; k < 10; k++) doctype += fmt::format("&a{};", i - 1);
        doctype += "\">";
    }
    CHECK(read_voc(desk.text("a.xml", doctype + "]>" + voc(object_xml("&a29;", 1, 1, 2, 2)))).at(0).name == "&a29;");
    std::string open, close;
    for (int i = 0; i < 1000000; i++) open += "<a>", close += "</a>";
    CHECK(read_voc(desk.text("a.xml", voc(open + close))).empty());
    CHECK(complaint([&] { read_voc(desk.text("a.xml", voc(open))); }).find("is no sound XML") != std::string::npos);
    CHECK(complaint([&] { read_voc(desk.text("a.xml", std::string((16 << 20) + 1, ' '))); }).find("more than the 16777216 read here") !=
          std::string::npos);
}

TEST_CASE("tables: lines without end, fields without number") {
    const Desk desk;
    const auto refusal = [&](const std::string& content) { return complaint([&] { read_csv(desk.text("t.csv", content)); }); };
    CHECK(refusal(std::string((1 << 24) + 1, ',')).find("has more than 16777216 fields") != std::string::npos);
    CHECK(refusal("\"" + std::string(1 << 20, 'x')).find("ends within a field in quotes") != std::string::npos);
    const std::string large = desk.text("large.csv", "image,label\n");
    std::filesystem::resize_file(large, (std::uintmax_t(1) << 28) + 1);
    CHECK(complaint([&] { read_csv(large); }).find("more than the 268435456 read here") != std::string::npos);
    const std::string line(1 << 20, 'x');
    CHECK(read_csv(desk.text("long.csv", "image,label\n" + line + ",cat\n")).at(1).at(0) == line);
}

TEST_CASE("tables: quotes, line ends of other systems, a mark at the beginning") {
    const Desk desk;
    using Rows = std::vector<std::vector<std::string>>;
    CHECK(read_csv(desk.text("a.csv",
                             "\xef\xbb\xbf"
                             "a,b\r\n\"c,d\",\"e \"\"f\"\"\n g\"\r\n\n,\n")) == Rows{{"a", "b"}, {"c,d", "e \"f\"\n g"}, {"", ""}});
    CHECK(read_csv(desk.text("a.csv", "a,b")) == Rows{{"a", "b"}});
    CHECK(read_csv(desk.text("a.csv", "")).empty());
    CHECK(complaint([&] { read_csv(desk.text("a.csv", "a,\"b\nc")); }).find("ends within a field in quotes") != std::string::npos);
    CHECK(complaint([&] { read_csv(desk.text("a.csv", "x\n\"b\"c")); }).find("line 2: text after a field in quotes") != std::string::npos);
    CHECK(complaint([&] { read_csv(desk.text("a.csv", std::string("a\0b", 3))); }).find("zero byte") != std::string::npos);
}

TEST_CASE("a table of boxes, with and without a header; several boxes a photo; names with and without folder and ending") {
    const Desk desk;
    const std::string plain = desk.text("plain.csv", "sub/a.jpg,cat,1,2,3,4\na.jpg,dog,0,0,9,9\na.jpg,dog,2,2,5,5\nb,cat,0,0,1,1\n");
    const Annotations boxes({plain, {}, {}});
    CHECK(boxes.of("sub/a.jpg", 10, 10).boxes == std::vector<Rectangle>{{1, 2, 3, 4}});
    CHECK(boxes.of("a.jpg", 10, 10).boxes.size() == 2);
    CHECK(boxes.of("b.png", 10, 10).label == "cat");
    CHECK(boxes.of("c.png", 10, 10).boxes.empty());
    const std::string headed = desk.text("headed.csv", "xmin,ymin,xmax,ymax,filename,width\n1,2,3,4,a.jpg,10\n");
    CHECK(Annotations({headed, {}, {}}).of("a.jpg", 10, 10).boxes == std::vector<Rectangle>{{1, 2, 3, 4}});
    CHECK(Annotations({headed, {}, {}}).of("a.jpg", 10, 10).label == "");

    // cats and dogs: which of them the photo is of, nobody says, whatever the order of the rows
    for (const char* rows : {"a.jpg,cat,0,0,9,9\na.jpg,dog,2,2,5,5\n", "a.jpg,dog,0,0,9,9\na.jpg,cat,2,2,5,5\na.jpg,dog,1,1,2,2\n"}) {
        const Annotations several({desk.text("several.csv", rows), {}, {}});
        CHECK(several.label_of("a.jpg") == "");
        CHECK(several.of("a.jpg", 10, 10).boxes.size() >= 2);
    }

    const auto says = [&](const std::string& content) { return complaint([&] { Annotations({desk.text("bad.csv", content), {}, {}}); }); };
    CHECK(says("a.jpg,cat,1,2,3\n").find("row 1 has 5 fields, not 6") != std::string::npos);
    CHECK(says("a.jpg,cat,1,2,x,4\n").find("needs numbers") != std::string::npos);
    CHECK(says("image,label\na,b\n").find("should have the columns image,label,xmin,ymin,xmax,ymax") != std::string::npos);
    CHECK(says("").find("is empty") != std::string::npos);
    CHECK(complaint([&] { Annotations({desk / "missing", {}, {}}); }).find("does not exist") != std::string::npos);
}

TEST_CASE("labels: from a table, from VOC, from the folder, in this order") {
    const Desk desk;
    desk.text("xml/a.xml", voc(object_xml("cat", 0, 0, 1, 1)));
    desk.text("xml/b.xml", voc(object_xml("cat", 0, 0, 1, 1) + object_xml("dog", 0, 0, 1, 1)));
    const std::string table = desk.text("labels.csv", "image,label\na.jpg,\"281-285\"\n");
    CHECK(Annotations({desk / "xml", {}, table}).label_of("dogs/a.jpg") == "281-285");
    CHECK(Annotations({desk / "xml", {}, {}}).label_of("dogs/a.jpg") == "cat");
    CHECK(Annotations({desk / "xml", {}, {}}).label_of("dogs/b.jpg") == "dogs");  // cats and dogs: the folder says which
    CHECK(Annotations({{}, {}, {}}).label_of("b.jpg") == "");
    CHECK(complaint([&] {
              Annotations({{}, {}, desk.text("twice.csv", "a,cat\na,dog\n")});
          }).find("was 'cat' before and is 'dog' now") != std::string::npos);
    CHECK(complaint([&] { Annotations({{}, {}, desk.text("odd.csv", "image,place\na,b\n")}); }).find("image,label") != std::string::npos);
}

TEST_CASE("boxes of several kinds: those of the photo's label count; where none is named like it, all") {
    const Desk desk;
    const std::string both = voc(object_xml("cat", 0, 0, 1, 1) + object_xml("dog", 2, 2, 3, 3) + object_xml("cat", 4, 4, 5, 5));
    desk.text("xml/a.xml", both);
    const std::string table = desk.text("boxes.csv", "a.jpg,cat,0,0,1,1\na.jpg,dog,2,2,3,3\na.jpg,cat,4,4,5,5\n");
    const std::string labels = desk.text("labels.csv", "image,label\na.jpg,cat\n");
    const std::vector<Rectangle> cats{{0, 0, 1, 1}, {4, 4, 5, 5}};
    for (const std::filesystem::path& boxes : {desk / "xml", std::filesystem::path(table)}) {
        const Truth truth = Annotations({boxes, {}, labels}).of("a.jpg", 8, 8);
        CHECK(truth.boxes == cats);
        CHECK(regions(truth.mask)[2 * 8 + 2] == background);  // the dog
        CHECK(Annotations({boxes, {}, {}}).of("dog/a.jpg", 8, 8).boxes == std::vector<Rectangle>{{2, 2, 3, 3}});
        CHECK(Annotations({boxes, {}, {}}).of("pets/a.jpg", 8, 8).boxes.size() == 3);
        CHECK(Annotations({boxes, {}, {}}).of("a.jpg", 8, 8).boxes.size() == 3);
    }
}

TEST_CASE("a label is a class name, an index, a range, or several") {
    CHECK(label_named("dog", animals, 3)->target() == "1");
    CHECK(label_named("3", animals, 3)->target() == "2");  // a name first
    CHECK(label_named("0", animals, 3)->target() == "0");
    CHECK(label_named("281-285", {}, 1000)->target() == "best:281-285");
    CHECK(label_named("151-268, 5", {}, 1000)->target() == "best:151-268,5");
    const Label dogs = *label_named("151-268,5", {}, 1000);
    CHECK(dogs.holds(151));
    CHECK(dogs.holds(268));
    CHECK(dogs.holds(5));
    CHECK(!dogs.holds(269));
    for (const char* wrong : {"", "cow", "3-1", "1000", "990-1000", "-1", "1.5", "1-", ",", "1,,2"})
        CHECK_MESSAGE(!label_named(wrong, {}, 1000), wrong);
}

TEST_CASE("boxes are cut to the photo; a box beside it contradicts it") {
    const Desk desk;
    desk.text("a.xml", voc(object_xml("cat", -3, 2, 30, 40)));
    CHECK(Annotations({desk.path, {}, {}}).of("a.jpg", 20, 10).boxes == std::vector<Rectangle>{{0, 2, 9, 19}});
    desk.text("a.xml", voc(object_xml("cat", 10, 2, 30, 40)));
    CHECK(complaint([&] {
              Annotations({desk.path, {}, {}}).of("a.jpg", 20, 10);
          }).find("lies outside its photo of 10x20") != std::string::npos);
}

TEST_CASE("masks: 1 is object; without a 1 all that is not 0; trimaps have a border that is left out") {
    const Desk desk;
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 1, 1, 0}))) == std::vector<int>{0, 1, 1, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 255, 128, 0}))) == std::vector<int>{0, 1, 1, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {1, 2, 3, 2}))) == std::vector<int>{1, 0, 255, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 1, 15, 15}))) == std::vector<int>{0, 1, 0, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 1, 15, 15}), 15)) == std::vector<int>{0, 0, 1, 1});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {1, 2, 3, 2}), 3)) == std::vector<int>{0, 0, 1, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 0, 0, 0}))) == std::vector<int>{0, 0, 0, 0});
    CHECK(regions(read_mask(desk.mask("a.png", 2, 2, {0, 1, 90, 255}))) == std::vector<int>{0, 1, 1, 1});  // a soft edge
}

TEST_CASE("masks lie beside the photo's name, in the same sub-folder first, and have its size") {
    const Desk desk;
    desk.mask("masks/a.png", 2, 2, {1, 1, 1, 1});
    desk.mask("masks/cats/a.png", 2, 2, {0, 0, 0, 1});
    const Annotations masks({{}, desk / "masks", {}});
    CHECK(regions(masks.of("cats/a.jpg", 2, 2).mask) == std::vector<int>{0, 0, 0, 1});
    CHECK(regions(masks.of("dogs/a.jpg", 2, 2).mask) == std::vector<int>{1, 1, 1, 1});
    CHECK(masks.of("b.jpg", 2, 2).mask.empty());
    CHECK(complaint([&] { masks.of("a.jpg", 3, 2); }).find("is a mask of 2x2, but its photo has 2x3 pixels") != std::string::npos);
    CHECK(masks.of("cats/a.jpg", 2, 2).boxes == std::vector<Rectangle>{{1, 1, 1, 1}});
    desk.text("masks/c.png", "no picture");
    CHECK(complaint([&] { masks.of("c.jpg", 2, 2); }).find("c.png") != std::string::npos);
    CHECK(complaint([&] { Annotations({{}, desk.text("file", "x"), {}}); }).find("should be a folder of masks") != std::string::npos);
}

TEST_CASE("boxes stand for masks and masks for boxes, but only where the other kind is not asked for at all") {
    const Desk desk;
    desk.mask("masks/a.png", 2, 2, {0, 0, 0, 1});
    desk.mask("masks/empty.png", 2, 2, {0, 0, 0, 0});
    const std::string table = desk.text("boxes.csv", "b.jpg,cat,0,0,1,0\n");
    const Truth filled = Annotations({table, {}, {}}).of("b.jpg", 2, 2);
    CHECK(regions(filled.mask) == std::vector<int>{1, 1, 0, 0});
    CHECK(!filled.drawn);
    const Truth around = Annotations({{}, desk / "masks", {}}).of("a.jpg", 2, 2);
    CHECK(around.boxes.size() == 1);
    CHECK(around.drawn);
    CHECK(Annotations({{}, desk / "masks", {}}).of("empty.jpg", 2, 2).boxes.empty());
    const Annotations both({table, desk / "masks", {}});
    CHECK(both.of("a.jpg", 2, 2).boxes.empty());
    CHECK(both.of("b.jpg", 2, 2).mask.empty());
}
