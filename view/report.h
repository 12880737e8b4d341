// One photo's explanations as an HTML page that needs nothing else: pictures are inside.
#pragma once

#include <string>
#include <vector>

#include "view/image.h"

namespace limn {

struct ReportPicture {
    std::string caption;
    Image picture;
    std::vector<std::string> diagnostics;
};

// predictions: one line each, best first
std::string html_report(const std::string& title, const std::string& model, const Image& photo, const std::vector<std::string>& predictions,
                        const std::vector<ReportPicture>& pictures);

}  // namespace limn
