// HDF5 files, in and out: hdf5_file.cpp reads, hdf5_writer.cpp writes. Nothing else knows the HDF5 library.
//
// Files come from anywhere and are not trusted: links that lead out of the file, storage outside it, virtual datasets
// and sizes that make no sense are refused. Large float arrays are not copied: read() returns a view into the mapped
// file wherever HDF5 stores the numbers as they are needed; the file must not be shortened while such a view is in use.
// HDF5 may have been built without threads: use this from one thread at a time.
// What the groups mean: weights/keras_legacy.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/file.h"
#include "engine/tensor.h"

namespace limn {

// Paths in a file: "/a/b/c" -> "/a/b" and "c".
inline std::string parent_of(const std::string& path) { return path.substr(0, path.find('/') == std::string::npos ? 0 : path.rfind('/')); }
inline std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class Hdf5File {
public:
    explicit Hdf5File(const std::filesystem::path& path);
    // A file that lies in memory (in an archive, unpacked); `path` names it in messages.
    Hdf5File(const std::filesystem::path& path, std::vector<std::byte> image);
    ~Hdf5File();
    Hdf5File(const Hdf5File&) = delete;
    const std::filesystem::path& path() const { return path_; }

    // Paths are absolute: "/" is the root, "/model_weights/conv1".
    bool has(const std::string& path) const;
    bool is_group(const std::string& path) const;
    std::vector<std::string> children(const std::string& group) const;  // in HDF5's order: conv_10 before conv_2

    bool has_attribute(const std::string& group, const std::string& name) const;  // also a list split into name0, name1...
    std::string text(const std::string& group, const std::string& name) const;
    std::vector<std::string> texts(const std::string& group, const std::string& name) const;
    std::optional<std::vector<double>> numbers(const std::string& group, const std::string& name) const;  // none: no such attribute

    Shape shape(const std::string& dataset) const;
    Tensor read(const std::string& dataset) const;  // as float32, whatever number type is stored
    bool mapped(const std::string& dataset) const;  // does read() give a view of the file?

private:
    enum class Kind { nothing, group, other };
    Kind kind_at(const std::string& path) const;
    bool has_plain_attribute(const std::string& group, const std::string& name) const;
    std::vector<std::string> texts_of_one(const std::string& group, const std::string& name) const;
    std::string_view referenced_text(std::string_view reference, const std::string& what) const;
    std::string_view bytes() const;  // the whole file, mapped

    std::filesystem::path path_;
    std::int64_t file_ = -1;
    mutable std::shared_ptr<const void> mapping_;  // made at the first need; the tensors that look into it keep it alive
    mutable std::size_t mapped_bytes_ = 0;
    mutable std::size_t listed_links_ = 0;      // by children(), in all
    mutable std::uint64_t unpacked_bytes_ = 0;  // of all arrays that were not mapped
};

// A new file that appears under its name when it is complete. After an Error it is given up: nothing appears.
class Hdf5Writer {
public:
    explicit Hdf5Writer(const std::filesystem::path& path);
    ~Hdf5Writer();
    Hdf5Writer(const Hdf5Writer&) = delete;

    void group(const std::string& path);                                                   // with its parents
    void dataset(const std::string& path, const Tensor& values, bool as_float16 = false);  // a number beyond float16 is an Error
    void attribute(const std::string& group, const std::string& name, const std::string& value);
    void attribute(const std::string& group, const std::string& name, const std::vector<std::string>& values);
    void commit();

private:
    std::int64_t file() const;  // an Error after the end
    void check(bool done, const std::string& what);
    void write_attribute(const std::string& group, const std::string& name, std::int64_t type, std::int64_t space, const void* data);

    PendingFile pending_;
    std::filesystem::path path_;
    std::int64_t file_ = -1;
};

}  // namespace limn
