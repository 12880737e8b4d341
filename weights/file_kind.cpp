#include "weights/file_kind.h"

#include <algorithm>
#include <cctype>

namespace limn {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view keras_only = "limn reads what Keras saves (model.save('model.h5'))";

struct Magic {
    std::size_t at;
    std::string_view bytes, kind, advice;
};

// The first that fits is meant; an advice may be empty.
constexpr Magic magics[] = {
    {0, "PK\3\4"sv, "a zip archive (a .keras file?)", ""},
    {0, "\x89PNG"sv, "a PNG image", "the photo and the model may have changed places"},
    {0, "\xff\xd8\xff"sv, "a JPEG image", "the photo and the model may have changed places"},
    {0, "\x93NUMPY"sv, "a NumPy array", keras_only},
    {0, "MATLAB 5.0"sv, "a MATLAB file", keras_only},
    {0, "version https://git-lfs"sv, "a Git LFS pointer, a text that stands for the file", "get the file itself with `git lfs pull`"},
    {0, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20"sv, "a PyTorch checkpoint", keras_only},
    {0, "\x80\2"sv, "a Python pickle (PyTorch's?)", keras_only},
    {0, "\x80\4\x95"sv, "a Python pickle", keras_only},
    {4, "TFL3"sv, "a TensorFlow Lite model", keras_only},
    {0, "GGUF"sv, "a GGUF file", keras_only},
    {8, "{\""sv, "a safetensors file", keras_only},
    {0, "\x1f\x8b"sv, "compressed with gzip", "unpack it first"},
    {0, "BZh"sv, "compressed with bzip2", "unpack it first"},
    {0,
     "\xfd"
     "7zXZ"sv,
     "compressed with xz", "unpack it first"},
    {0, "7z\xbc\xaf"sv, "a 7z archive", "unpack it first"},
    {0, "Rar!"sv, "a RAR archive", "unpack it first"},
    {257, "ustar"sv, "a tar archive", "unpack it first"},
    {0, "%PDF"sv, "a PDF", ""},
};

bool has(std::string_view head, std::size_t at, std::string_view bytes) { return head.size() > at && head.substr(at).starts_with(bytes); }

// ONNX's outermost message begins with its version (field 1, a small number) and mostly goes on with its maker's name (field 2, a text).
bool is_onnx(std::string_view head) {
    if (head.size() < 6 || head[0] != '\x08' || head[1] < 1 || head[1] > 32 || head[2] != '\x12') return false;
    const std::string_view maker = head.substr(4, static_cast<unsigned char>(head[3]));
    return !maker.empty() && std::all_of(maker.begin(), maker.end(), [](unsigned char c) { return c >= 32 && c < 127; });
}

std::string said(std::string_view kind, std::string_view advice) {
    return std::string(kind) + (advice.empty() ? "" : ": " + std::string(advice));
}

}  // namespace

std::string file_kind(std::string_view head) {
    for (const Magic& m : magics)
        if (has(head, m.at, m.bytes)) return said(m.kind, m.advice);
    if (is_onnx(head)) return said("an ONNX model", keras_only);

    const bool text = std::all_of(head.begin(), head.end(), [](unsigned char c) { return c >= 32 || c == '\n' || c == '\r' || c == '\t'; });
    if (!text) return "";
    std::string begin(head.substr(std::min(head.size(), head.find_first_not_of(" \t\r\n"))));
    std::transform(begin.begin(), begin.end(), begin.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    if (begin.starts_with("<!doctype html") || begin.starts_with("<html"))
        return said("a web page", "the download went wrong, get the file itself (on GitHub: the 'raw' file)");
    if (begin.starts_with("<?xml")) return said("XML", keras_only);
    if (begin.starts_with("{"))
        return begin.find("class_name") != begin.npos
                   ? said("JSON, a network without its weights", "give the file of the weights, and this one as --config")
                   : said("JSON", keras_only);
    return "text";
}

std::string folder_kind(const fs::path& folder) {
    std::error_code ignored;
    const auto holds = [&](const char* name) { return fs::exists(folder / name, ignored); };
    if (holds("saved_model.pb"))
        return "a TensorFlow SavedModel: open it with Keras and save it as one file "
               "(tf.keras.models.load_model(folder).save('model.h5'))";
    if (holds("config.json") && holds("model.weights.h5")) return "an unpacked .keras file: give the .keras file itself";
    return "";
}

}  // namespace limn
