#include "cam/target_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace limn {

namespace {

template <class T> std::optional<T> number_in(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (std::size_t end = 0; end != text.npos; text.remove_prefix(std::min(text.size(), end + 1))) {
        end = text.find(separator);
        parts.push_back(trimmed(text.substr(0, end)));
    }
    return parts;
}

// A class's index or label; -1 if it is none.
Index class_named(std::string_view text, const Head& head, const std::vector<std::string>& labels) {
    if (const auto index = number_in<Index>(text)) {
        LIMN_CHECK(*index >= 0 && *index < head.classes, "target {}: the model has the classes 0 to {}", text, head.classes - 1);
        return *index;
    }
    const auto found = std::find(labels.begin(), labels.end(), text);
    return found != labels.end() && found - labels.begin() < head.classes ? found - labels.begin() : -1;
}

[[noreturn]] void fail_unknown(std::string_view text, const Head& head, const std::vector<std::string>& labels) {
    std::string similar;
    for (const std::string& label : labels)
        if (label.find(text) != std::string::npos && similar.size() < 120) similar += (similar.empty() ? "" : ", ") + label;
    fail("target '{}' is no class of this model: give an index from 0 to {}, top:K{} (`limn explain --help` lists all forms)", text,
         head.classes - 1,
         labels.empty()    ? " (it has no class names; --labels FILE gives them)"
         : similar.empty() ? " or a class name"
                           : ", or one of " + similar);
}

std::vector<Index> classes_in(const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
    std::vector<Index> classes;
    for (const std::string_view part : split(std::string_view(spec).substr(5), ',')) {
        const std::size_t dash = part.find('-', 1);
        const auto first = number_in<Index>(part.substr(0, dash));
        const auto last = dash == part.npos ? first : number_in<Index>(part.substr(dash + 1));
        if (first && last) {
            LIMN_CHECK(*first <= *last && *first >= 0 && *last < head.classes, "target '{}': {} should be within 0 to {}", spec, part,
                       head.classes - 1);
            for (Index k = *first; k <= *last; k++) classes.push_back(k);
        } else {
            const Index k = class_named(part, head, labels);
            if (k < 0) fail_unknown(part, head, labels);
            classes.push_back(k);
        }
    }
    return classes;
}

// One part of a sum, as it is written: "2*tabby", "log(207)", "output[3,4,1]", "output[1][3,2]".
struct Part {
    double weight;
    Subject subject;
    bool element;           // output[...]
    std::string_view name;  // what stands in the brackets; else a class
};

// "log(A)" -> A
bool take_log(std::string_view& text) {
    if (!text.starts_with("log(") || !text.ends_with(")")) return false;
    text = trimmed(text.substr(4, text.size() - 5));
    return true;
}

Part part_of(std::string_view text, double sign, const std::string& spec) {
    Part part{sign, {}, false, {}};
    if (const std::size_t star = text.find('*'); star != text.npos) {
        const auto factor = number_in<double>(trimmed(text.substr(0, star)));
        LIMN_CHECK(factor && std::isfinite(*factor), "target '{}': what stands before * should be a number", spec);
        part.weight *= *factor;
        text = trimmed(text.substr(star + 1));
    }
    part.subject.log = take_log(text);
    part.element = text.starts_with("output[") && text.ends_with("]");
    part.name = part.element ? text.substr(7, text.size() - 8) : text;
    if (const std::size_t second = part.name.find("]["); part.element && second != part.name.npos) {
        const auto output = number_in<int>(part.name.substr(0, second));
        LIMN_CHECK(output && *output >= 0, "target '{}': an element of output 1 is written output[1][...]", spec);
        part.subject.output = *output;
        part.name.remove_prefix(second + 2);
    }
    return part;
}

// Cut where + or - stands between spaces or between two numbers.
std::vector<Part> parts_of(const std::string& spec) {
    std::vector<Part> parts;
    const auto digit = [&](std::size_t i) { return i < spec.size() && spec[i] >= '0' && spec[i] <= '9'; };
    const bool numbers_only = spec.find_first_not_of("0123456789+-* .") == spec.npos;
    double sign = 1;
    std::size_t start = 0;
    if (spec.starts_with('-')) sign = -1, start = 1;
    for (std::size_t i = start; i <= spec.size(); i++) {
        const bool is_operator =
            i < spec.size() && (spec[i] == '+' || spec[i] == '-') && i > start &&
            ((spec[i - 1] == ' ' && i + 1 < spec.size() && spec[i + 1] == ' ') || (numbers_only && digit(i - 1) && digit(i + 1)));
        if (!is_operator && i < spec.size()) continue;
        parts.push_back(part_of(trimmed(std::string_view(spec).substr(start, i - start)), sign, spec));
        if (is_operator) sign = spec[i] == '-' ? -1 : 1;
        start = i + 1;
    }
    return parts;
}

// "4", "4:9", ":"
std::optional<Slice> slice_in(std::string_view text) {
    constexpr Index most = Index(1) << 40;  // no output has so many places; what follows may count on
    if (const auto at = number_in<Index>(text)) return *at >= 0 && *at < most ? std::optional(Slice{*at, *at + 1}) : std::nullopt;
    const std::size_t colon = text.find(':');
    if (colon == text.npos) return std::nullopt;
    const std::string_view from = trimmed(text.substr(0, colon)), to = trimmed(text.substr(colon + 1));
    const auto first = from.empty() ? 0 : number_in<Index>(from), last = to.empty() ? -1 : number_in<Index>(to);
    if (!first || !last || *first < 0 || *first >= most || *last >= most || (!to.empty() && *last <= *first)) return std::nullopt;
    return Slice{*first, *last};
}

Term term_of(const Part& part, const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
    Term term{{}, part.weight};
    if (part.element) {
        const std::vector<std::string_view> places = split(part.name, ',');
        for (const std::string_view place : places) {
            std::optional<Slice> at = slice_in(place);
            if (!at && term.at.size() + 1 == places.size() && !place.starts_with('-'))
                if (const Index k = class_named(place, head, labels); k >= 0) at = Slice{k, k + 1};
            LIMN_CHECK(at, "target '{}': an element is written output[{}]", spec,
                       head.per_pixel  ? "row,column,class"
                       : head.per_step ? "step,class"
                                       : "class");
            term.at.push_back(*at);
        }
        LIMN_CHECK(term.at.size() == (head.per_pixel  ? 3u
                                      : head.per_step ? 2u
                                                      : 1u) &&
                       std::max(term.at.back().first + 1, term.at.back().last) <= head.classes,
                   "target '{}': the model's output has {} for an image, with the classes 0 to {}", spec,
                   head.per_pixel  ? "rows, columns and classes"
                   : head.per_step ? "steps and classes"
                                   : "one row of numbers",
                   head.classes - 1);
        return term;
    }
    const Index k = class_named(part.name, head, labels);
    if (k < 0) fail_unknown(part.name, head, labels);
    LIMN_CHECK(!head.per_pixel, "target '{}': where each pixel is classified a sum is made of elements, output[row,column,class]", spec);
    LIMN_CHECK(!head.per_step, "target '{}': each step of the output has its own scores: name an element, output[step,class]", spec);
    term.at = {{k, k + 1}};
    return term;
}

std::vector<Term> terms_of(const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
    std::vector<Term> terms;
    for (const Part& part : parts_of(spec)) terms.push_back(term_of(part, spec, head, labels));
    return terms;
}

bool is_choice(std::string_view text) { return text == "auto" || text.starts_with("top:") || text.starts_with("best:"); }

}  // namespace

