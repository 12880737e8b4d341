// `limn train` as users run it.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "engine/file.h"
#include "tests/cli/command.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "tests/train/photos.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

struct Photos {
    TemporaryFolder folder;
    std::string photos = (folder / "photos").string(), out = (folder / "out").string(), network = (folder / "net.json").string();
    Photos() {
        write_photos(folder.path / "photos" / "grey", 20, 1, 128);
        write_photos(folder.path / "photos" / "red", 20, 2, 200);
        write_file(network, std::string_view(R"({"class_name": "Sequential", "config": {"name": "net", "layers": [
            {"class_name": "InputLayer", "config": {"name": "photo", "batch_shape": [null, 12, 12, 3]}},
            {"class_name": "Conv2D", "config": {"name": "conv", "filters": 6, "kernel_size": [3, 3], "activation": "relu"}},
            {"class_name": "GlobalAveragePooling2D", "config": {"name": "gap"}},
            {"class_name": "Dense", "config": {"name": "scores", "units": 1, "activation": "sigmoid"}}]}})"));
    }
    std::vector<std::string> arguments(std::vector<std::string> more, const std::string& into = "") const {
        std::vector<std::string> all{"train", photos, "--arch", network, "--out", into.empty() ? out : into, "--show", "2"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
};

}  // namespace

TEST_CASE("train: a line an epoch, the files it promises, and a model that the other commands open") {
    const Photos p;
    const CommandResult run = limn_command(p.arguments({"--epochs", "5", "--lr", "0.03", "--batch", "8"}), p.folder);
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    CHECK(run.out.find("2 classes (grey, red): 32 training and 8 validation photos") != std::string::npos);
    CHECK(run.out.find("epoch   5/5  loss ") != std::string::npos);
    CHECK(run.out.find("best: epoch ") != std::string::npos);
    CHECK(run.err.empty());
    for (const char* file : {"best.h5", "last.h5", "checkpoint.h5"}) CHECK(fs::exists(fs::path(p.out) / file));
    const CommandResult explained = limn_command(
        {"explain", p.photos + "/red/3.png", "--model", p.out + "/best.h5", "--method", "all", "--out", p.out + "/maps"}, p.folder);
    CHECK(explained.status == 0);
    CHECK(fs::exists(fs::path(p.out) / "maps" / "3.cam.conv.png"));

    CHECK(limn_command(p.arguments({"--epochs", "5"}), p.folder).err.find("--resume") != std::string::npos);  // not overwritten
}

TEST_CASE("train: photos that cannot be used are named; they are skipped, or refused if one likes") {
    const Photos p;
    write_file(fs::path(p.photos) / "red" / "empty.jpg", std::string_view());
    write_file(fs::path(p.photos) / "grey" / "notes.txt", std::string_view("hello"));
    const CommandResult skipped = limn_command(p.arguments({"--epochs", "1"}), p.folder);
    CHECK(skipped.status == 0);
    CHECK(skipped.err.find("empty.jpg: is empty") != std::string::npos);
    CHECK(skipped.err.find("notes.txt: is text") != std::string::npos);
    CHECK(skipped.err.find("2 files are left out") != std::string::npos);
    const CommandResult refused = limn_command(p.arguments({"--epochs", "1", "--bad-photos", "refuse"}, p.out + "2"), p.folder);
    CHECK(refused.status == 2);
    CHECK(refused.err.find("2 photos cannot be used") != std::string::npos);
    CHECK_FALSE(fs::exists(p.out + "2"));
}

