// What all fuzz targets share. A target is one file: it feeds the bytes that libFuzzer made up to one reader of limn, and is content
// with a result and with an Error alike. Anything else (a crash, a sanitizer's complaint, another exception, endless time or memory)
// ends the process: that is a finding. See docs/fuzzing.md, and fuzz/run to run them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "engine/error.h"

namespace limn {

// The bytes as a file in memory: for readers that take a path.
class FuzzedFile {
public:
    FuzzedFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("fuzzed", MFD_CLOEXEC)) {
        if (descriptor_ < 0 || write(descriptor_, data, size) != ssize_t(size)) std::abort();
    }
    ~FuzzedFile() { close(descriptor_); }
    FuzzedFile(const FuzzedFile&) = delete;
    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
    int descriptor_;
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
