// The command as users run it: what it prints and writes, and one clear line with exit status 2 for everything it cannot do.
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "engine/cuda/cuda.h"
#include "engine/digest.h"
#include "tests/cli/command.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "view/image.h"
#include "weights/npy.h"

using namespace limn;

namespace {

Image gradient_image(Index h, Index w) {
    Image image{h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3))};
    for (std::size_t i = 0; i < image.rgb.size(); i++) image.rgb[i] = std::uint8_t(i * 7 + i / 50);
    return image;
}

void write_text(const std::filesystem::path& path, const std::string& text) { write_file(path, text); }
void cut(const std::filesystem::path& path, double share) {
    std::filesystem::resize_file(path, std::uintmax_t(double(std::filesystem::file_size(path)) * share));
}

// A folder with a model and a photo that work.
struct Desk : TemporaryFolder {
    std::string model = (path / "tiny.h5").string(), photo = (path / "photo.png").string(), out = (path / "out").string();
    Desk() {
        write_model(model, tiny_config().dump(), tiny_weights());
        write_png(photo, gradient_image(20, 30));
    }
    CommandResult explain(const std::string& with_photo, const std::string& with_model, std::vector<std::string> more = {}) const {
        std::vector<std::string> arguments{"explain", with_photo, "--model", with_model, "--out", out};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return limn_command(arguments, *this);
    }
};

void check_refused(const char* what, const CommandResult& o, const std::string& expected) {
    CAPTURE(std::string(what));
    CAPTURE(o.err);
    CHECK(o.status == 2);
    const std::string last = o.err.substr(o.err.rfind("limn: ", o.err.size() - 1) == std::string::npos ? 0 : o.err.rfind("limn: "));
    CHECK(last.starts_with("limn: "));
    CHECK(std::count(last.begin(), last.end(), '\n') == 1);
    CHECK(last.find(expected) != std::string::npos);
}

bool leftovers(const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".tmp") return true;
    return false;
}

}  // namespace

TEST_CASE("explain writes picture, raw map, page and JSON, and the JSON on stdout is the only thing there") {
    const Desk desk;
    const CommandResult o =
        desk.explain(desk.photo, desk.model, {"--save", "png,npy,json,html", "--json", "--method", "all", "--target", "top:2"});
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    const Json document = Json::parse(o.out);
    const Json& image = document["images"][0];
    CHECK(image["predictions"].size() == 3);
    CHECK(image["maps"].size() == 42);  // 21 methods, two targets
    for (const Json& map : image["maps"])
        for (const Json& file : map["files"]) CHECK(std::filesystem::exists(file.get<std::string>()));
    const std::string label = image["predictions"][0]["label"];
    const Tensor raw = read_npy(desk / "out" / ("photo.grad-cam.conv." + label + ".npy"));
    CHECK(raw.shape() == (Shape{16, 16}));
    const Image picture = read_image(desk / "out" / ("photo.grad-cam.conv." + label + ".png"));
    CHECK(picture.height == 20);
    CHECK(picture.width == 30);
    CHECK(slurp(desk / "out" / "photo.html").find("data:image/png;base64,") != std::string::npos);
    CHECK(Json::parse(slurp(desk / "out" / "photo.json")) == image);
}

TEST_CASE("a folder stands for its pictures; each of them gets its own target from a file, and counts are checked") {
    const Desk desk;
    const std::filesystem::path folder = desk / "photos";
    std::filesystem::create_directories(folder / "more");
    write_png(folder / "b.png", gradient_image(20, 30));
    write_png(folder / "a.PNG", gradient_image(9, 40));
    write_png(folder / "more" / "c.png", gradient_image(30, 20));
    write_text(folder / "notes.txt", "no picture");
    write_text(desk / "targets.txt", "2\n0\n1 - 2\n");
    const CommandResult o =
        desk.explain(folder.string(), desk.model, {"--targets", (desk / "targets.txt").string(), "--json", "--save", "npy"});
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    CHECK(o.err.find("3 photos in") != std::string::npos);
    const Json images = Json::parse(o.out)["images"];
    REQUIRE(images.size() == 3);
    CHECK(images[0]["image"].get<std::string>().ends_with("a.PNG"));
    CHECK(images[2]["image"].get<std::string>().ends_with("c.png"));
    CHECK(images[0]["maps"][0]["target"]["index"] == 2);
    CHECK(images[1]["maps"][0]["target"]["index"] == 0);
    CHECK(images[2]["maps"][0]["target"]["terms"].size() == 2);

    write_text(desk / "targets.txt", "2\n0\n");
    check_refused("too few targets", desk.explain(folder.string(), desk.model, {"--targets", (desk / "targets.txt").string()}),
                  "names 2 targets for 3 images");
    write_text(desk / "targets.txt", "2\nauto\n1\n");
    check_refused("a target by scores", desk.explain(folder.string(), desk.model, {"--targets", (desk / "targets.txt").string()}),
                  "depends on the scores");
}

