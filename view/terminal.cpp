#include "view/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace limn {

std::string terminal_picture(const Image& image, int columns) {
    const Index width = std::clamp<Index>(columns, 1, image.width);
    const Index height = std::max<Index>(2, (image.height * width / image.width + 1) / 2 * 2);  // a cell is twice as high as wide
    const Image small = resize(image, height, width, Resampling::bilinear);
    std::string out;
    for (Index r = 0; r + 1 < height; r += 2) {
        for (Index c = 0; c < width; c++) {
            const std::uint8_t *top = small.pixel(r, c), *bottom = small.pixel(r + 1, c);
            out += fmt::format("\x1b[38;2;{};{};{};48;2;{};{};{}m\u2580", top[0], top[1], top[2], bottom[0], bottom[1], bottom[2]);
        }
        out += "\x1b[0m\n";
    }
    return out;
}

static std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

static std::size_t columns_of(std::FILE* terminal) {
    winsize size{};
    return ioctl(fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

ProgressBar::ProgressBar(std::uint64_t total, std::string label, std::FILE* stream)
    : total_(isatty(fileno(stream)) ? total : 0), label_(std::move(label)), stream_(stream), start_ns_(now_ns()) {}

void ProgressBar::update(std::uint64_t done, const std::string& note) {
    const std::int64_t now = now_ns();
    if (!total_ || now - drawn_ns_ < 100'000'000) return;
    drawn_ns_ = now;
    shown_ = true;
    constexpr int bar_width = 30;
    const double share = std::min(1.0, double(done) / double(total_)), seconds = double(now - start_ns_) / 1e9;
    const int filled = int(share * bar_width);
    const auto left = std::int64_t(share > 0 ? seconds / share - seconds : 0);
    std::string text = fmt::format("{} [{:#<{}}{:.<{}}] {}/{}  {:.1f}/s", label_, "", filled, "", bar_width - filled, done, total_,
                                   seconds > 0 ? double(done) / seconds : 0);
    if (done > 0) text += fmt::format("  {}:{:02} left", left / 60, left % 60);
    if (!note.empty()) text += "  " + note;
    if (text.size() >= columns_of(stream_)) {  // a second row would stay
        text.resize(columns_of(stream_) - 1);
        while ((text.back() & 0xc0) == 0x80) text.pop_back();  // no half characters
        if ((text.back() & 0xc0) == 0xc0) text.pop_back();
    }
    fmt::print(stream_, "\r{}\x1b[K", text);
    std::fflush(stream_);
}

void ProgressBar::finish() {
    if (!shown_) return;
    fmt::print(stream_, "\r\x1b[K");
    std::fflush(stream_);
    shown_ = false;
}

}  // namespace limn