TEST_CASE("train: wrong options and folders are one clear line and exit status 2") {
    const Photos p;
    const auto complaint = [&](std::vector<std::string> arguments) {
        const CommandResult o = limn_command(arguments, p.folder);
        CHECK(o.status == 2);
        CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
        return o.err;
    };
    const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
    CHECK(has(complaint({"train", p.photos}), "say what to train"));
    CHECK(has(complaint({"train", p.photos + "/none", "--arch", "paws"}), "is not a folder"));
    CHECK(has(complaint({"train", p.photos, "--arch", "pows"}), "neither a name limn knows"));
    CHECK(has(complaint(p.arguments({"--optimizer", "lion"})), "optimizer 'lion' is not known"));
    CHECK(has(complaint(p.arguments({"--schedule", "linear"})), "schedule 'linear' is not known"));
    CHECK(has(complaint(p.arguments({"--augment", "wild"})), "augmentation 'wild' is not known"));
    for (const char* option : {"--lr", "--batch", "--workers", "--show", "--val-share", "--teacher-weight", "--weight-decay"})
        CHECK(has(complaint(p.arguments({option, "-2"})), option));
    CHECK(has(complaint(p.arguments({"--workers", "100000"})), "--workers"));
    CHECK(has(complaint(p.arguments({"--size", "20x20"})), "takes only 12x12"));
    CHECK(has(complaint(p.arguments({"--val-size", "20x20"})), "takes only 12x12"));
    CHECK(has(complaint(p.arguments({"--log", "paper"})), "--log paper"));
    CHECK(has(complaint(p.arguments({"--store", "float8"})), "--store float8"));
    CHECK(has(complaint(p.arguments({"--bad-photos", "burn"})), "--bad-photos burn"));
    CHECK(has(complaint(p.arguments({"--teacher", p.network})), "net.json"));
    CHECK(has(complaint({"train", p.photos, "--base", p.photos + "/none.h5"}), "none.h5"));
}

TEST_CASE("train: the article's three heads on the layout of the published VGG16, by its name") {
    const Photos p;
    const std::string cache = (p.folder / "cache").string();
    make_folder(cache);
    const auto with_cache = [&] { setenv("LIMN_CACHE", cache.c_str(), 1); };
    REQUIRE(
        limn_command({"init", "vgg16", "--no-top", "-o", cache + "/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"}, p.folder).status ==
        0);
    for (const char* head : {"gap", "gap-dense64", "flatten-dense256"}) {
        CAPTURE(head);
        const std::string out = p.out + head;
        const CommandResult run =
            limn_command({"train", p.photos, "--base", "vgg16-notop", "--head", head, "--size", "32x32", "--epochs", "3", "--out", out},
                         p.folder, with_cache);
        CAPTURE(run.err);
        REQUIRE(run.status == 0);
        CHECK(run.err.find("features of the training photos: 32") != std::string::npos);
        CHECK(run.out.find("photos of 32x32") != std::string::npos);
        const CommandResult explained = limn_command(
            {"explain", p.photos + "/red/1.png", "--model", out + "/best.h5", "--layer", "block5_conv3", "--out", out}, p.folder);
        CHECK(explained.status == 0);
        const CommandResult cam =
            limn_command({"explain", p.photos + "/red/1.png", "--model", out + "/best.h5", "--method", "cam", "--out", out}, p.folder);
        CHECK(cam.status == (std::string(head) == "gap" ? 0 : 2));
    }
    // training goes down to a layer of the base where it is asked to
    const CommandResult run = limn_command(
        {"train", p.photos, "--base", "vgg16-notop", "--unfreeze", "block5_conv3", "--size", "32x32", "--epochs", "1", "--out", p.out},
        p.folder, with_cache);
    CHECK(run.status == 0);
    CHECK(run.out.find("vgg16: 2360321 of 14715201 weights are trained") != std::string::npos);
}

TEST_CASE("train: what was frozen in one run is trained in the next, if that asks for all of it") {
    const Photos p;
    REQUIRE(limn_command(p.arguments({"--epochs", "1"}), p.folder).status == 0);
    const std::string first = p.out + "/best.h5", head = p.out + "-head", all = p.out + "-all";
    const CommandResult frozen = limn_command({"train", p.photos, "--base", first, "--epochs", "1", "--out", head}, p.folder);
    CHECK(frozen.out.find(" 7 of 175 weights are trained") != std::string::npos);
    const CommandResult whole = limn_command({"train", p.photos, "--model", head + "/best.h5", "--epochs", "1", "--out", all}, p.folder);
    CAPTURE(whole.err);
    CHECK(whole.out.find(" 175 of 175 weights are trained") != std::string::npos);
    // the file that a run started from is part of it
    fs::copy_file(first, head + "/best.h5", fs::copy_options::overwrite_existing);
    const CommandResult other =
        limn_command({"train", p.photos, "--model", head + "/best.h5", "--epochs", "1", "--out", all, "--resume"}, p.folder);
    CHECK(other.status == 2);
    CHECK(other.err.find("was started with started_from") != std::string::npos);
}