TEST_CASE("every kind of target has its place in the JSON and the file's name") {
    const Desk desk;
    for (const std::string target : {"0 - 1", "best:1-2", "output[1]", "2*0 + 1", "top:2"}) {
        CAPTURE(target);
        const CommandResult o = desk.explain(desk.photo, desk.model, {"--target", target, "--json", "--save", "npy"});
        CAPTURE(o.err);
        REQUIRE(o.status == 0);
        const Json maps = Json::parse(o.out)["images"][0]["maps"];
        CHECK(maps.size() == (target == "top:2" ? 2 : 1));
        for (const Json& map : maps) CHECK(std::filesystem::exists(map["files"][0].get<std::string>()));
    }
    // the same photo is as similar as can be; its gradient is zero, and that is said
    const CommandResult same = desk.explain(desk.photo, desk.model, {"--target", "like:" + desk.photo, "--json", "--save", "npy"});
    REQUIRE(same.status == 0);
    CHECK(Json::parse(same.out)["images"][0]["maps"][0]["target"]["label"] == "like photo");
}

TEST_CASE("views: signed, counterfactual, fused layers, boxes; the contact sheet holds all maps of a photo") {
    const Desk desk;
    const auto maps_of = [&](const std::vector<std::string>& more) {
        std::vector<std::string> all{"--json", "--save", "png,npy,json"};
        all.insert(all.end(), more.begin(), more.end());
        const CommandResult o = desk.explain(desk.photo, desk.model, all);
        CAPTURE(o.err);
        REQUIRE(o.status == 0);
        return Json::parse(o.out)["images"][0];
    };
    const Json heat = maps_of({"--target", "1"})["maps"][0];
    CHECK(maps_of({"--target", "1", "--view", "signed"})["maps"][0]["sha256"] == heat["sha256"]);  // only the picture is another
    CHECK(maps_of({"--target", "1", "--view", "signed"})["maps"][0]["conventions"]["colormap"] == "diverging");
    CHECK(maps_of({"--target", "1", "--view", "signed", "--colormap", "jet"})["maps"][0]["conventions"]["colormap"] == "jet");
    const Json against = maps_of({"--target", "1", "--view", "counterfactual"})["maps"][0];
    CHECK(against["statistics"]["max"].get<double>() == -heat["statistics"]["min"].get<double>());
    CHECK(against["target"]["label"] == "against 1");
    const Json four = maps_of({"--method", "grad-cam,layercam", "--target", "top:2"});
    CHECK(four["files"][0].get<std::string>().ends_with("photo.sheet.png"));
    const Image sheet = read_image(four["files"][0].get<std::string>());
    CHECK(sheet.width > 600);
    CHECK(maps_of({"--layer", "conv,image", "--fuse", "max"})["maps"][0]["layer"] == "fused");
    CHECK(maps_of({"--boxes", "all", "--threshold", "0.9"})["maps"][0]["boxes"].size() >= 1);
}

