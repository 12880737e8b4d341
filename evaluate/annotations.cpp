#include "evaluate/annotations.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <pugixml.hpp>
#include <sstream>

#include "engine/file.h"
#include "view/image.h"

namespace limn {

namespace fs = std::filesystem;

static std::optional<double> number_in(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) < 1e9)) return std::nullopt;
    return value;
}

static std::optional<Index> index_in(std::string_view text) {
    const auto value = number_in(text);
    if (!value || *value < 0 || *value != std::floor(*value)) return std::nullopt;
    return Index(*value);
}

// ---- labels

bool Label::holds(Index index) const {
    return std::any_of(classes.begin(), classes.end(), [&](const auto& range) { return range.first <= index && index <= range.second; });
}

std::string Label::target(bool binary) const {
    if (binary && holds(0) && holds(1)) return "auto";
    if (classes.size() == 1 && classes[0].first == classes[0].second) return std::to_string(classes[0].first);
    std::string ranges;
    for (const auto& [first, last] : classes)
        ranges += (ranges.empty() ? "" : ",") + (first == last ? std::to_string(first) : fmt::format("{}-{}", first, last));
    return "best:" + ranges;  // the winning class among them
}

std::optional<Label> label_named(const std::string& text, const std::vector<std::string>& names, Index classes) {
    if (const auto found = std::find(names.begin(), names.end(), text); found != names.end() && found - names.begin() < classes)
        return Label{text, {{found - names.begin(), found - names.begin()}}};
    Label label{text, {}};
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const std::size_t dash = part.find('-');
        const auto first = index_in(part.substr(0, dash)), last = dash == part.npos ? first : index_in(part.substr(dash + 1));
        if (!first || !last || *first > *last || *last >= classes) return std::nullopt;
        label.classes.emplace_back(*first, *last);
    }
    if (label.classes.empty()) return std::nullopt;
    return label;
}

// ---- boxes

static Rectangle rectangle_of(const std::array<std::optional<double>, 4>& edges, const std::string& where) {
    for (const auto& edge : edges) LIMN_CHECK(edge, "{}: a box needs numbers for xmin, ymin, xmax and ymax", where);
    const auto whole = [](double v) { return Index(std::llround(v)); };
    const Rectangle box{whole(*edges[0]), whole(*edges[1]), whole(*edges[2]), whole(*edges[3])};
    LIMN_CHECK(box.left <= box.right && box.top <= box.bottom, "{}: box {} {} {} {} ends before it begins (should be xmin ymin xmax ymax)",
               where, box.left, box.top, box.right, box.bottom);
    return box;
}

std::vector<NamedBox> read_voc(const fs::path& path) {
    const auto bytes = read_file(path, std::size_t(16) << 20);
    pugi::xml_document document;  // knows no entities but XML's five, and opens no other file
    const pugi::xml_parse_result result = document.load_buffer(bytes.data(), bytes.size());
    LIMN_CHECK(result, "{}: is no sound XML: {} at byte {}", path.string(), result.description(), std::int64_t(result.offset));
    const pugi::xml_node root = document.child("annotation");
    LIMN_CHECK(root, "{}: should be a Pascal VOC file, whose outermost element is <annotation>", path.string());
    std::vector<NamedBox> found;
    for (const pugi::xml_node node : root.children("object")) {
        const pugi::xml_node box = node.child("bndbox");
        const auto edge = [&](const char* name) { return number_in(box.child_value(name)); };
        found.push_back({node.child_value("name"),
                         rectangle_of({edge("xmin"), edge("ymin"), edge("xmax"), edge("ymax")},
                                      fmt::format("{}: object {} ('{}')", path.string(), found.size() + 1, node.child_value("name")))});
    }
    return found;
}

static bool is_header(const std::vector<std::string>& row) {
    return std::any_of(row.begin(), row.end(), [](const std::string& field) { return field == "image" || field == "filename"; });
}