TEST_CASE("train: what a run starts from is not written over, what was said at its start stays, what is not applied is noted") {
    const Photos p;
    REQUIRE(limn_command(p.arguments({"--epochs", "1"}), p.folder).status == 0);
    const auto further = [&](const std::string& out, std::vector<std::string> more = {}) {
        std::vector<std::string> all{"train", p.photos, "--model", p.out + "/best.h5", "--epochs", "1", "--out", out, "--show", "2"};
        all.insert(all.end(), more.begin(), more.end());
        return limn_command(all, p.folder);
    };
    fs::remove(fs::path(p.out) / "checkpoint.h5");
    const auto before = read_file(p.out + "/best.h5");
    CHECK(further(p.out).err.find("would write over the file that it starts from") != std::string::npos);
    CHECK(read_file(p.out + "/best.h5") == before);
    CHECK(further(p.out + "2").status == 0);
    CHECK(further(p.out + "2", {"--resume", "--exact"}).err.find("was started with exact = no, not yes") != std::string::npos);

    const auto bytes = read_file(p.network);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string place = "\"filters\": 6,";
    text.replace(text.find(place), place.size(), place + " \"kernel_regularizer\": {\"class_name\": \"L2\", \"config\": {\"l2\": 0.01}},");
    write_file(p.network, text);
    const CommandResult regularized = limn_command(p.arguments({"--epochs", "1"}, p.out + "3"), p.folder);
    CHECK(regularized.status == 0);
    CHECK(regularized.err.find("the network's kernel_regularizer are not applied") != std::string::npos);
    text.replace(text.find("relu"), 4, "tanh");
    write_file(p.network, text);
    CHECK(limn_command(p.arguments({"--epochs", "1", "--resume"}, p.out + "3"), p.folder).err.find("architecture_md5") !=
          std::string::npos);

    // a teacher of a fixed size sees the photos in that size
    write_model(p.folder / "teacher.h5", tiny_config(16, 1, "sigmoid").dump(), tiny_weights(1));
    const CommandResult taught =
        limn_command({"train", p.photos, "--arch", "paws", "--size", "32x32", "--teacher", (p.folder / "teacher.h5").string(), "--epochs",
                      "1", "--batch", "8", "--out", p.out + "4", "--show", "2"},
                     p.folder);
    CHECK_MESSAGE(taught.status == 0, taught.err);
}

TEST_CASE("train: killed at any moment and resumed, it ends with the same weights") {
    const Photos p;
    const std::vector<std::string> options{"--epochs", "30", "--augment", "standard", "--batch", "4", "--averaging", "0.9"};
    REQUIRE(limn_command(p.arguments(options), p.folder).status == 0);
    const auto whole = read_file(p.out + "/best.h5");

    std::vector<std::string> again = p.arguments(options, p.out + "2");
    again.push_back("--resume");
    int kills = 0;
    Random random(3);
    for (int attempt = 0; attempt < 10; attempt++) {
        const pid_t child = start_limn(again, p.folder);
        std::this_thread::sleep_for(std::chrono::milliseconds(30 + random.below(150)));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        kills += WIFSIGNALED(status);
    }
    MESSAGE("killed while it ran: ", kills, " times of 10");
    CHECK(kills > 0);
    REQUIRE(limn_command(again, p.folder).status == 0);
    CHECK(read_file(p.out + "2/best.h5") == whole);
}

TEST_CASE("train: SIGTERM stops it in order and says how to go on") {
    const Photos p;
    const std::vector<std::string> options = p.arguments({"--epochs", "100000"});
    const pid_t child = start_limn(options, p.folder);
    for (int i = 0; i < 500 && !fs::exists(fs::path(p.out) / "checkpoint.h5"); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(fs::exists(fs::path(p.out) / "checkpoint.h5"));
    kill(child, SIGTERM);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 2);
    CHECK(slurp(p.folder / "stderr").find("go on with the same command and --resume") != std::string::npos);
}
