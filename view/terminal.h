// Pictures and progress in a terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "view/image.h"

namespace limn {

// Two pixels a character (an upper half block with 24-bit colours), at most `columns` wide, lines ended by a reset.
std::string terminal_picture(const Image& image, int columns);

// A bar with count, rate and time left; silent unless `stream` is a terminal. total 0: silent, too.
class ProgressBar {
public:
    ProgressBar(std::uint64_t total, std::string label, std::FILE* stream);
    ~ProgressBar() { finish(); }
    ProgressBar(const ProgressBar&) = delete;
    void update(std::uint64_t done);
    void finish();                                         // clears the line

private:
    std::uint64_t total_;
    std::string label_;
    std::FILE* stream_;
    bool shown_ = false;
    std::int64_t start_ns_, drawn_ns_ = 0;
};

}  // namespace limn
