// `limn evaluate` as people run it, on a folder of small photos made here.
#include <sys/resource.h>

#include <csignal>

#include "engine/file.h"
#include "tests/cli/command.h"
#include "tests/support_models.h"
#include "view/image.h"

using namespace limn;

namespace {

// A dark photo with a bright square.
Image photo_with_square(Index h, Index w, Index top, Index left, Index side) {
    Image image{h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3), 20)};
    for (Index r = top; r < top + side; r++)
        for (Index c = left; c < left + side; c++) std::fill_n(image.pixel(r, c), 3, std::uint8_t(230));
    return image;
}

struct Desk : TemporaryFolder {
    std::string model = (path / "tiny.h5").string(), photos = (path / "photos").string(), out = (path / "out").string();
    std::string boxes = (path / "boxes.csv").string(), masks = (path / "masks").string();
    static constexpr int count = 11;

    Desk() {
        write_model(model, tiny_config().dump(), tiny_weights());
        make_folder(photos), make_folder(masks);
        std::string table = "image,label,xmin,ymin,xmax,ymax\n";
        for (int i = 0; i < count; i++) {
            const Index top = i % 5, left = 2 + i;
            write_png(path / "photos" / fmt::format("p{:02}.png", i), photo_with_square(20, 30, top, left, 8));
            Image mask{20, 30, std::vector<std::uint8_t>(20 * 30 * 3, 0)};
            for (Index r = top; r < top + 8; r++) std::fill_n(mask.pixel(r, left), 8 * 3, std::uint8_t(1));
            write_png(path / "masks" / fmt::format("p{:02}.png", i), mask);
            table += fmt::format("p{:02}.png,{},{},{},{},{}\n", i, i % 3, left, top, left + 7, top + 7);
        }
        write_file(boxes, table);
    }

    CommandResult evaluate(std::vector<std::string> more = {}, const std::function<void()>& before = {}) const {
        std::vector<std::string> arguments{"evaluate", photos, "--model", model, "--out", out, "--threads", "1"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return limn_command(arguments, *this, before);
    }
    std::string result(const std::string& name) const { return slurp(std::filesystem::path(out) / name); }
    Json json() const { return Json::parse(result("results.json")); }
    Json numbers(const std::string& method) const {
        const Json results = json();
        for (const Json& m : results["methods"])
            if (m["name"] == method) return m["numbers"];
        return {};
    }
};

bool one_line(const std::string& text) { return !text.empty() && text.back() == '\n' && text.find('\n') == text.size() - 1; }

#define CHECK_FAILS(run, needle)                                                            \
    do {                                                                                    \
        const CommandResult failed = run;                                                   \
        CHECK_MESSAGE(failed.status == 2, failed.err);                                      \
        CHECK_MESSAGE(failed.err.find(needle) != std::string::npos, failed.err);            \
        CHECK_MESSAGE(one_line(failed.err.substr(failed.err.rfind("limn: "))), failed.err); \
    } while (false)

}  // namespace

TEST_CASE("evaluate: without any truth, what the network itself says") {
    const Desk desk;
    const CommandResult r = desk.evaluate();
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(r.out.find("drop % (-)") != std::string::npos);
    CHECK(r.out.find("pointing") == std::string::npos);
    CHECK(desk.json()["photos"] == Desk::count);
    CHECK(desk.numbers("grad-cam")["drop"]["photos"] == Desk::count);
    CHECK(desk.numbers("centre-box").contains("increase"));
    CHECK(desk.result("results.csv").starts_with("method,baseline,drop,"));
    CHECK(desk.result("report.html").find("worst by drop") != std::string::npos);
}

TEST_CASE("evaluate: boxes, masks and labels, all methods, all metrics") {
    const Desk desk;
    const CommandResult r = desk.evaluate({"--boxes", desk.boxes, "--masks", desk.masks, "--method", "all", "--metrics", "all", "--target",
                                           "label", "--steps", "64", "--noises", "2", "--json"});
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(Json::parse(r.out) == desk.json());
    const Json results = desk.json();
    for (const char* method : {"grad-cam", "cam"})
        for (const Json& metric : results["metrics"]) {
            const std::string id = metric["name"];
            REQUIRE_MESSAGE(desk.numbers(method).contains(id), method << " " << id);
            CHECK(desk.numbers(method)[id]["low"] <= desk.numbers(method)[id]["high"]);
        }
    // the mean gradient on a head of pooling and one dense layer is the class's weight: the same map (but rounding parts equal pixels)
    CHECK(desk.numbers("grad-cam")["ap"]["value"].get<double>() ==
          doctest::Approx(desk.numbers("cam")["ap"]["value"].get<double>()).epsilon(0.01));
    CHECK(desk.numbers("edges")["ap"]["value"] > desk.numbers("random")["ap"]["value"]);
    CHECK(!desk.numbers("random").contains("sanity-rank"));
}