TEST_CASE("the manifest names everything a map depends on, with fingerprints; the same call gives the same") {
    const Desk desk;
    const auto manifest = [&](const std::vector<std::string>& more) {
        std::vector<std::string> all{"--json", "--method", "rise", "--samples", "20"};
        all.insert(all.end(), more.begin(), more.end());
        return Json::parse(desk.explain(desk.photo, desk.model, all).out)["images"][0];
    };
    const Json once = manifest({}), again = manifest({}), other = manifest({"--seed", "2"});
    CHECK(once["manifest"] == again["manifest"]);
    CHECK(once["maps"][0]["sha256"] == again["maps"][0]["sha256"]);
    CHECK(once["maps"][0]["sha256"] != other["maps"][0]["sha256"]);
    CHECK(other["manifest"]["seed"] == 2);
    CHECK(once["manifest"]["samples"] == 20);
    CHECK(!once["manifest"].contains("given"));
    CHECK(once["manifest"]["model"]["sha256"] == digest_of_file("sha256", desk.model));
    for (const char* key : {"limn", "backend", "threads", "image", "input", "score", "picture"}) CHECK(once["manifest"].contains(key));

    Json config = tiny_config();
    config["config"]["layers"].insert(config["config"]["layers"].begin() + 1, layer_json("Lambda", "scale", Json::object()));
    write_model(desk.model, config.dump(), tiny_weights());
    CHECK(manifest({"--lambda", "scale: x/2"})["manifest"]["given"]["lambda"]["scale"] == "x/2");
}

TEST_CASE("--verify prints the evidence beside each map") {
    const Desk desk;
    const CommandResult o = desk.explain(desk.photo, desk.model, {"--verify", "--method", "grad-cam,cam,saliency"});
    CAPTURE(o.err);
    CHECK(o.status == 0);
    CHECK(o.out.find("PASS grad-cam at conv: gradient") != std::string::npos);
    CHECK(o.out.find("PASS cam at conv: completeness") != std::string::npos);
    CHECK(o.out.find("PASS saliency at image: gradient") != std::string::npos);
    const Json json = Json::parse(slurp(desk / "out" / "photo.json"));
    CHECK(json["maps"][0]["verification"].size() == 5);

    // each photo by its own target
    write_text(desk / "targets.txt", "2\n0\n");
    const CommandResult two = limn_command({"explain", desk.photo, desk.photo, "--model", desk.model, "--targets",
                                            (desk / "targets.txt").string(), "--verify", "--out", desk.out},
                                           desk);
    CHECK_MESSAGE(two.status == 0, two.out, two.err);
}

TEST_CASE("without --model the bundled cat/dog model answers: the sample photo is a cat, and CAM and Grad-CAM are one map") {
    Desk desk;
    const std::string chelsea = LIMN_PLACE(LIMN_GOLDENS_DIR) + "/../../docs/photos/chelsea.png";
    const CommandResult o =
        limn_command({"explain", chelsea, "--method", "cam,grad-cam", "--save", "npy", "--json", "--out", desk.out}, desk);
    REQUIRE_MESSAGE(o.status == 0, o.err);
    const auto image = nlohmann::json::parse(o.out).at("images").at(0);
    const auto& likeliest = image.at("predictions").at(0);
    CHECK(likeliest.at("label") == "cat");
    CHECK(likeliest.at("score").get<double>() == doctest::Approx(0.9908).epsilon(1e-3));
    REQUIRE(image.at("maps").size() == 2);
    const Tensor cam = read_npy(image.at("maps").at(0).at("files").at(0).get<std::string>());
    const Tensor grad_cam = read_npy(image.at("maps").at(1).at("files").at(0).get<std::string>());
    REQUIRE(cam.shape() == grad_cam.shape());
    const double cells = double(cam.shape().size());
    double worst = 0, largest = 0;
    for (Index i = 0; i < cam.shape().size(); i++) {
        worst = std::max(worst, std::abs(double(cam.data()[i]) - cells * double(grad_cam.data()[i])));
        largest = std::max(largest, std::abs(double(cam.data()[i])));
    }
    CHECK(worst <= 1e-6 * largest);
}

