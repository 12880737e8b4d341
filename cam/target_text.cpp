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

// "2*tabby", "207", "output[3,4,1]"
Term term_of(std::string_view text, double sign, const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
    Term term{{}, sign};
    if (const std::size_t star = text.find('*'); star != text.npos) {
        const auto factor = number_in<double>(trimmed(text.substr(0, star)));
        LIMN_CHECK(factor && std::isfinite(*factor), "target '{}': what stands before * should be a number", spec);
        term.weight *= *factor;
        text = trimmed(text.substr(star + 1));
    }
    if (text.starts_with("output[") && text.ends_with("]")) {
        for (const std::string_view part : split(text.substr(7, text.size() - 8), ',')) {
            const auto at = number_in<Index>(part);
            LIMN_CHECK(at && *at >= 0, "target '{}': an element is written output[{}]", spec,
                       head.per_pixel ? "row,column,class" : "class");
            term.at.push_back(*at);
        }
        LIMN_CHECK(term.at.size() == (head.per_pixel ? 3u : 1u) && term.at.back() < head.classes,
                   "target '{}': the model's output has {} for an image, with the classes 0 to {}", spec,
                   head.per_pixel ? "rows, columns and classes" : "one row of numbers", head.classes - 1);
        return term;
    }
    const Index k = class_named(text, head, labels);
    if (k < 0) fail_unknown(text, head, labels);
    LIMN_CHECK(!head.per_pixel, "target '{}': where each pixel is classified a sum is made of elements, output[row,column,class]", spec);
    term.at = {k};
    return term;
}

// Cut where + or - stands between spaces or between two numbers.
std::vector<Term> terms_of(const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
    std::vector<Term> terms;
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
        terms.push_back(term_of(trimmed(std::string_view(spec).substr(start, i - start)), sign, spec, head, labels));
        if (is_operator) sign = spec[i] == '-' ? -1 : 1;
        start = i + 1;
    }
    return terms;
}

}  // namespace

TargetText understand(const std::string& spec, const Head& head, const std::vector<std::string>& labels) {
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