TEST_CASE("evaluate: a run that was stopped ends as one that was not") {
    const Desk desk;
    const std::vector<std::string> settings{"--boxes", desk.boxes, "--method", "grad-cam,cam"};
    CHECK(desk.evaluate(settings).status == 0);
    const std::vector<std::string> names{"results.json", "results.csv", "report.html", "photos.jsonl"};
    std::map<std::string, std::string> whole;
    for (const std::string& name : names) whole[name] = desk.result(name);
    const auto same = [&] {
        for (const std::string& name : names) CHECK_MESSAGE(desk.result(name) == whole[name], name);
    };
    const std::string& lines = whole["photos.jsonl"];
    // after 0, 1, 3 and 9 photos, each within a line, and within the first
    for (std::size_t done : {0, 1, 3, 9}) {
        std::size_t end = lines.find('\n') + 1;
        for (std::size_t i = 0; i < done; i++) end = lines.find('\n', end) + 1;
        for (const std::string& name : names) std::filesystem::remove(std::filesystem::path(desk.out) / name);
        write_file(std::filesystem::path(desk.out) / "photos.jsonl", lines.substr(0, end + 40));
        CHECK(desk.evaluate(settings).status == 0);
        same();
    }
    write_file(std::filesystem::path(desk.out) / "photos.jsonl", lines.substr(0, 30));
    CHECK(desk.evaluate(settings).status == 0);
    same();
    CHECK(desk.evaluate(settings).status == 0);  // nothing left to do
    same();
    CHECK_FAILS(desk.evaluate({"--boxes", desk.boxes, "--method", "cam"}),
                "method was 'grad-cam,cam' and is 'cam' now; take another --out");
    CHECK_FAILS(desk.evaluate({"--boxes", desk.boxes, "--method", "grad-cam,cam", "--exact"}), "exact was '' and is 'yes' now");
    same();
    // photos of the same names in another folder are others; so is a table that was changed
    std::filesystem::copy(desk.photos, desk / "others");
    CHECK_FAILS(limn_command({"evaluate", (desk / "others").string(), "--model", desk.model, "--out", desk.out, "--boxes", desk.boxes,
                              "--method", "grad-cam,cam"},
                             desk),
                "photos was '");
    write_file(desk.boxes, slurp(desk.boxes) + "p99.png,1,0,0,1,1\n");
    CHECK_FAILS(desk.evaluate(settings), "boxes was '");
    same();
}

TEST_CASE("evaluate: annotations, masks and results may lie among the photos or above them") {
    const Desk desk;
    const std::filesystem::path photos = desk.photos;
    CHECK_FAILS(desk.evaluate({"--masks", desk.photos}), "would be its own mask");
    const auto each = [&](auto&& what) {
        for (int i = 0; i < Desk::count; i++) what(i, fmt::format("p{:02}", i));
    };
    each([&](int i, const std::string& name) {
        write_file(photos / (name + ".xml"),
                   fmt::format("<annotation><object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
                               "<ymax>9</ymax></bndbox></object></annotation>",
                               i % 3));
    });
    CommandResult r = desk.evaluate({"--boxes", desk.photos});
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(desk.numbers("grad-cam")["pointing"]["photos"] == Desk::count);
    each([&](int, const std::string& name) {
        std::filesystem::rename(photos / (name + ".png"), photos / (name + ".jpg"));
        std::filesystem::copy(std::filesystem::path(desk.masks) / (name + ".png"), photos / (name + ".png"));
    });
    r = limn_command({"evaluate", desk.photos, "--model", desk.model, "--masks", desk.photos, "--out", desk.path.string()}, desk);
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(Json::parse(slurp(desk / "results.json"))["photos"] == Desk::count);
}