std::string bare(const std::string& spec) {
    const Part part = is_choice(spec) ? Part{} : parts_of(spec)[0];
    return is_choice(part.name) ? std::string(part.name) : spec;
}

std::vector<std::string> listed(const std::string& spec) {
    std::vector<std::string> list;
    for (const std::string_view one : split(spec, ';')) list.emplace_back(one);
    for (const std::string& one : list)
        LIMN_CHECK(list.size() == 1 || !is_choice(bare(one)), "target '{}': in a list each target is one number, and {} may be several",
                   spec, one);
    return list;
}

Subject subject_of(const std::string& spec) {
    if (is_choice(spec)) return {};
    std::vector<Part> parts;
    for (const std::string& one : listed(spec)) std::ranges::copy(parts_of(one), std::back_inserter(parts));
    for (const Part& part : parts) {
        LIMN_CHECK(part.subject.output == parts[0].subject.output, "target '{}': all of it should be of the same output", spec);
        LIMN_CHECK(part.subject.log == parts[0].subject.log, "target '{}': it is made of logarithms or of scores, not of both", spec);
    }
    return parts[0].subject;
}

TargetText understand(const std::string& given, const Head& head, const std::vector<std::string>& labels) {
    const std::string spec = bare(given);
    LIMN_CHECK(!head.per_step || !is_choice(spec),
               "target '{}': each step of the output has its own scores: name an element, output[step,class]", given);
    if (spec == "auto") return {.best = true};
    if (spec.starts_with("top:")) {
        const Index most = head.binary() ? 2 : head.classes;  // a single sigmoid has two sides
        const auto count = number_in<Index>(std::string_view(spec).substr(4));
        LIMN_CHECK(count && *count >= 1 && *count <= most, "target '{}': the number after top: should be 1 to {}", spec, most);
        return {.best = true, .count = *count};
    }
    if (head.binary()) {  // one number, two sides
        if (spec == "1" || (labels.size() == 2 && spec == labels[1])) return {.side = 1};
        if (spec == "0" || (labels.size() == 2 && spec == labels[0])) return {.side = 0};
        if (spec.starts_with("output[")) return {.terms = terms_of(spec, head, labels)};
        fail("target '{}': the model answers with one sigmoid; auto, 1 (what speaks for it), 0 (what speaks against it){} can be explained",
             spec, labels.size() == 2 ? fmt::format(", {} and {}", labels[1], labels[0]) : "");
    }
    if (spec.starts_with("best:")) return {.best = true, .among = classes_in(spec, head, labels)};
    if (const Index k = class_named(spec, head, labels); k >= 0) return {.side = k};
    return {.terms = terms_of(spec, head, labels)};
}

}  // namespace limn