TEST_CASE("many photos in one call, also of the same name, and of their own sizes") {
    const Desk desk;
    std::filesystem::create_directory(desk / "other");
    write_png(desk / "other" / "photo.png", gradient_image(31, 17));
    write_model(desk / "any.h5", tiny_config(-1).dump(), tiny_weights());
    const CommandResult o = limn_command({"explain", desk.photo, (desk / "other" / "photo.png").string(), "--model",
                                          (desk / "any.h5").string(), "--size", "native", "--out", desk.out, "--save", "npy"},
                                         desk);
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    CHECK(read_npy(desk / "out" / "photo.grad-cam.conv.npy").shape() == (Shape{20, 30}));
    CHECK(read_npy(desk / "out" / "photo-2.grad-cam.conv.npy").shape() == (Shape{31, 17}));

    // one of them is called as another would be
    write_png(desk / "photo-2.png", gradient_image(12, 13));
    write_png(desk / "other" / "photo.png", gradient_image(14, 15));
    const CommandResult three =
        limn_command({"explain", (desk / "photo-2.png").string(), desk.photo, (desk / "other" / "photo.png").string(), "--model",
                      (desk / "any.h5").string(), "--size", "native", "--out", desk.out, "--save", "npy"},
                     desk);
    REQUIRE_MESSAGE(three.status == 0, three.err);
    CHECK(read_npy(desk / "out" / "photo-2.grad-cam.conv.npy").shape() == (Shape{12, 13}));
    CHECK(read_npy(desk / "out" / "photo.grad-cam.conv.npy").shape() == (Shape{20, 30}));
    CHECK(read_npy(desk / "out" / "photo-3.grad-cam.conv.npy").shape() == (Shape{14, 15}));
}

TEST_CASE("a network with one open side: photos keep their proportions, or become what is asked for") {
    const Desk desk;
    Json config = tiny_config();
    config["config"]["layers"][0]["config"]["batch_input_shape"] = {nullptr, 32, nullptr, 3};
    write_model(desk / "line.h5", config.dump(), tiny_weights());
    const auto shape = [&](std::vector<std::string> more) {
        const CommandResult o = desk.explain(desk.photo, (desk / "line.h5").string(), [&] {
            more.insert(more.end(), {"--save", "npy"});
            return more;
        }());
        REQUIRE_MESSAGE(o.status == 0, o.err);
        return read_npy(desk / "out" / "photo.grad-cam.conv.npy").shape();
    };
    CHECK(shape({}) == (Shape{32, 224}));
    CHECK(shape({"--size", "native"}) == (Shape{32, 48}));  // of 20x30
    CHECK(shape({"--size", "32x50"}) == (Shape{32, 50}));
    check_refused("another height", desk.explain(desk.photo, (desk / "line.h5").string(), {"--size", "64x64"}), "takes only 32xany");
}

TEST_CASE("names that are not UTF-8: the JSON holds a replacement, the files keep their names") {
    const Desk desk;
    const std::string odd = (desk / "caf\xe9.png").string();
    std::filesystem::copy(desk.photo, odd);
    for (const char* command : {"explain", "predict"}) {
        const CommandResult o = limn_command({command, odd, "--model", desk.model, "--json"}, desk);
        CAPTURE(o.err);
        REQUIRE(o.status == 0);
        CHECK(Json::parse(o.out)["images"][0]["image"].get<std::string>().ends_with("caf\ufffd.png"));
    }
    const CommandResult o = desk.explain(odd, desk.model);
    CHECK_MESSAGE(o.status == 0, o.err);
    CHECK(std::filesystem::exists(desk / "out" / "caf\xe9.json"));
}

TEST_CASE("options that take lists leave alone what comes after them") {
    const Desk desk;
    const CommandResult o = limn_command(
        {"explain", "--method", "cam,grad-cam", "--layer", "conv", "--save", "npy", desk.photo, "--model", desk.model, "--out", desk.out},
        desk);
    CHECK_MESSAGE(o.status == 0, o.err);
    CHECK(std::filesystem::exists(desk / "out" / "photo.cam.conv.npy"));
    write_npy(desk / "x.npy", random_tensor({1, 16, 16, 3}, 1));
    const CommandResult run = limn_command({"run", "--input", (desk / "x.npy").string(), desk.model, "--layer", "conv", "--layer", "image",
                                            "--out", (desk / "arrays").string()},
                                           desk);
    CHECK_MESSAGE(run.status == 0, run.err);
    CHECK(std::filesystem::exists(desk / "arrays" / "image.activation.npy"));
    // an element that is not there is known before anything is written
    for (const char* target : {"281", "7:0", "0:99999"}) {
        const CommandResult bad = limn_command(
            {"run", "--input", (desk / "x.npy").string(), desk.model, "--target", target, "--out", (desk / "none").string()}, desk);
        CHECK(bad.status == 2);
        CHECK_FALSE(std::filesystem::exists(desk / "none"));
    }
}