TEST_CASE("evaluate: killed at any moment, it goes on") {
    const Desk desk;
    const pid_t child =
        start_limn({"evaluate", desk.photos, "--model", desk.model, "--out", desk.out, "--threads", "1", "--metrics", "all"}, desk);
    const auto records = std::filesystem::path(desk.out) / "photos.jsonl";
    for (int i = 0; i < 2000 && (!std::filesystem::exists(records) || std::filesystem::file_size(records) < 1000); i++) usleep(1000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) MESSAGE("skipped: it had ended before it was killed");
    CHECK(desk.evaluate({"--metrics", "all"}).status == 0);
    const std::string resumed = desk.result("results.json");
    std::filesystem::remove_all(desk.out);
    CHECK(desk.evaluate({"--metrics", "all"}).status == 0);
    CHECK(desk.result("results.json") == resumed);
}

TEST_CASE("evaluate: photos that cannot be read are named and left out") {
    const Desk desk;
    write_file(std::filesystem::path(desk.photos) / "p03.png", std::string("no picture"));
    const CommandResult r = desk.evaluate();
    CHECK(r.status == 0);
    CHECK(r.err.find("left out") != std::string::npos);
    CHECK(r.out.find("photos left out: 1") != std::string::npos);
    CHECK(desk.json()["left_out"][0].get<std::string>().find("p03.png") != std::string::npos);
    CHECK(desk.json()["photos"] == Desk::count - 1);
}

TEST_CASE("evaluate: a photo or an annotation that changed is rated again, alone; what a fresh run says is the same") {
    const Desk desk;
    const std::vector<std::string> settings{"--masks", desk.masks};
    const auto photo = std::filesystem::path(desk.photos) / "p03.png", mask = std::filesystem::path(desk.masks) / "p05.png";
    const std::string good = slurp(photo);
    write_file(photo, std::string("no picture"));
    CHECK(desk.evaluate(settings).status == 0);
    CHECK(desk.json()["photos"] == Desk::count - 1);
    write_file(photo, good);
    std::filesystem::copy_file(std::filesystem::path(desk.masks) / "p06.png", mask, std::filesystem::copy_options::overwrite_existing);
    const CommandResult again = desk.evaluate(settings);
    CHECK(again.status == 0);
    CHECK_MESSAGE(again.err.find("2 of them have changed, or their annotations: rated again") != std::string::npos, again.err);
    CHECK(desk.json()["photos"] == Desk::count);
    CHECK(std::ranges::count(desk.result("photos.jsonl"), '\n') == 1 + Desk::count + 2);
    const std::string results = desk.result("results.json");
    CHECK(desk.evaluate(settings).err.find("changed") == std::string::npos);
    std::filesystem::remove_all(desk.out);
    CHECK(desk.evaluate(settings).status == 0);
    CHECK(desk.result("results.json") == results);
}

TEST_CASE("evaluate: photos without truth are counted, files that contradict the photo end the run") {
    const Desk desk;
    std::filesystem::remove(std::filesystem::path(desk.masks) / "p00.png");
    const CommandResult r = desk.evaluate({"--masks", desk.masks});
    CHECK(r.status == 0);
    CHECK(r.out.find("nobody says where the object is: 1") != std::string::npos);
    CHECK(desk.numbers("grad-cam")["ap"]["photos"] == Desk::count - 1);
    CHECK(desk.numbers("grad-cam")["drop"]["photos"] == Desk::count);

    write_png(std::filesystem::path(desk.masks) / "p01.png", photo_with_square(9, 9, 0, 0, 2));
    std::filesystem::remove_all(desk.out);
    CHECK_FAILS(desk.evaluate({"--masks", desk.masks}), "is a mask of 9x9, but its photo has 30x20 pixels");
}