void Annotations::read_table(const fs::path& path, bool with_boxes) {
    const auto rows = read_csv(path);
    LIMN_CHECK(!rows.empty(), "{}: is empty", path.string());
    std::vector<std::string> columns = with_boxes && rows[0].size() != 2
                                           ? std::vector<std::string>{"image", "label", "xmin", "ymin", "xmax", "ymax"}
                                           : std::vector<std::string>{"image", "label"};
    const bool headed = is_header(rows[0]);
    if (headed) columns = rows[0];
    const auto column = [&](std::initializer_list<const char*> names) {
        for (const char* name : names)
            if (const auto at = std::find(columns.begin(), columns.end(), name); at != columns.end()) return at - columns.begin();
        return std::ptrdiff_t(-1);
    };
    const auto image = column({"image", "filename"}), label = column({"label", "class", "name"});
    const std::array edges{column({"xmin"}), column({"ymin"}), column({"xmax"}), column({"ymax"})};
    LIMN_CHECK(image >= 0, "{}: has no column 'image'", path.string());
    if (with_boxes)
        LIMN_CHECK(std::none_of(edges.begin(), edges.end(), [](auto e) { return e < 0; }),
                   "{}: should have the columns image,label,xmin,ymin,xmax,ymax", path.string());
    else
        LIMN_CHECK(label >= 0, "{}: should have the columns image,label", path.string());
    for (std::size_t i = headed; i < rows.size(); i++) {
        const std::vector<std::string>& fields = rows[i];
        const std::string where = fmt::format("{}: row {}", path.string(), i + 1);
        LIMN_CHECK(fields.size() == columns.size(), "{} has {} fields, not {}", where, fields.size(), columns.size());
        const auto field = [&](std::ptrdiff_t c) -> const std::string& { return fields[std::size_t(c)]; };
        const std::string said = label >= 0 ? field(label) : "";
        if (with_boxes) {
            boxes_[field(image)].push_back({said, rectangle_of({number_in(field(edges[0])), number_in(field(edges[1])),
                                                                number_in(field(edges[2])), number_in(field(edges[3]))},
                                                               where)});
            continue;
        }
        std::string& before = labels_[field(image)];
        LIMN_CHECK(before.empty() || before == said, "{}: '{}' was '{}' before and is '{}' now", where, field(image), before, said);
        before = said;
    }
}

Annotations::Annotations(Sources sources) : sources_(std::move(sources)) {
    for (const fs::path& path : {sources_.boxes, sources_.masks, sources_.labels}) {
        std::error_code ignored;
        LIMN_CHECK(path.empty() || fs::exists(path, ignored), "{}: does not exist", path.string());
    }
    LIMN_CHECK(sources_.masks.empty() || fs::is_directory(sources_.masks), "{}: should be a folder of masks", sources_.masks.string());
    if (!sources_.boxes.empty() && !fs::is_directory(sources_.boxes)) read_table(sources_.boxes, true);
    if (!sources_.labels.empty()) read_table(sources_.labels, false);
}

// A table may name a photo by its path below the folder, by its file's name, or without its ending.
template <class Row> static const Row* row_of(const std::map<std::string, Row>& table, const fs::path& photo) {
    for (const std::string& name : {photo.generic_string(), photo.filename().string(), photo.stem().string()})
        if (const auto found = table.find(name); found != table.end()) return &found->second;
    return nullptr;
}

// FOLDER/sub/NAME.ext, else FOLDER/NAME.ext; empty if there is neither, or no folder.
static fs::path file_beside(const fs::path& folder, const fs::path& photo, std::initializer_list<const char*> endings) {
    if (folder.empty()) return {};
    std::error_code ignored;
    for (const fs::path& base : {folder / photo, folder / photo.filename()})
        for (const char* ending : endings)
            if (fs::path path = base; fs::exists(path.replace_extension(ending), ignored)) return path;
    return {};
}

