// Writes logs of two made-up trainings and, in expected.json, what a reader must find in them.
// usage: sample FOLDER      FOLDER/plain: five epochs; FOLDER/resumed: three, interrupted, then two more
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/error.h"
#include "engine/file.h"
#include "train/tensorboard.h"
#include "train/wandb.h"

using namespace limn;
using Json = nlohmann::ordered_json;

namespace {

std::mt19937 random_bits(7);

// Texts in expected.json may be any bytes: they stand there in hexadecimal.
template <class Bytes> std::string hex(const Bytes& bytes) {
    std::string text;
    for (const auto byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
}

Picture picture(const std::string& caption) {
    Image image{16, 24, std::vector<std::uint8_t>(16 * 24 * 3)};
    for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(random_bits());
    return {caption, image};
}

// All kinds of names of classes, also one that is not UTF-8; a number that is none; no pictures in one of the epochs.
void fill(Epoch& epoch) {
    const double n = epoch.number;
    epoch.scalars = {{"loss", 1 / n},
                     {"accuracy", 0.5 + 0.09 * n},
                     {"val_loss", n == 2   ? NAN
                                  : n == 3 ? INFINITY
                                           : 1.2 / n},
                     {"val_accuracy", n < 5 ? 0.4 + 0.1 * n : 0.7},
                     {"learning_rate", 0.001 * std::pow(0.9, n)},
                     {"images_per_second", 123.456 * n},
                     {"seconds", 1e-7 * n}};
    const std::vector<std::string> classes = {"cat", "dog/hound", "caf\xc3\xa9 \"noir\"", "broken \xff name", "a|b *c* <d>"};
    for (const std::string key : {"images", "cam", "gradcam"}) {
        std::vector<Picture> pictures;
        if (key != "cam" || epoch.number != 4)
            for (const std::string& label : classes) pictures.push_back(picture(label + fmt::format(" {:.3f}", 0.1 * n)));
        epoch.pictures.emplace_back(key, pictures);
    }
}

Json described(const Epoch& epoch) {
    Json pictures = Json::object(), scalars = Json::object();
    for (const auto& [name, value] : epoch.scalars) scalars[name] = fmt::format("{}", value);  // as text: JSON has no NaN
    for (const auto& [key, list] : epoch.pictures) {
        pictures[key] = Json::array();
        for (const Picture& p : list)
            pictures[key].push_back(
                {{"caption", hex(p.caption)}, {"width", p.image.width}, {"height", p.image.height}, {"rgb", hex(p.image.rgb)}});
    }
    return {{"number", epoch.number}, {"scalars", scalars}, {"pictures", pictures}};
}

// The epochs first to last of a run in `folder`; adds what is in them to `expected`.
void train(const std::filesystem::path& folder, int first, int last, int exit_code, Json& expected) {
    static double now = 1750000000.25;  // each look at the clock, a second later
    now = std::floor(now) + 10.25;
    const Clock clock = [] { return now += 1; };
    Run run{
        .name = folder.filename().string(), .folder = folder, .labels = {}, .config = {}, .command = "limn train \"my photos\" --out x"};
    run.config = {{"model", "vgg16"},         {"learning_rate", "0.001"},        {"augment", "true"},   {"seed", "007"},
                  {"classes", "a|b, \xff c"}, {"long", std::string(70000, 'x')}, {"note", "two\nlines"}};
    run.epochs = 5;
    run.first_epoch = first;
    run.started = static_cast<std::int64_t>(now);

    TensorBoard board(folder / "tensorboard", clock);
    WandbOffline wandb(folder, "limn-sample", "", clock);
    std::vector<Callback*> logs = {&board, &wandb};
    const Model model;
    for (Callback* log : logs) log->on_train_begin(run);
    for (int number = first; number <= last; number++) {
        Epoch epoch{.number = number, .model = model, .scalars = {}, .pictures = {}};
        fill(epoch);
        for (Callback* log : logs) log->on_epoch_end(epoch);
        expected["epochs"].push_back(described(epoch));
    }
    const Outcome outcome{.best_epoch = std::min(4, last),
                          .scalars = {{"best_val_accuracy", 0.4 + 0.1 * std::min(4, last)}},
                          .confusion = {},
                          .mistakes = {},
                          .exit_code = exit_code};
    for (Callback* log : logs) log->on_train_end(outcome);

    expected["command"] = run.command;
    for (const auto& [key, value] : run.config) expected["config"][key] = hex(value);
    expected["parts"].push_back({{"first", first},
                                 {"last", last},
                                 {"exit_code", exit_code},
                                 {"started", run.started},
                                 {"best_epoch", outcome.best_epoch},
                                 {"best_val_accuracy", outcome.scalars[0].second},
                                 {"hint", wandb.hint()}});
}

}  // namespace

int main(int argc, char** argv) try {
    LIMN_CHECK(argc == 2, "usage: sample FOLDER");
    const std::filesystem::path folder = argv[1];
    Json expected;
    train(folder / "plain", 1, 5, 0, expected["plain"]);
    train(folder / "resumed", 1, 3, 130, expected["resumed"]);
    train(folder / "resumed", 4, 5, 0, expected["resumed"]);
    write_file(folder / "expected.json", expected.dump(1));
    return 0;
} catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
