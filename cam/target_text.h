// A target as text, understood for a head: see choose_targets in cam/target.h for what may be written.
#pragma once

#include "cam/target.h"

namespace limn {

struct TargetText {
    bool best = false;  // the `count` best of the classes `among` (all if empty); else:
    Index count = 1;
    std::vector<Index> among = {};
    Index side = -1;               // one class; of a single sigmoid 1 or 0
    std::vector<Term> terms = {};  // or a sum
};
std::vector<std::string> listed(const std::string& spec);  // "A; B" -> A, B
// "log(top:3)", "output[1][auto]" -> "top:3", "auto"; anything else as it is
std::string bare(const std::string& spec);
TargetText understand(const std::string& spec, const Head& head, const std::vector<std::string>& labels);

}  // namespace limn