fs::path Annotations::mask_file(const fs::path& photo) const { return file_beside(sources_.masks, photo, {".png", ".bmp", ".jpg"}); }

fs::path Annotations::box_file(const fs::path& photo) const {
    return fs::is_directory(sources_.boxes) ? file_beside(sources_.boxes, photo, {".xml"}) : fs::path();
}

std::vector<NamedBox> Annotations::objects_of(const fs::path& photo) const {
    if (const auto* rows = row_of(boxes_, photo)) return *rows;
    const fs::path file = box_file(photo);
    return file.empty() ? std::vector<NamedBox>{} : read_voc(file);
}

std::string Annotations::label_of(const fs::path& photo) const {
    if (const std::string* label = row_of(labels_, photo)) return *label;
    const std::vector<NamedBox> objects = objects_of(photo);
    if (!objects.empty() && !objects[0].name.empty() &&
        std::ranges::all_of(objects, [&](const NamedBox& o) { return o.name == objects[0].name; }))
        return objects[0].name;  // several kinds: which one the photo is of, nobody says
    return photo.has_parent_path() ? photo.begin()->string() : "";
}

Truth Annotations::of(const fs::path& photo, Index height, Index width) const {
    Truth truth;
    truth.label = label_of(photo);
    const std::vector<NamedBox> objects = objects_of(photo);
    const bool is_named = !truth.label.empty() && std::ranges::any_of(objects, [&](const NamedBox& o) { return o.name == truth.label; });
    for (const auto& [name, box] : objects) {
        const Rectangle cut{std::max<Index>(0, box.left), std::max<Index>(0, box.top), std::min(width - 1, box.right),
                            std::min(height - 1, box.bottom)};
        LIMN_CHECK(cut.left <= cut.right && cut.top <= cut.bottom,
                   "{}: {}: box {} {} {} {} lies outside its photo of {}x{} (width x height)", sources_.boxes.string(),
                   photo.generic_string(), box.left, box.top, box.right, box.bottom, width, height);
        if (!is_named || name == truth.label) truth.boxes.push_back(cut);
    }
    if (const fs::path file = mask_file(photo); !file.empty()) {
        truth.mask = read_mask(file, sources_.mask_value), truth.drawn = true;
        LIMN_CHECK(truth.mask.shape() == (Shape{height, width}), "{}: is a mask of {}x{}, but its photo has {}x{} pixels (width x height)",
                   file.string(), truth.mask.shape()[1], truth.mask.shape()[0], width, height);
    }
    // One kind of truth stands for the other if that is not asked for at all: a number never mixes them.
    if (sources_.masks.empty() && !truth.boxes.empty()) truth.mask = mask_of(truth.boxes, height, width);
    if (sources_.boxes.empty() && holds_object(truth.mask)) truth.boxes = {box_around(truth.mask)};
    return truth;
}

Tensor read_mask(const fs::path& path, int object_value) {
    const Image image = read_image(path);
    Tensor mask({image.height, image.width}, DType::u8);
    bool ones = false, threes = false, others = false, greys = false;
    for (Index i = 0; i < mask.size(); i++) {
        const std::uint8_t* p = image.rgb.data() + 3 * i;
        const std::uint8_t value = std::max({p[0], p[1], p[2]});
        mask.data<std::uint8_t>()[i] = value;
        ones |= value == 1, threes |= value == 3, others |= value != 1 && value != 2 && value != 3, greys |= value >= 32 && value < 255;
    }
    const bool exact = path.extension() != ".jpg";
    ones &= exact && !greys;  // among grey levels (soft edges) a 1 is almost black, not a number that says object
    const bool trimap = ones && threes && !others && object_value < 0;
    for (std::uint8_t& value : mask.values<std::uint8_t>()) {
        const bool is_object = object_value >= 0 ? value == object_value : ones ? value == 1 : value >= (exact ? 1 : 128);
        value = trimap && value == 3 ? left_out : is_object ? object : background;
    }
    return mask;
}

}  // namespace limn
