#include "evaluate/records.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "view/utf8.h"

namespace limn {

using Json = nlohmann::ordered_json;

static Json json_of(const Rating& rating) {
    Json json{{"numbers", Json::object()}};
    for (const auto& [id, value] : rating.numbers) json["numbers"][id] = value;
    if (!rating.box_hits.empty()) json["box_hits"] = rating.box_hits;
    if (!rating.pixels.object.empty()) json["object_pixels"] = rating.pixels.object, json["other_pixels"] = rating.pixels.other;
    return json;
}

static std::string line_of(const PhotoRecord& r) {
    Json json{{"photo", r.photo}, {"files", r.files}};
    if (!r.problem.empty()) {
        json["problem"] = valid_utf8(r.problem);
    } else {
        json.update({{"label", r.label}, {"target", r.target}, {"predicted", r.predicted}, {"score", r.score}});
        for (const auto& [name, rating] : r.maps) json["maps"][name] = json_of(rating);
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

static PhotoRecord record_of(const Json& json) {
    PhotoRecord r;
    r.photo = json.at("photo"), r.files = json.value("files", "");
    r.problem = json.value("problem", "");
    if (!r.problem.empty()) return r;
    r.label = json.at("label"), r.target = json.at("target"), r.predicted = json.at("predicted"), r.score = json.at("score");
    for (const auto& [name, map] : json.at("maps").items()) {
        Rating rating;
        for (const auto& [id, value] : map.at("numbers").items()) rating.numbers[id] = value.get<double>();
        rating.box_hits = map.value("box_hits", "");
        if (map.contains("object_pixels"))
            map.at("object_pixels").get_to(rating.pixels.object), map.at("other_pixels").get_to(rating.pixels.other);
        r.maps.emplace_back(name, std::move(rating));
    }
    return r;
}

static std::string first_line(const NamedTexts& settings) {
    Json json{{"limn", LIMN_VERSION}, {"settings", Json::object()}};
    for (const auto& [name, value] : settings) json["settings"][name] = value;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Calls f with each line that was finished, its number, and where it ends.
template <class F> static void each_line(const std::filesystem::path& path, F&& f) {
    const auto bytes = read_file(path, std::size_t(1) << 36);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::size_t begin = 0, number = 1;
    for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1, number++)
        f(text.substr(begin, end - begin), number, end + 1);
}

template <class F> static auto parsed(const std::filesystem::path& path, std::string_view line, std::size_t number, F&& use) {
    try {
        return use(Json::parse(line));
    } catch (const Json::exception&) {
        fail("{}: line {} is damaged: delete that line, and its photo is rated again", path.string(), number);
    }
}

// The first line must say what this run would say.
static void check_settings(const std::filesystem::path& path, std::string_view line, const NamedTexts& settings) {
    const std::string expected = first_line(settings);
    if (std::string(line) + "\n" == expected) return;
    std::string difference = "they were made by another version of limn";
    parsed(path, line, 1, [&](const Json& json) {
        const Json stored = json.value("settings", Json::object());
        NamedTexts all = settings;  // and what was given then, but not now
        for (const auto& [name, value] : stored.items())
            if (std::ranges::find(settings, name, &NamedTexts::value_type::first) == settings.end()) all.emplace_back(name, "");
        for (const auto& [name, value] : all)
            if (stored.value(name, "") != value) {
                difference = fmt::format("{} was '{}' and is '{}' now", name, stored.value(name, ""), value);
                break;
            }
    });
    fail("{}: holds results of other settings: {}; take another --out, or delete that file to begin anew", path.string(), difference);
}

std::string state_of(const std::vector<std::filesystem::path>& files) {
    std::string state;
    for (const std::filesystem::path& file : files) {
        std::error_code gone;
        const auto size = std::filesystem::file_size(file, gone);
        const auto changed = std::filesystem::last_write_time(file, gone);
        if (!gone) state += fmt::format("{}{}@{}", state.empty() ? "" : " ", size, changed.time_since_epoch().count());
    }
    return state;
}

bool PhotoRecords::holds(const std::string& photo, const std::string& files) const {
    const auto found = photos_.find(photo);
    return found != photos_.end() && found->second == files;
}

PhotoRecords::PhotoRecords(std::filesystem::path path, const NamedTexts& settings) : path_(std::move(path)) {
    std::size_t sound = 0;
    if (std::error_code ignored; std::filesystem::exists(path_, ignored)) {
        each_line(path_, [&](std::string_view line, std::size_t number, std::size_t end) {
            if (number == 1)
                check_settings(path_, line, settings);
            else
                parsed(path_, line, number,
                       [&](const Json& json) { return photos_[json.at("photo").get<std::string>()] = json.value("files", ""); });
            sound = end;
        });
    }
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    LIMN_CHECK(descriptor_ >= 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    LIMN_CHECK(::ftruncate(descriptor_, off_t(sound)) == 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    if (sound == 0) write(first_line(settings));
}

PhotoRecords::~PhotoRecords() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void PhotoRecords::write(const std::string& line) {
    for (std::size_t done = 0; done < line.size();) {
        const ssize_t n = ::write(descriptor_, line.data() + done, line.size() - done);
        if (n < 0 && errno == EINTR) continue;
        LIMN_CHECK(n > 0, "{}: cannot be written: {}", path_.string(), n < 0 ? std::strerror(errno) : "nothing was taken");
        done += std::size_t(n);
    }
}

void PhotoRecords::append(const PhotoRecord& record) {
    write(line_of(record));
    photos_[record.photo] = record.files;
}

std::vector<PhotoRecord> PhotoRecords::read() const {
    std::map<std::string, PhotoRecord> last;
    each_line(path_, [&](std::string_view line, std::size_t number, std::size_t) {
        if (number == 1) return;
        PhotoRecord record = parsed(path_, line, number, record_of);
        last[record.photo] = std::move(record);
    });
    std::vector<PhotoRecord> records;
    for (auto& [photo, record] : last) records.push_back(std::move(record));
    return records;
}

}  // namespace limn
