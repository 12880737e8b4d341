// The format is that of wandb_internal.proto in a LevelDB log; the numbers below are its fields.
#include "train/wandb.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/digest.h"
#include "engine/error.h"
#include "engine/file.h"
#include "train/crc32.h"

namespace limn {

namespace fs = std::filesystem;

namespace {

// The kinds of record that are written. Readers crash at one they do not know.
enum Kind { history = 2, summary = 3, files = 6, output = 13, run_start = 17, run_exit = 18, header = 21, environment = 26 };

// A record as chunks, none of which crosses a border of the blocks of 32 KiB that are counted from the file's start. A
// reader that lost its way goes on at the next block.
std::string in_blocks(std::string_view record, std::uint64_t position) {
    constexpr std::size_t block = 32768, chunk_header = 7;
    enum Type : char { whole = 1, first = 2, middle = 3, last = 4 };
    std::string chunks;
    for (bool begins = true, ends = false; !ends; begins = false) {
        std::size_t left = block - (position + chunks.size()) % block;
        if (left < chunk_header) {
            chunks.append(left, '\0');
            left = block;
        }
        const std::size_t size = std::min(record.size(), left - chunk_header);
        ends = size == record.size();
        const std::string body = char(begins ? (ends ? whole : first) : ends ? last : middle) + std::string(record.substr(0, size));
        chunks += fixed(crc32(body)) + fixed(static_cast<std::uint16_t>(size)) + body;
        record.remove_prefix(size);
    }
    return chunks;
}

std::string json(const nlohmann::json& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

// JSON has no NaN; wandb reads the bare words.
std::string json(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return fmt::format("{}", value);
}

// Settings come as text: numbers and truth values are shown as such, so that runs can be sorted by them.
std::string json_of_setting(const std::string& text) {
    const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
    return value.is_number() || value.is_boolean() ? text : json(nlohmann::json(text));
}

// A named value of the configuration, the history or the summary: the same shape in all three.
struct Item {
    std::vector<std::string> path;  // more than one name: a part of a value
    std::string json;

    Message encoded() const {
        Message message;
        for (const std::string& name : path) message.text(path.size() == 1 ? 1 : 2, name);
        return message.text(16, json);
    }
};

// Writes the pictures; their names, relative to `folder`.
std::vector<std::string> write_pictures(const fs::path& folder, const std::string& key, int step, const std::vector<Picture>& pictures) {
    std::vector<std::string> names;
    for (const Picture& picture : pictures) {
        const std::vector<std::byte> png = encode_png(picture.image);
        names.push_back(fmt::format("media/images/{}_{}_{}.png", key, step, digest_of("sha256", png).substr(0, 20)));
        make_folder((folder / names.back()).parent_path());
        write_file(folder / names.back(), png);
    }
    return names;
}

std::vector<Item> picture_items(const std::string& key, const std::vector<Picture>& pictures, const std::vector<std::string>& names) {
    if (pictures.empty()) return {{{key}, "[]"}};
    nlohmann::json captions = nlohmann::json::array();
    for (const Picture& picture : pictures) captions.push_back(picture.caption);
    return {{{key, "_type"}, R"("images/separated")"},
            {{key, "format"}, R"("png")"},
            {{key, "width"}, std::to_string(pictures[0].image.width)},
            {{key, "height"}, std::to_string(pictures[0].image.height)},
            {{key, "count"}, std::to_string(pictures.size())},
            {{key, "filenames"}, json(nlohmann::json(names))},
            {{key, "captions"}, json(captions)}};
}

bool fits_as_id(std::string_view text) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return !text.empty() && text.size() <= 64 && text.find_first_not_of(allowed) == text.npos;
}

std::string random_id() {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::random_device random;
    std::string id;
    while (id.size() < 8) id += letters[std::uniform_int_distribution<std::size_t>(0, letters.size() - 1)(random)];
    return id;
}

std::string local_time(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    localtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y%m%d_%H%M%S", &parts)};
}

// The folder, or the first of folder-1, folder-2... that was not there.
fs::path new_folder(const fs::path& wanted) {
    fs::path folder = wanted;
    std::error_code error;
    for (int i = 1; !fs::create_directory(folder, error); i++) {
        LIMN_CHECK(!error, "{}: the folder cannot be made: {}", folder.string(), error.message());
        folder = wanted.string() + fmt::format("-{}", i);
    }
    return folder;
}

// `wandb leet` opens what the link points to. A file system without links is no reason to fail.
void link_latest(const fs::path& run_folder) {
    const fs::path link = run_folder.parent_path() / "latest-run", fresh = run_folder.string() + ".link";
    std::error_code error, ignored;
    fs::create_directory_symlink(run_folder.filename(), fresh, error);
    if (!error) fs::rename(fresh, link, error);
    if (error) fs::remove(fresh, ignored);
}

}  // namespace

WandbOffline::WandbOffline(fs::path folder, std::string project, std::string run_id, Clock clock)
    : folder_(std::move(folder)), project_(std::move(project)), run_id_(std::move(run_id)), clock_(std::move(clock)) {
    LIMN_CHECK(project_.size() <= 128 && project_.find_first_of("/\\#?%:") == project_.npos,
               "W&B project '{}': at most 128 characters and none of / \\ # ? % : are allowed", project_);
    LIMN_CHECK(run_id_.empty() || fits_as_id(run_id_), "W&B run id '{}': 1 to 64 letters, digits, - and _ are allowed", run_id_);
}

std::string WandbOffline::hint() const {
    if (!run_folder_.empty() && !resumed_) return "wandb sync " + run_folder_.string();
    // all parts of a resumed run: wandb sync orders them by their time and skips those that it has uploaded before
    return "wandb sync " + (folder_ / "wandb" / ("offline-run-*" + (run_id_.empty() ? "" : run_id_ + "*"))).string();
}

void WandbOffline::choose_run_id(bool resumed) {
    const fs::path kept = folder_ / "wandb" / "run-id";
    std::error_code ignored;
    if (run_id_.empty() && resumed && fs::exists(kept, ignored)) {
        for (const std::byte c : read_file(kept, 100))
            if (char(c) != '\n') run_id_ += char(c);
        LIMN_CHECK(fits_as_id(run_id_), "{}: holds no run id (letters, digits, - and _)", kept.string());
    }
    if (run_id_.empty()) run_id_ = random_id();
    write_file(kept, run_id_ + "\n");
}

void WandbOffline::on_train_begin(const Run& run) {
    make_folder(folder_ / "wandb");
    choose_run_id(run.resumed());
    started_ = run.started;
    resumed_ = run.resumed();
    first_epoch_ = run.first_epoch;
    best_epoch_ = run.best_epoch, best_val_accuracy_ = run.best_accuracy, best_val_loss_ = run.best_loss;
    run_folder_ = new_folder(folder_ / "wandb" / ("offline-run-" + local_time(started_) + "-" + run_id_));
    make_folder(run_folder_ / "files");
    file_.emplace(run_folder_ / ("run-" + run_id_ + ".wandb"));
    file_->append({":W&B\xe1\xbe\x00", 7});
    link_latest(run_folder_);

    const std::size_t space = std::min(run.command.find(' '), run.command.size());
    Message started, command, version;
    started.integer(1, started_);
    command.message(3, started).text(6, run.command.substr(0, space));
    if (space < run.command.size()) command.text(5, run.command.substr(space + 1));
    version.text(1, "limn").text(2, "0.70.0");  // who wrote it; the oldest server that understands it
    write(header, Message().message(1, version));
    write(run_start, run_record(run));
    write(environment, command);
}

Message WandbOffline::run_record(const Run& run) const {
    Message config, started, record;
    for (const auto& [key, text] : run.config) config.message(1, Item{{key}, json_of_setting(text)}.encoded());
    started.integer(1, run.started);
    record.text(1, run_id_).text(3, project_).message(4, config).text(8, run.name).message(17, started);
    if (run.resumed()) record.integer(24, 1);  // to be continued: wandb sync asks the server for the last step
    return record;
}

void WandbOffline::write(int kind, const Message& content) {
    const Message record = Message().integer(1, ++records_).message(kind, content);
    file_.value().append(in_blocks(record.encoded(), file_->size()));
}

void WandbOffline::on_epoch_end(Epoch& epoch) {
    const int step = epoch.number - first_epoch_;
    LIMN_CHECK(step > last_step_, "{}: epoch {} comes after epoch {}: steps must grow", run_folder_.string(), epoch.number,
               first_epoch_ + last_step_);
    last_step_ = step;

    const double now = clock_();
    std::vector<Item> items;
    for (const auto& [name, value] : epoch.scalars) items.push_back({{name}, json(value)});
    items.push_back({{"epoch"}, std::to_string(epoch.number)});
    for (const auto& [key, pictures] : epoch.pictures) {
        const std::vector<std::string> names = write_pictures(run_folder_ / "files", key, step, pictures);
        Message written;
        for (const std::string& name : names) written.message(1, Message().text(1, name).integer(3, 2));  // 2: media
        if (!names.empty()) write(files, written);
        for (Item& item : picture_items(key, pictures, names)) items.push_back(std::move(item));
    }
    items.push_back({{"_step"}, std::to_string(step)});
    items.push_back({{"_timestamp"}, json(now)});
    items.push_back({{"_runtime"}, json(now - double(started_))});

    Message line, latest;
    for (const Item& item : items) line.message(1, item.encoded()), latest.message(1, item.encoded());
    write(history, line.message(2, Message().integer(1, step)));

    // Readers derive no summary, and a run may be killed at any time: it is written with every epoch.
    const double loss = epoch.scalar("val_loss").value_or(0);
    if (const auto accuracy = epoch.scalar("val_accuracy"); accuracy && is_better(*accuracy, loss, best_val_accuracy_, best_val_loss_)) {
        best_val_accuracy_ = *accuracy, best_val_loss_ = loss;
        best_epoch_ = epoch.number;
    }
    if (best_epoch_ > 0) {
        latest.message(1, Item{{"best_val_accuracy"}, json(best_val_accuracy_)}.encoded());
        latest.message(1, Item{{"best_epoch"}, std::to_string(best_epoch_)}.encoded());
    }
    write(summary, latest);
}

void WandbOffline::on_train_end(const Outcome& outcome) {
    const double now = clock_();
    Message latest, printed, seconds, end;
    for (const auto& [name, value] : outcome.scalars) latest.message(1, Item{{name}, json(value)}.encoded());
    if (outcome.best_epoch > 0) latest.message(1, Item{{"best_epoch"}, std::to_string(outcome.best_epoch)}.encoded());
    write(summary, latest);

    seconds.integer(1, static_cast<std::int64_t>(now));
    write(output, printed.integer(1, 1).message(2, seconds).text(3, hint() + "\n"));  // 1: as if on stdout
    write(run_exit, end.integer(1, outcome.exit_code).integer(2, static_cast<std::int64_t>(now) - started_));
    file_.reset();
}

}  // namespace limn
