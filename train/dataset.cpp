#include "train/dataset.h"

#include <algorithm>
#include <map>

#include "autograd/training.h"
#include "engine/file.h"
#include "engine/threads.h"
#include "view/terminal.h"

namespace limn {

namespace fs = std::filesystem;

namespace {

bool hidden(const fs::path& path) {
    const std::string name = path.filename().string();
    return name.empty() || name[0] == '.' || name == "Thumbs.db" || name == "desktop.ini";
}

bool is_folder(const fs::path& path) {
    std::error_code ignored;  // a link to itself is none
    return fs::is_directory(path, ignored);
}
bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

std::vector<fs::path> entries(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> list;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
        if (!hidden(it->path())) list.push_back(it->path());
    LIMN_CHECK(!error, "{}: cannot be read: {}", folder.string(), error.message());
    std::sort(list.begin(), list.end());
    return list;
}

// Without what runs left, this one included.
std::vector<fs::path> class_folders(const fs::path& folder, const fs::path& out) {
    std::vector<fs::path> list;
    std::error_code not_there;
    for (const fs::path& entry : entries(folder))
        if (is_folder(entry) && !is_there(entry / "checkpoint.h5") && !fs::equivalent(entry, out, not_there)) list.push_back(entry);
    return list;
}
bool holds_folders(const fs::path& folder) { return is_folder(folder) && std::ranges::any_of(entries(folder), is_folder); }

// All files below a class folder, in order.
void collect(const fs::path& folder, int label, std::vector<Sample>& samples, int depth = 0) {
    for (const fs::path& entry : entries(folder)) {
        if (is_folder(entry) && depth < 16)
            collect(entry, label, samples, depth + 1);
        else
            samples.push_back({entry, label, {}});
    }
}

std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t start = 0xcbf29ce484222325) {  // FNV-1a
    for (std::byte b : bytes) start = (start ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3;
    return start;
}

struct Looked {
    std::uint64_t content = 0;
    std::string problem;
};

// Decodes every photo; those that cannot be used say why.
std::vector<Looked> look_at(std::vector<Sample>& samples, std::uint64_t memory) {
    std::vector<Looked> looked(samples.size());
    ProgressBar bar(samples.size(), "looking at the photos", stderr);
    const Index count = Index(samples.size()), together = 32;
    std::vector<Image> photos(std::size_t(std::min(count, together)));
    std::uint64_t used = 0;
    for (Index first = 0; first < count; first += together) {
        const Index some = std::min(together, count - first);
        parallel_for(some, [&](Index i) {
            const auto at = std::size_t(first + i);
            try {
                const auto bytes = read_file(samples[at].path, std::size_t(1) << 30);
                looked[at].content = hash(bytes);
                photos[std::size_t(i)] = decode_image(bytes, samples[at].path.string());
            } catch (const Error& e) {
                looked[at].problem = e.what();
            }
        });
        for (Index i = 0; i < some; i++) {  // the same photos stay, however many threads there are
            Image& photo = photos[std::size_t(i)];
            if ((used += photo.rgb.size()) <= memory) samples[std::size_t(first + i)].photo = std::move(photo);
            photo = {};
        }
        bar.update(std::uint64_t(first + some));
    }
    return looked;
}

// DIR/training_set/{cat,dog} and DIR/test_set/{cat,dog}: taken for classes, they would be learnt instead of cats and dogs.
void check_level(const fs::path& folder, const std::vector<fs::path>& classes) {
    const auto folders_only = [](const fs::path& path) {
        std::vector<std::string> names;
        for (const fs::path& entry : entries(path)) {
            if (!is_folder(entry)) return std::vector<std::string>();
            names.push_back(entry.filename().string());
        }
        return names;
    };
    if (classes.size() < 2) return;
    const auto first = folders_only(classes[0]);
    LIMN_CHECK(first.size() < 2 || first != folders_only(classes[1]),
               "{}: '{}' and '{}' hold the same folders ({}, {}...): if those are the classes, give {} and --val {}", folder.string(),
               classes[0].filename().string(), classes[1].filename().string(), first[0], first[1], classes[0].string(),
               classes[1].string());
}

constexpr std::string_view validation_names[] = {"val", "valid", "validation", "test"};

fs::path validation_folder(const fs::path& folder, const fs::path& given) {
    if (!given.empty()) return given;
    for (const std::string_view name : validation_names)
        if (holds_folders(folder / "train") && holds_folders(folder / name)) return folder / name;
    return {};
}

}  // namespace

Dataset open_dataset(const fs::path& folder, const DatasetOptions& options) {
    LIMN_CHECK(fs::is_directory(folder), "{}: is not a folder; a folder with one folder of photos a class was expected", folder.string());
    const fs::path validation = validation_folder(folder, options.validation), train_folder = folder / "train";
    // Else a class may be called "train". Beside it may lie photos to test on of which nobody says what they are.
    const auto is_none_other = [&](const fs::path& f) {
        return f == train_folder || std::ranges::find(validation_names, f.filename().string()) != std::end(validation_names);
    };
    const bool is_alone = std::ranges::all_of(class_folders(folder, options.out), is_none_other);
    const fs::path training = holds_folders(train_folder) && (!validation.empty() || is_alone) ? train_folder : folder;
    const std::vector<fs::path> classes = class_folders(training, options.out);
    check_level(training, classes);

    Dataset data;
    std::vector<Sample> samples;
    for (const fs::path& entry : classes) {
        if (!validation.empty() && fs::equivalent(entry, validation)) continue;
        data.labels.push_back(entry.filename().string());
        collect(entry, int(data.labels.size()) - 1, samples);
    }
    LIMN_CHECK(data.labels.size() >= 2, "{}: at least two class folders with photos are needed, there {} (such as {}/cat and {}/dog)",
               training.string(), data.labels.empty() ? "is none" : "is one", training.string(), training.string());
    const std::size_t training_count = samples.size();
    if (!validation.empty())
        for (const fs::path& entry : class_folders(validation, options.out)) {
            const auto it = std::find(data.labels.begin(), data.labels.end(), entry.filename().string());
            LIMN_CHECK(it != data.labels.end(), "{}: there is no such class in {}", entry.string(), training.string());
            collect(entry, int(it - data.labels.begin()), samples);
        }

    std::vector<Looked> looked = look_at(samples, options.memory);
    // The same photo in two classes is mislabelled at least once; in training and validation it would be learnt by heart.
    std::map<std::uint64_t, std::vector<std::size_t>> same;
    for (std::size_t i = 0; i < samples.size(); i++)
        if (looked[i].problem.empty()) same[looked[i].content].push_back(i);
    for (const auto& [content, copies] : same) {
        const Sample& first = samples[copies[0]];
        for (std::size_t copy : copies) {
            const auto other =
                std::find_if(copies.begin(), copies.end(), [&](std::size_t i) { return samples[i].label != samples[copy].label; });
            if (other != copies.end())
                looked[copy].problem = fmt::format("{}: is mislabelled or ambiguous: the same photo is {}", samples[copy].path.string(),
                                                   samples[*other].path.string());
            else if (copy >= training_count && copies[0] < training_count)
                looked[copy].problem =
                    fmt::format("{}: is among the training photos, too: {}", samples[copy].path.string(), first.path.string());
            else if (validation.empty() && copy != copies[0])
                looked[copy].problem = fmt::format("{}: is the same photo as {}", samples[copy].path.string(), first.path.string());
        }
    }

    std::vector<std::vector<std::size_t>> by_label(data.labels.size());
    for (std::size_t i = 0; i < samples.size(); i++) {
        if (!looked[i].problem.empty()) {
            data.problems.push_back(looked[i].problem);
            continue;
        }
        const std::string id = samples[i].path.lexically_relative(folder).string() + ":" + std::to_string(samples[i].label);
        data.fingerprint = hash(std::as_bytes(std::span(id)), data.fingerprint ^ looked[i].content);
        if (i >= training_count)
            data.validation.push_back(std::move(samples[i]));
        else
            by_label[std::size_t(samples[i].label)].push_back(i);
    }
    Random random(options.seed, "split");
    for (std::size_t label = 0; label < by_label.size(); label++) {
        std::vector<std::size_t>& own = by_label[label];
        LIMN_CHECK(!own.empty(), "{}: holds no photo that can be used", (training / data.labels[label]).string());
        std::size_t held_out = 0;
        if (validation.empty()) {
            random.shuffle(own);
            held_out = std::size_t(std::llround(double(own.size()) * options.validation_share));
            LIMN_CHECK(held_out < own.size(), "{}: too few photos to keep some for validation", (training / data.labels[label]).string());
        }
        std::sort(own.begin(), own.begin() + std::ptrdiff_t(held_out)), std::sort(own.begin() + std::ptrdiff_t(held_out), own.end());
        for (std::size_t i = 0; i < own.size(); i++) (i < held_out ? data.validation : data.train).push_back(std::move(samples[own[i]]));
    }
    LIMN_CHECK(!data.validation.empty(), "{}: no photos are left for validation", folder.string());
    return data;
}

}  // namespace limn
