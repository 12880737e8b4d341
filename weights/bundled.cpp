#include "weights/bundled.h"

#include <cstdlib>
#include <string>

namespace limn {

namespace fs = std::filesystem;

fs::path bundled_model(std::string_view name) {
    if (name != "paws") return {};
    std::error_code ignored;
    const char* asked = std::getenv("LIMN_MODELS");
    const fs::path command = fs::read_symlink("/proc/self/exe", ignored);
    const fs::path folders[] = {asked ? asked : "", command.parent_path() / "../share/limn/models", LIMN_SOURCE_MODELS};
    for (const fs::path& folder : folders) {
        const fs::path file = folder / (std::string(name) + ".h5");
        if (!folder.empty() && fs::exists(file, ignored)) return file;
    }
    return {};
}

}  // namespace limn
