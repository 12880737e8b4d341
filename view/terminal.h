// Pictures and progress in a terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "view/image.h"

namespace limn {

// Two pixels a character (an upper half block with 24-bit colours), at most `columns` and never wider than the image; each
// character stands for the average of what is under it; lines end with a reset.
std::string terminal_picture(const Image& image, int columns);

// A bar with count, rate and time left, drawn at most ten times a second; silent unless `stream` is a terminal, and for total 0.
class ProgressBar {
public:
    ProgressBar(std::uint64_t total, std::string label, std::FILE* stream);
    ~ProgressBar() { finish(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    void update(std::uint64_t done, const std::string& note = "");  // note: shown behind the time left
    void finish();                                                  // clears the line

private:
    std::uint64_t total_;
    std::string label_;
    std::FILE* stream_;
    bool shown_ = false;
    std::int64_t start_ns_, drawn_ns_ = 0;
};

}  // namespace limn