TEST_CASE("evaluate: class folders are labels; a table says otherwise; the true class is explained on demand") {
    const Desk desk;
    for (int i = 0; i < Desk::count; i++) {
        const std::string name = fmt::format("p{:02}.png", i), folder = std::to_string(i % 3);
        make_folder(std::filesystem::path(desk.photos) / folder);
        std::filesystem::rename(std::filesystem::path(desk.photos) / name, std::filesystem::path(desk.photos) / folder / name);
    }
    const CommandResult r = desk.evaluate({"--target", "label"});
    CHECK_MESSAGE(r.status == 0, r.err);
    std::istringstream lines(desk.result("photos.jsonl"));
    std::string line;
    std::getline(lines, line);
    int photos = 0;
    for (; std::getline(lines, line); photos++) {
        const Json record = Json::parse(line);
        CHECK(record["label"] == record["target"]);
        CHECK(record["photo"].get<std::string>().starts_with(record["label"].get<std::string>() + "/"));
    }
    CHECK(photos == Desk::count);

    // any of two classes is right: the one with the higher score is explained
    std::string table = "image,label\n";
    for (int i = 0; i < Desk::count; i++) table += fmt::format("p{:02}.png,0-1\n", i);
    write_file(desk / "labels.csv", table);
    std::filesystem::remove_all(desk.out);
    const CommandResult ranges = desk.evaluate({"--target", "label", "--truth", (desk / "labels.csv").string()});
    CHECK_MESSAGE(ranges.status == 0, ranges.err);
    std::istringstream again(desk.result("photos.jsonl"));
    for (std::getline(again, line); std::getline(again, line);) {
        const Json record = Json::parse(line);
        CHECK(record["label"] == "0-1");
        CHECK((record["target"] == "0" || record["target"] == "1"));
        if (record["predicted"] != "2") CHECK(record["target"] == record["predicted"]);
    }

    write_file(desk / "labels.csv", std::string("image,label\np00.png,elephant\n"));
    CHECK_FAILS(desk.evaluate({"--truth", (desk / "labels.csv").string()}), "'elephant' of photo 0/p00.png is no class of this model");
}

TEST_CASE("evaluate: a part of the photos, spread over the folder") {
    const Desk desk;
    CHECK(desk.evaluate({"--limit", "3"}).status == 0);
    CHECK(desk.json()["photos"] == 3);
    for (const char* name : {"p00.png", "p03.png", "p07.png"}) CHECK(desk.result("photos.jsonl").find(name) != std::string::npos);
    CHECK(desk.evaluate().status == 0);  // the others, too
    CHECK(desk.json()["photos"] == Desk::count);
}

TEST_CASE("evaluate: masks, boxes and results in the folder of photos are no photos; a method asked for twice is rated once") {
    const Desk desk;
    std::filesystem::rename(desk.masks, std::filesystem::path(desk.photos) / "masks");
    const CommandResult r = desk.evaluate({"--masks", desk.photos + "/masks", "--method", "cam,cam,all"});
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(desk.json()["photos"] == Desk::count);
    const std::string asked = "," + desk.json()["settings"]["method"].get<std::string>() + ",";
    REQUIRE(asked.find(",cam,") != std::string::npos);
    CHECK(asked.find(",cam,") == asked.rfind(",cam,"));
}

TEST_CASE("evaluate: if no photo can be rated, that is no success") {
    const Desk desk;
    for (const auto& file : std::filesystem::directory_iterator(desk.photos)) write_file(file.path(), std::string("no picture"));
    CHECK_FAILS(desk.evaluate(), "none of 11 photos could be rated: p00.png: ");
}

TEST_CASE("evaluate: networks of any size take photos as they are, one at a time") {
    const Desk desk;
    write_model(desk.model, tiny_config(-1).dump(), tiny_weights());
    const CommandResult r = desk.evaluate({"--size", "native", "--boxes", desk.boxes, "--limit", "2"});
    CHECK_MESSAGE(r.status == 0, r.err);
}

TEST_CASE("evaluate: a single sigmoid has two sides") {
    const Desk desk;
    write_model(desk.model, tiny_config(16, 1, "sigmoid").dump(), tiny_weights(1));
    write_file(desk / "names", std::string("cat\ndog\n"));
    std::string table = "image,label\n";
    for (int i = 0; i < Desk::count; i++) table += fmt::format("p{:02},{}\n", i, i % 2 ? "dog" : "cat");
    write_file(desk / "labels.csv", table);
    const CommandResult r =
        desk.evaluate({"--labels", (desk / "names").string(), "--truth", (desk / "labels.csv").string(), "--target", "label", "--boxes",
                       desk.boxes, "--metrics", "top1-error,top5-error,drop,sensitivity", "--noises", "1"});
    CHECK_MESSAGE(r.status == 0, r.err);
    const Json numbers = desk.numbers("grad-cam");
    CHECK(numbers.at("top5-error").at("value").get<double>() <= numbers.at("top1-error").at("value").get<double>());

    // where both are right, the side that is predicted is explained
    write_file(desk / "labels.csv", std::string("image,label\np00,0-1\np01,1\n"));
    std::filesystem::remove_all(desk.out);
    const CommandResult both = desk.evaluate({"--truth", (desk / "labels.csv").string(), "--target", "label", "--metrics", "drop"});
    CHECK_MESSAGE(both.status == 0, both.err);
    CHECK(desk.json()["photos"] == 2);
    std::istringstream lines(desk.result("photos.jsonl"));
    std::string line;
    int found = 0;
    for (std::getline(lines, line); std::getline(lines, line);) {
        const Json record = Json::parse(line);
        if (record["photo"] != "p00.png") continue;
        found++;
        CHECK(record["target"] == record["predicted"]);
    }
    CHECK(found == 1);
}

