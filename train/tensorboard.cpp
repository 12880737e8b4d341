// The format is that of TensorFlow's event.proto, summary.proto and tensor.proto; the numbers below are their fields.
#include "train/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <string_view>
#include <utility>

#include "engine/error.h"
#include "engine/file.h"
#include "train/crc32.h"

namespace limn {

namespace fs = std::filesystem;

namespace {

// TensorFlow keeps checksums rotated and shifted: that of data which itself holds checksums would be a weak one.
std::string masked_crc(std::string_view bytes) { return fixed(std::rotr(crc32c(bytes), 15) + 0xa282ead8); }

std::string framed(const Message& event) {
    const std::string length = fixed(std::uint64_t(event.encoded().size()));
    return length + masked_crc(length) + event.encoded() + masked_crc(event.encoded());
}

constexpr int float_type = 1, string_type = 7;

// The plugin that shows a value goes with every value, not only with the first: some readers keep no memory of it.
Message value(const std::string& tag, const Message& tensor, const char* plugin) {
    return Message().text(1, tag).message(8, tensor).message(9, Message().message(1, Message().text(1, plugin)));
}

Message scalar(const std::string& tag, double number) {
    const Message shape;  // no dimensions
    const std::string bytes = fixed(std::bit_cast<std::uint32_t>(static_cast<float>(number)));
    return value(tag, Message().integer(1, float_type).message(2, shape).bytes(4, bytes), "scalars");
}

Message text(const std::string& tag, const std::string& markdown) {
    const Message shape;
    return value(tag, Message().integer(1, string_type).message(2, shape).text(8, markdown), "text");
}

// A vector of strings: width, height, and each picture as PNG.
Message images(const std::string& tag, const std::vector<Picture>& pictures) {
    const Message length = Message().integer(1, static_cast<std::int64_t>(pictures.size()) + 2);
    Message tensor;
    tensor.integer(1, string_type).message(2, Message().message(2, length));
    tensor.text(8, std::to_string(pictures[0].image.width)).text(8, std::to_string(pictures[0].image.height));
    for (const Picture& picture : pictures) {
        const std::vector<std::byte> png = encode_png(picture.image);
        tensor.bytes(8, {reinterpret_cast<const char*>(png.data()), png.size()});
    }
    return value(tag, tensor, "images");
}

// As code, in one line: Markdown would make italics of some names and columns of others.
std::string literal(std::string text) {
    for (char& c : text) {
        if (c == '`') c = '\'';
        if (c == '\n' || c == '\r') c = ' ';
    }
    return text.empty() ? text : "`" + text + "`";
}

std::string configuration(const Run& run) {
    std::string table = "|setting|value|\n|-|-|\n";
    for (const auto& [key, setting] : run.config) table += "|" + key + "|" + literal(setting) + "|\n";
    return table + "|command|" + literal(run.command) + "|\n";
}

std::string captions(const std::vector<Picture>& pictures) {
    std::string list;
    for (std::size_t i = 0; i < pictures.size(); i++) list += std::to_string(i + 1) + ". " + literal(pictures[i].caption) + "\n";
    return list;
}

// Readers take the files of a folder by name: this one's seconds must be later than those of every file that is there.
std::int64_t next_time(const fs::path& folder, std::int64_t now) {
    constexpr std::string_view prefix = "events.out.tfevents.";
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        std::int64_t seconds = 0;
        if (!name.starts_with(prefix)) continue;
        std::from_chars(name.data() + prefix.size(), name.data() + name.size(), seconds);
        now = std::max(now, seconds + 1);
    }
    LIMN_CHECK(!error, "{}: cannot be read: {}", folder.string(), error.message());
    return now;
}

std::string host_name() {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return name;
}

}  // namespace

TensorBoard::TensorBoard(fs::path folder, Clock clock) : folder_(std::move(folder)), clock_(std::move(clock)) {}

std::string TensorBoard::hint() const {
    // without the number TensorBoard keeps a random ten of the pictures' steps
    return "tensorboard --logdir " + folder_.string() + " --samples_per_plugin images=1000";
}

void TensorBoard::on_train_begin(const Run& run) {
    begin(train_, "train");
    begin(validation_, "validation");
    write(*train_, run.first_epoch - 1, Message().message(1, text("configuration", configuration(run))));
}

void TensorBoard::begin(std::optional<RecordFile>& file, const std::string& part) {
    const fs::path folder = folder_ / part;
    make_folder(folder);
    const double now = clock_();
    const std::int64_t seconds = next_time(folder, static_cast<std::int64_t>(now));
    file.emplace(folder / fmt::format("events.out.tfevents.{:010}.{}.{}.0.v2", seconds, host_name(), getpid()));
    file->append(framed(Message().real(1, now).text(3, "brain.Event:2").message(10, Message().text(1, "limn"))));
}

void TensorBoard::write(RecordFile& file, int step, const Message& summary) {
    file.append(framed(Message().real(1, clock_()).integer(2, step).message(5, summary)));
}

void TensorBoard::on_epoch_end(Epoch& epoch) {
    Message train, validation;
    for (const auto& [name, number] : epoch.scalars) {
        const bool of_validation = name.starts_with("val_");
        (of_validation ? validation : train).message(1, scalar("epoch_" + name.substr(of_validation ? 4 : 0), number));
    }
    for (const auto& [key, pictures] : epoch.pictures) {
        if (pictures.empty()) continue;
        validation.message(1, images(key, pictures)).message(1, text(key + "/captions", captions(pictures)));
    }
    write(train_.value(), epoch.number - 1, train);
    write(validation_.value(), epoch.number - 1, validation);
}

}  // namespace limn
