// The results as an HTML page that needs nothing else: the table, and of each method the photos where it did best and worst.
#pragma once

#include "evaluate/table.h"
#include "view/image.h"

namespace limn {

// The number by which photos are best or worst, and those of one method: at most `count` each, no photo in both.
struct Extremes {
    std::vector<std::pair<std::string, double>> best, worst;  // photo and number, the most extreme first
};
const Metric* ranking_metric(const std::vector<Metric>& columns);  // null if no column ranks photos
Extremes extremes_of(const std::vector<PhotoRecord>& records, const std::string& method, const Metric& metric, std::size_t count);

struct Exhibit {
    std::string caption;
    Image picture;
};
struct Exhibition {  // of one method
    std::string method;
    std::vector<Exhibit> best, worst;
};

std::string html_page(const std::string& title, const Table& table, const NamedTexts& settings, const Metric* ranked_by,
                      const std::vector<Exhibition>& exhibitions);

}  // namespace limn
