// Whole files in and out, so that no reader ever sees half of one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limn {

// The bytes of a file of at most `limit` bytes. Errors name the file and the reason (missing, a directory, no permission...).
std::vector<std::byte> read_file(const std::filesystem::path& path, std::size_t limit = std::size_t(1) << 32);

// A file that appears under its name only when it is complete: write to temporary_path(), then commit().
// Without commit() the temporary file is removed. Used directly by writers that need a path (HDF5, downloads).
class PendingFile {
public:
    explicit PendingFile(std::filesystem::path final_path);
    ~PendingFile();
    PendingFile(PendingFile&& other) noexcept;
    PendingFile& operator=(PendingFile&&) = delete;
    const std::filesystem::path& temporary_path() const { return temporary_; }
    void commit();  // flush to disk, rename over the final name

private:
    std::filesystem::path final_, temporary_;
};

// Writes all bytes or nothing: to a temporary file beside `path`, then renamed over it.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

// Held while it lives, by one process: an Error if another one has it. The folder must exist; nothing is written.
class FolderLock {
public:
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;

private:
    int descriptor_;
};

// Removes what killed processes left of files that never got their names.
void remove_temporary_files(const std::filesystem::path& folder);

// Creates the folder and its parents; a clear Error if that fails.
void make_folder(const std::filesystem::path& path);

}  // namespace limn
