#include "engine/spelling.h"

#include <algorithm>

namespace limn {

// Letters to change, insert or drop to turn one word into the other.
static std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

std::vector<std::string> nearest_words(const std::string& word, std::span<const std::string> list, std::size_t count) {
    std::vector<std::pair<std::size_t, std::string>> by_distance;
    for (const std::string& known : list) by_distance.emplace_back(distance(word.substr(0, 64), known.substr(0, 64)), known);
    std::ranges::stable_sort(by_distance, {}, &std::pair<std::size_t, std::string>::first);
    std::vector<std::string> nearest;
    for (std::size_t i = 0; i < std::min(count, by_distance.size()); i++) nearest.push_back(by_distance[i].second);
    return nearest;
}

std::string probably_meant(const std::string& word, std::span<const std::string> list) {
    std::string meant;
    for (const std::string& known : list)
        if (known.size() > meant.size() && 3 * known.size() > word.size() && word.find(known) != std::string::npos) meant = known;
    if (!meant.empty()) return meant;
    for (const std::string& known : nearest_words(word, list, 1))
        if (2 * distance(word.substr(0, 64), known.substr(0, 64)) <= known.size()) meant = known;
    return meant;
}

}  // namespace limn
