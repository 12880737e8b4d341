// What both logs stand on: a file that grows by whole records, and the clock that they note.
//
// Each record is one write, straight to the kernel: a training that is killed loses nothing of its log, and one whose disk
// is full leaves no half of a record behind, at which readers would stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace limn {

// Seconds since 1970. Logs take theirs as an argument, so that tests know every byte.
using Clock = std::function<double()>;
double system_clock_seconds();

class RecordFile {
public:
    explicit RecordFile(std::filesystem::path path);  // a new file: it is an Error if there is one of this name
    ~RecordFile();
    RecordFile(const RecordFile&) = delete;
    RecordFile& operator=(const RecordFile&) = delete;

    void append(std::string_view record);  // all of it or nothing and an Error
    std::uint64_t size() const { return size_; }

private:
    std::filesystem::path path_;
    int fd_;
    std::uint64_t size_ = 0;
};

}  // namespace limn