TEST_CASE("evaluate: scores that are no numbers rate nothing, and the run ends") {
    const Desk desk;
    Json config = tiny_config();
    Json& layers = config["config"]["layers"];
    layers.insert(layers.begin() + 1, layer_json("Lambda", "brightness", Json::object()));
    write_model(desk.model, config.dump(), tiny_weights());
    // the logarithm of the photos' pixels is a number; of those that deletion takes away it is not
    const CommandResult r = desk.evaluate({"--preprocess", "unit", "--lambda", "brightness: log(x)", "--metrics", "insertion,deletion"});
    CHECK_MESSAGE(r.status == 0, r.err);
    CHECK(desk.json()["photos"] == Desk::count);
    CHECK(desk.numbers("grad-cam").contains("insertion"));
    CHECK(!desk.numbers("grad-cam").contains("deletion"));
}

TEST_CASE("evaluate: one clear line for what cannot be done") {
    const Desk desk;
    CHECK_FAILS(desk.evaluate({"--metrics", "ap"}), "--metrics ap needs masks: --masks FOLDER");
    CHECK_FAILS(desk.evaluate({"--metrics", "nonsense"}), "--metrics nonsense: is not known");
    CHECK_FAILS(desk.evaluate({"--method", "nonsense"}), "method 'nonsense' is not known");
    CHECK_FAILS(desk.evaluate({"--target", "label"}), "nobody says what the photos show");
    CHECK_FAILS(desk.evaluate({"--target", "top:2"}), "one class a photo is rated, not 2");
    CHECK_FAILS(desk.evaluate({"--boxes", "missing.csv"}), "missing.csv: does not exist");
    CHECK_FAILS(desk.evaluate({"--mask-value", "x"}), "--mask-value x: auto, or 0 to 255");
    CHECK_FAILS(desk.evaluate({"--boxes", desk.boxes, "--target", "1", "--metrics", "top1-error"}), "--target auto or label");
    const std::filesystem::path odd = std::filesystem::path(desk.photos) / "caf\xe9.png";
    std::filesystem::copy(std::filesystem::path(desk.photos) / "p00.png", odd);
    CHECK_FAILS(desk.evaluate(), "the name of this photo is not UTF-8");
    std::filesystem::remove(odd);
    CHECK_FAILS(desk.evaluate({"--layer", "nonsense"}), "nonsense");
    make_folder(desk / "empty");
    CHECK_FAILS(limn_command({"evaluate", (desk / "empty").string(), "--model", desk.model}, desk), "is a directory without pictures");
    CHECK_FAILS(limn_command({"evaluate", (desk / "nowhere").string(), "--model", desk.model}, desk), "is no folder of photos");
    write_file(desk / "file", std::string("x"));
    CHECK_FAILS(limn_command({"evaluate", desk.photos, "--model", desk.model, "--out", (desk / "file").string()}, desk), "file");
    std::filesystem::remove_all(desk.out);
    CHECK_FAILS(desk.evaluate({},
                              [] {
                                  const rlimit small{2000, 2000};
                                  setrlimit(RLIMIT_FSIZE, &small);
                                  std::signal(SIGXFSZ, SIG_IGN);
                              }),
                "cannot be written");
    const CommandResult help = limn_command({"evaluate", "--help"}, desk);
    CHECK(help.status == 0);
    CHECK(help.out.find("Examples:") != std::string::npos);
    CHECK(help.out.find("maxboxacc-v2") != std::string::npos);
}
