// What all fuzz targets share. A target is one file: it feeds the bytes that libFuzzer made up to one reader of limn, and is content
// with a result and with an Error alike. Anything else (a crash, a sanitizer's complaint, another exception, endless time or memory)
// ends the process: that is a finding. See docs/fuzzing.md, and fuzz/run to run them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "engine/error.h"

namespace limn {

// The bytes as a file in memory, one at a time: for readers that take a path. (A name under /proc would be a link that leads nowhere:
// libhdf5 opens none.)
class FuzzedFile {
public:
    FuzzedFile(const std::uint8_t* data, std::size_t size) : path_(path_of(getpid())) {
        const int file = open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        if (file < 0 || write(file, data, size) != ssize_t(size) || close(file) != 0) std::abort();
    }
    ~FuzzedFile() { unlink(path_.c_str()); }
    FuzzedFile(const FuzzedFile&) = delete;
    const std::string& path() const { return path_; }
    static std::string path_of(pid_t process) { return "/dev/shm/limn-fuzz-" + std::to_string(process); }

private:
    std::string path_;
};

// Runs what may refuse its input; a refusal must say something.
template <class F> void try_to(F&& read) {
    try {
        read();
    } catch (const Error& e) {
        if (!*e.what()) std::abort();
    }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }

}  // namespace limn

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
