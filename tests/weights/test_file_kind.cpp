// Files that never were Keras files: one line says what they are and what to do.
#include <array>

#include "engine/file.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "weights/zip_file.h"

using namespace limn;
using namespace std::string_view_literals;

namespace {

std::string refusal(const std::filesystem::path& path) {
    const std::string text = complaint([&] { load_model({path.string(), "", ""}); });
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find(path.string()) != std::string::npos);
    return text;
}

}  // namespace

TEST_CASE("files of other programs are named, with what to do") {
    const TemporaryFolder folder;
    const auto path = folder / "model.h5";
    struct Foreign {
        std::string_view begin, said;
    };
    const Foreign files[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
         "a Git LFS pointer, a text that stands for the file: get the file itself with `git lfs pull`"},
        {"\n <!DOCTYPE html>\n<html lang=\"en\">", "a web page: the download went wrong"},
        {"<HTML><body>404", "a web page: the download went wrong"},
        {"<?xml version=\"1.0\"?><Error>", "XML: limn reads what Keras saves"},
        {"\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv, "a PyTorch checkpoint: limn reads what Keras saves"},
        {"\x80\4\x95\x10\0\0\0\0\0\0\0"sv, "a Python pickle"},
        {"\x08\x07\x12\x07pytorch\x1a\x05"
         "1.13.1"sv,
         "an ONNX model: limn reads what Keras saves"},
        {"\x1c\0\0\0TFL3\x14\0"sv, "a TensorFlow Lite model: limn reads what Keras saves"},
        {"\x40\0\0\0\0\0\0\0{\"conv.weight\":{\"dtype\":\"F32\""sv, "a safetensors file: limn reads what Keras saves"},
        {"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a MATLAB file: limn reads what Keras saves"},
        {"\x93NUMPY\1\0", "a NumPy array: limn reads what Keras saves"},
        {"\x1f\x8b\x08\0"sv, "compressed with gzip: unpack it first"},
        {"{\"class_name\": \"Sequential\", \"config\": []}",
         "JSON, a network without its weights: give the file of the weights, and this one as --config"},
        {"{\"a\": 1}", "JSON: limn reads what Keras saves"},
        {"lr,loss\n1,2\n", "text"},
    };
    for (const Foreign& f : files) {
        write_file(path, f.begin);
        const std::string message = refusal(path);
        CAPTURE(message);
        CHECK(message.find("is not an HDF5 file, it looks like " + std::string(f.said)) != std::string::npos);
    }
    write_zip(path, std::array{ZipMember{"archive/data.pkl", {}}});
    CHECK(refusal(path).find("not one Keras wrote (no config.json); it looks like a PyTorch file") != std::string::npos);
    write_file(path, "PK\3\4 and no more");
    CHECK(refusal(path).find("cannot be opened as a zip archive") != std::string::npos);
    write_file(path, std::string(257, '\0') + "ustar");
    CHECK(refusal(path).find("a tar archive: unpack it first") != std::string::npos);
    for (const std::string_view unknown : {"\x01\x02\x03\x04"sv, "\x08\x07\x12\xff\xff"sv, "\0"sv}) {
        write_file(path, unknown);
        CHECK(refusal(path).ends_with("is not an HDF5 file"));
    }
}

TEST_CASE("folders: a SavedModel, an unpacked .keras file, any other") {
    const TemporaryFolder folder;
    CHECK(refusal(folder.path).ends_with("is a directory, an HDF5 file was expected"));
    write_file(folder / "config.json", "{}");
    write_file(folder / "model.weights.h5", "");
    CHECK(refusal(folder.path).find("an unpacked .keras file") != std::string::npos);
    write_file(folder / "saved_model.pb", "");
    CHECK(refusal(folder.path).find("a TensorFlow SavedModel: open it with Keras and save it as one file") != std::string::npos);
}

TEST_CASE("HDF5 files of other programs: what they hold is listed") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    {
        Hdf5Writer file(path);
        file.dataset("/temperature", Tensor::full({2}, 1));
        file.group("/#refs#");
        file.commit();
    }
    CHECK(refusal(path).ends_with("is an HDF5 file, but not one Keras wrote (neither 'layer_names' nor 'layers'): it holds '#refs#', 'temperature'"));
    {
        Hdf5Writer file(path);
        for (int i = 0; i < 1000; i++) file.group("/" + std::string(100, char('a' + i % 26)) + std::to_string(i));
        file.commit();
    }
    CHECK(refusal(path).size() < 500);
}