TEST_CASE("a folder is explained again without the pictures that were written into it") {
    const Desk desk;
    std::filesystem::create_directory(desk / "photos");
    std::filesystem::copy(desk.photo, desk / "photos");
    for (int time = 0; time < 2; time++) {
        const CommandResult o = limn_command(
            {"explain", (desk / "photos").string(), "--model", desk.model, "--json", "--out", (desk / "photos" / "limn-out").string()},
            desk);
        REQUIRE_MESSAGE(o.status == 0, o.err);
        CHECK(Json::parse(o.out)["images"].size() == 1);
    }
}

TEST_CASE("run returns arrays that belong together") {
    const Desk desk;
    write_npy(desk / "x.npy", random_tensor({2, 16, 16, 3}, 1));
    const CommandResult o = limn_command(
        {"run", desk.model, "--input", (desk / "x.npy").string(), "--layer", "conv", "--target", "0:1", "--out", desk.out}, desk);
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    const Tensor output = read_npy(desk / "out" / "output0.npy"), target = read_npy(desk / "out" / "target.npy");
    CHECK(output.shape() == (Shape{2, 3}));
    CHECK(target.at({1}) == output.at({1, 1}));
    CHECK(read_npy(desk / "out" / "conv.activation.npy").shape() == (Shape{2, 16, 16, 6}));
    CHECK(read_npy(desk / "out" / "conv.gradient.npy").shape() == (Shape{2, 16, 16, 6}));
    CHECK(read_npy(desk / "out" / "conv.gradcam.npy").shape() == (Shape{2, 16, 16}));
    CHECK(read_npy(desk / "out" / "input0.gradient.npy").shape() == (Shape{2, 16, 16, 3}));
}

TEST_CASE("init writes the same file for the same seed, and it opens again") {
    const Desk desk;
    for (const char* name : {"a.h5", "b.h5"})
        REQUIRE(limn_command({"init", "squeezenet", "--seed", "5", "-o", (desk / name).string()}, desk).status == 0);
    CHECK(slurp(desk / "a.h5") == slurp(desk / "b.h5"));
    const CommandResult o = limn_command({"predict", desk.photo, "--model", (desk / "a.h5").string(), "--json"}, desk);
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    CHECK(Json::parse(o.out)["preprocess"] == "caffe");
    CHECK(Json::parse(o.out)["images"][0]["predictions"].size() == 5);
}

TEST_CASE("inspect --plan for a GPU that is not there: engines of cuDNN, or why there are none") {
    const Desk desk;
    const CommandResult o = limn_command({"inspect", desk.model, "--plan", "--device", "cuda", "--sm", "90"}, desk);
    if (cuda::built_with_cuda()) {
        CHECK(o.status == 0);
        CHECK(o.out.find("a GPU of sm 90 (H100 or H200), cuDNN 9.") != std::string::npos);
        CHECK(o.out.find("GFLOP, one workspace of") != std::string::npos);
        CHECK(limn_command({"inspect", desk.model, "--plan", "--sm", "33"}, desk).err.find("75, 80, 86, 89, 90, 100, 120") !=
              std::string::npos);
        CHECK(limn_command({"inspect", desk.model, "--plan", "--sm", "90", "--precision", "f8"}, desk).err.find("'f8'") !=
              std::string::npos);
    } else {
        CHECK(o.status == 2);
        CHECK(o.err.find("built without CUDA") != std::string::npos);
    }
    CHECK(limn_command({"inspect", desk.model, "--sm", "90"}, desk).err.find("--sm is for --plan") != std::string::npos);
}

TEST_CASE("inspect shows layers, parameters, where methods apply, and the preprocessing with its reason") {
    const Desk desk;
    const CommandResult o = limn_command({"inspect", desk.model}, desk);
    REQUIRE(o.status == 0);
    for (const char* part : {"Conv2D", "(?,16,16,6)", "168", "grad-cam, cam", "preprocessing: unit", "CAM: applies at 'conv'"})
        CHECK(o.out.find(part) != std::string::npos);
}

