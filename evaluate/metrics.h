// The list of what can be measured, for the command line, the table and the report. The formulas: localisation.h, faithfulness.h, road.h,
// randomisation.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limn {

enum class Needs {
    nothing,  // but the network
    region,   // masks, else boxes
    mask,
    box,            // boxes, else those around the masks
    box_and_label,  // ... and the true class, and maps of it or of the class that is answered
    box_of_label    // ... and maps of the true class
};

struct Metric {
    std::string id, what;
    Needs needs;
    bool higher_is_better;
    bool percent;    // 0 to 100; else a plain number
    bool expensive;  // many runs of the network a photo: only on demand
    bool whole_set;  // one number for all photos together, not a mean of theirs
};

std::span<const Metric> metrics();

struct Available {
    bool masks = false, boxes = false, labels = false, maps_of_labels = false, maps_of_answers = false;
    bool allow(Needs needs) const;
};
// auto: what the truth allows, without the expensive ones; all: with them; or names, each an Error if it is unknown or its truth is missing.
std::vector<Metric> chosen_metrics(const std::vector<std::string>& names, const Available& truth);

}  // namespace limn