TEST_CASE("photos that cannot be explained: exit 2 and one clear line") {
    const Desk desk;
    const std::string bad = (desk / "bad").string();
    const auto refuse = [&](const char* what, const std::string& expected) {
        check_refused(what, desk.explain(bad, desk.model), expected);
    };

    check_refused("missing", desk.explain((desk / "no.jpg").string(), desk.model), "cannot be opened");
    std::filesystem::create_directory(desk / "empty");
    check_refused("a directory", desk.explain((desk / "empty").string(), desk.model), "is a directory without pictures");
    write_text(bad, "");
    refuse("zero bytes", "is empty");
    write_text(bad, "this is a letter, not a photo");
    refuse("text", "not a photo limn can read");
    write_text(bad, "GIF89a.................");
    refuse("a GIF", "is a GIF");
    write_text(bad, std::string("RIFF\x24\0\0\0WEBPVP8 ", 16));
    refuse("a WebP", "is a WebP");
    write_png(bad, gradient_image(1, 1));
    refuse("1x1", "1x1 pixels: too small");
    write_png(bad, gradient_image(1, 40));
    refuse("one pixel high", "too small");
    write_png(bad, gradient_image(2, 20000));
    refuse("20000 pixels wide", "at most 16384");
    write_png(bad, gradient_image(50, 50));
    cut(bad, 0.5);
    refuse("half a PNG", "damaged or cut short");
    write_text(bad, "\x89PNG\r\n\x1a\nrubbish rubbish rubbish");
    refuse("a PNG's first bytes and rubbish", "not a photo limn can read");
    write_text(bad, std::string("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20));
    refuse("a JPEG's first bytes", "not a photo limn can read");
    write_text(bad, std::string("\xff\xd8\xff\xc0\0\x14\x08\0\x10\0\x10\4\1\x11\0\2\x11\0\3\x11\0\4\x11\0\xff\xd9", 26));
    refuse("a CMYK JPEG", "CMYK");
    if (geteuid() == 0) {
        MESSAGE("skipped: a file without permission (the tests run as root, who may read everything)");
    } else {
        write_png(bad, gradient_image(9, 9));
        std::filesystem::permissions(bad, std::filesystem::perms::none);
        refuse("no permission", "Permission denied");
    }
    check_refused("a bad one among good ones",
                  limn_command({"explain", desk.photo, (desk / "no.jpg").string(), "--model", desk.model, "--out", desk.out}, desk),
                  "no.jpg");
    CHECK_FALSE(leftovers(desk.path));
}

TEST_CASE("models that cannot be opened: exit 2 and one clear line") {
    const Desk desk;
    const std::string bad = (desk / "bad.h5").string();
    const auto refuse = [&](const char* what, const std::string& expected) {
        check_refused(what, desk.explain(desk.photo, bad), expected);
    };
    const auto with = [&](const char* what, const Json& config, const std::vector<StoredArray>& arrays, const std::string& expected) {
        write_model(bad, config.dump(), arrays);
        refuse(what, expected);
    };

    check_refused("missing", desk.explain(desk.photo, (desk / "no.h5").string()), "cannot be opened");
    check_refused("a name nobody knows", desk.explain(desk.photo, "resnet9000"), "neither a file nor a name");
    check_refused("a directory", desk.explain(desk.photo, desk.path.string()), "is a directory");
    write_text(bad, "");
    refuse("empty", "is empty");
    write_text(bad, "# not HDF5\n");
    refuse("text", "looks like text");
    write_text(bad, std::string("PK\3\4", 4) + std::string(60, 'x'));
    refuse("a zip", "cannot be opened as a zip archive");
    write_png(bad, gradient_image(9, 9));
    refuse("an image", "looks like a PNG image");
    for (double share : {0.02, 0.3, 0.7, 0.99}) {
        std::filesystem::copy_file(desk.model, bad, std::filesystem::copy_options::overwrite_existing);
        cut(bad, share);
        refuse("cut short", "bad.h5");
    }
    {
        Hdf5Writer file(bad);
        file.group("/x");
        file.commit();
    }
    refuse("HDF5 but not Keras", "not one Keras wrote");
    {
        Hdf5Writer file(bad);
        file.group("/a");
        file.attribute("/a", "weight_names", std::vector<std::string>{});
        file.attribute("/", "layer_names", std::vector<std::string>{"a"});
        file.commit();
    }
    refuse("weights of no known network", "of no network limn knows");

    auto arrays = tiny_weights();
    arrays[0].values = random_tensor({3, 3, 3, 5}, 1);
    with("a kernel of another shape", tiny_config(), arrays, "'kernel' is (3,3,3,5) in the file, (3,3,3,6) was expected");
    arrays = tiny_weights();
    arrays.pop_back();
    with("a missing bias", tiny_config(), arrays, "1 arrays in the file, 2 were expected");
    arrays = tiny_weights();
    arrays.erase(arrays.begin(), arrays.begin() + 2);
    with("a missing layer", tiny_config(), arrays, "no weights for layer 'conv'");
    arrays = tiny_weights();
    arrays[1].values.data()[0] = NAN;
    with("NaN weights", tiny_config(), arrays, "NaN");
    arrays[1].values.data()[0] = INFINITY;
    with("infinite weights", tiny_config(), arrays, "NaN or infinite");

    Json config = tiny_config();
    config["config"]["layers"][1]["class_name"] = "Conv2DD";
    with("an unknown layer", config, tiny_weights(), "is a Conv2DD, which limn does not know (the nearest it knows is Conv2D)");
    config["config"]["layers"][1]["class_name"] = "Custom>Capsule";
    with("a class of one's own", config, tiny_weights(),
         "is a Custom>Capsule, which limn does not know (if the class is your own: limn never runs");
    config = tiny_config();
    config["config"]["layers"][1]["config"]["filters"] = -3;
    with("negative filters", config, tiny_weights(), "-3 filters make no sense");
    config["config"]["layers"][1]["config"]["filters"] = "six";
    with("filters in words", config, tiny_weights(), "'filters' should be a number");
    config = tiny_config();
    config["config"]["layers"][3]["config"]["activation"] = "sparkle";
    with("an unknown activation", config, tiny_weights(), "'sparkle' is not known");
    config = tiny_config();
    config["config"]["layers"][0]["config"]["batch_input_shape"] = {nullptr, 0, 16, 3};
    with("an input of size 0", config, tiny_weights(), "input of size 0");
    config = tiny_config();
    config["config"].erase("layers");
    with("no layers", config, tiny_weights(), "has no 'layers'");
    with("a subclassed model", {{"class_name", "MyModel"}, {"config", Json::object()}}, tiny_weights(), "is a MyModel");
    write_model(bad, "{ this is not JSON", tiny_weights());
    refuse("broken JSON", "not valid JSON");
    write_model(bad, std::string(100000, '['), tiny_weights());
    refuse("JSON of absurd depth", "bad.h5");
    config = tiny_config();
    config["config"]["layers"][1]["config"]["kernel_size"] = {1 << 15, 1 << 15};
    config["config"]["layers"][1]["config"]["filters"] = 1 << 20;
    with("a kernel of absurd size", config, tiny_weights(), "bad.h5");
    CHECK_FALSE(leftovers(desk.path));
}

TEST_CASE("options that make no sense: exit 2 and one clear line") {
    const Desk desk;
    const auto refuse = [&](const std::vector<std::string>& more, const std::string& expected) {
        check_refused(more[0].c_str(), desk.explain(desk.photo, desk.model, more), expected);
    };
    refuse({"--layer", "nope"}, "there is no layer 'nope'");
    write_text(desk / "one.txt", "1\n");
    refuse({"--targets", (desk / "one.txt").string(), "--target", "2"}, "give one of them");
    refuse({"--compat", "captum", "--view", "signed"}, "--view signed: --compat captum draws as that library does");
    refuse({"--compat", "captum", "--colormap", "grey"}, "--colormap: --compat captum draws as that library does");
    refuse({"--fuse", "max"}, "--fuse max: needs several layers");
    check_refused("a size without a plan", limn_command({"inspect", desk.model, "--size", "9x9"}, desk), "--size is for --plan");
    check_refused("a device without a plan", limn_command({"inspect", desk.model, "--device", "abacus"}, desk), "are for --plan");
    check_refused("no images", limn_command({"bench", desk.model, "--batch", "-5"}, desk), "--batch");
    refuse({"--layer", "scores"}, "has no spatial map");
    refuse({"--method", "magic"}, "method 'magic' is not known");
    refuse({"--target", "3"}, "has the classes 0 to 2");
    refuse({"--target", "top:9"}, "should be 1 to 3");
    refuse({"--target", "zebra"}, "is no class of this model");
    refuse({"--size", "99x99"}, "takes only 16x16");
    refuse({"--size", "native"}, "takes only 16x16");
    refuse({"--size", "big"}, "should be HxW");
    refuse({"--device", "cuda"}, "use --device cpu");
    refuse({"--device", "abacus"}, "is not known");
    refuse({"--preprocess", "magic"}, "is not known");
    refuse({"--resize", "magic"}, "nearest and bilinear");
    refuse({"--score", "magic"}, "logit, output and log are known");
    refuse({"--save", "gif"}, "png, npy, json and html");
    refuse({"--style", "magic"}, "article and blend");
    refuse({"--colormap", "magic"}, "is not known");
    refuse({"--normalize", "magic"}, "is not known");
    refuse({"--view", "magic"}, "heat, signed and counterfactual");
    refuse({"--fuse", "magic"}, "mean and max");
    refuse({"--boxes", "magic"}, "none, largest and all");
    refuse({"--compat", "magic"}, "tf-keras-vis, keras-io, zhou, article are known");
    refuse({"--target", "0 - zebra"}, "target 'zebra' is no class");
    refuse({"--target", "x*1"}, "before * should be a number");
    refuse({"--target", "best:1-7"}, "should be within 0 to 2");
    refuse({"--target", "output[1,2]"}, "one row of numbers");
    refuse({"--target", "like:/no/such.jpg"}, "cannot be opened");
    refuse({"--method", "cam", "--target", "like:" + desk.photo}, "CAM explains sums of scores");
    refuse({"--targets", "/no/such"}, "cannot be opened");
    refuse({"--samples", "0"}, "samples");
    refuse({"--threads", "-3"}, "threads cannot be used");
    refuse({"--threads", "many"}, "many");
    refuse({"--labels", "/no/such/file"}, "cannot be opened");
    refuse({"--no-such-option"}, "no-such-option");
    check_refused("no subcommand", limn_command({}, desk), "subcommand");
    check_refused("fetch of something unknown", limn_command({"fetch", "resnet9000"}, desk), "vgg16");
    check_refused("init of something unknown", limn_command({"init", "resnet9000", "-o", desk.out}, desk), "is not known");
    check_refused(
        "run with a wrong shape",
        [&] {
            write_npy(desk / "x.npy", random_tensor({1, 9, 9, 3}, 1));
            return limn_command({"run", desk.model, "--input", (desk / "x.npy").string(), "--out", desk.out}, desk);
        }(),
        "takes (?,16,16,3), (1,9,9,3) was given");
    check_refused("run with a text for an array", limn_command({"run", desk.model, "--input", desk.model, "--out", desk.out}, desk),
                  "not a .npy file");
}

TEST_CASE("output that cannot be written: exit 2, one clear line, nothing half-written") {
    const Desk desk;
    write_text(desk / "in-the-way", "a file");
    check_refused("a file where the folder should be",
                  limn_command({"explain", desk.photo, "--model", desk.model, "--out", (desk / "in-the-way").string()}, desk),
                  "in-the-way");
    check_refused("a full stdout",
                  limn_command({"explain", desk.photo, "--model", desk.model, "--out", desk.out, "--json"}, desk,
                               [] { dup2(open("/dev/full", O_WRONLY), 1); }),
                  "cannot be written");

    // A full disk, as a limit on how large a file may become (LLVM's OpenMP takes 1024 bytes for itself).
    const auto small_disk = [](rlim_t bytes) {
        return [bytes] {
            signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{bytes, bytes};
            setrlimit(RLIMIT_FSIZE, &limit);
        };
    };
    std::filesystem::remove_all(desk.out);
    check_refused("a full disk while a picture is written",
                  limn_command({"explain", desk.photo, "--model", desk.model, "--out", desk.out}, desk, small_disk(1100)),
                  "cannot be written");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(desk.out)) FAIL("left behind: ", entry.path().string());
    check_refused("a full disk while weights are written",
                  limn_command({"init", "squeezenet", "-o", (desk / "new.h5").string()}, desk, small_disk(100000)), "new.h5");
    CHECK_FALSE(std::filesystem::exists(desk / "new.h5"));
    CHECK_FALSE(leftovers(desk.path));
}
