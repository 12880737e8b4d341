// Pictures and progress in a terminal; a pseudo-terminal stands in for a real one.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "tests/support.h"
#include "view/terminal.h"
#include "view/utf8.h"

using namespace limn;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

Index count(const std::string& text, const std::string& part) {
    Index n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) n++;
    return n;
}

Image flat(Index h, Index w, std::uint8_t value) { return {h, w, std::vector<std::uint8_t>(std::size_t(h * w * 3), value)}; }

constexpr const char* half_block = "\u2580";

// What a program writes to `stream` arrives in written().
class PseudoTerminal {
public:
    PseudoTerminal() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
        if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) return;
        if (const char* name = ptsname(master_)) stream = std::fopen(name, "w");
    }
    ~PseudoTerminal() {
        if (stream) std::fclose(stream);
        if (master_ >= 0) close(master_);
    }
    PseudoTerminal(const PseudoTerminal&) = delete;
    PseudoTerminal& operator=(const PseudoTerminal&) = delete;

    std::string written() {
        std::string text;
        char buffer[4096];
        for (ssize_t n; (n = read(master_, buffer, sizeof buffer)) > 0;) text.append(buffer, std::size_t(n));
        return text;
    }
    std::FILE* stream = nullptr;

private:
    int master_;
};

}  // namespace

TEST_CASE("a terminal picture: two rows a line, colours above and below, each line reset") {
    const Image image{2, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    CHECK(terminal_picture(image, 2) ==
          std::string("\x1b[38;2;1;2;3;48;2;7;8;9m") + half_block + "\x1b[38;2;4;5;6;48;2;10;11;12m" + half_block + "\x1b[0m\n");
}

TEST_CASE("a terminal picture keeps the proportions, and is never wider than the image") {
    const auto size = [](Index h, Index w, int columns) {
        const std::vector<std::string> lines = lines_of(terminal_picture(flat(h, w, 9), columns));
        for (const std::string& line : lines) CHECK(line.ends_with("\x1b[0m"));
        return std::pair{Index(lines.size()), count(lines.at(0), half_block)};
    };
    CHECK(size(100, 100, 40) == std::pair<Index, Index>{20, 40});  // a cell is twice as high as wide
    CHECK(size(200, 100, 40) == std::pair<Index, Index>{40, 40});
    CHECK(size(50, 300, 60) == std::pair<Index, Index>{5, 60});
    CHECK(size(10, 10, 80) == std::pair<Index, Index>{5, 10});
    CHECK(size(7, 5, 5) == std::pair<Index, Index>{4, 5});       // an odd height
    CHECK(size(2, 1000, 20) == std::pair<Index, Index>{1, 20});  // never less than a line
    CHECK(size(1, 1, 10) == std::pair<Index, Index>{1, 1});
    CHECK(size(10, 10, 0) == std::pair<Index, Index>{1, 1});
}

TEST_CASE("a terminal picture averages what it shrinks") {
    Image board = flat(40, 40, 0);
    for (Index r = 0; r < 40; r++)
        for (Index c = 0; c < 40; c++)
            if ((r + c) % 2) std::fill_n(board.pixel(r, c), 3, std::uint8_t(200));
    const std::string text = terminal_picture(board, 10);
    CHECK(count(text, "48;2;100;100;100m") >= 10 * 5 - 2);  // the two lower corners see fewer pixels
}

TEST_CASE("progress is silent where there is no terminal") {
    const TemporaryFolder folder;
    std::FILE* file = std::fopen((folder / "out").c_str(), "w");
    REQUIRE(file);
    {
        ProgressBar bar(10, "work", file);
        bar.update(5);
        bar.finish();
    }
    std::fclose(file);
    CHECK(std::filesystem::file_size(folder / "out") == 0);
}

TEST_CASE("progress on a terminal: label, bar, count, rate and time left; the line is cleared at the end") {
    PseudoTerminal terminal;
    if (!terminal.stream) {
        MESSAGE("skipped: no pseudo-terminal can be opened here");
        return;
    }
    {
        ProgressBar bar(40, "reading", terminal.stream);
        CHECK(terminal.written().empty());
        bar.update(10);
        const std::string text = terminal.written();
        CAPTURE(text);
        CHECK(text.starts_with("\rreading ["));
        CHECK(count(text, "#") == 7);  // a quarter of 30
        CHECK(text.find("] 10/40  ") != std::string::npos);
        CHECK(text.find("/s  0:00 left") != std::string::npos);
        CHECK(text.find('\n') == std::string::npos);
        bar.finish();
        CHECK(terminal.written() == "\r\x1b[K");
        bar.finish();
        CHECK(terminal.written().empty());
    }
    CHECK(terminal.written().empty());
    { ProgressBar(40, "left by an exception", terminal.stream).update(1); }
    CHECK(terminal.written().ends_with("\r\x1b[K"));
}

TEST_CASE("progress is never wider than the terminal: a second row would stay") {
    PseudoTerminal terminal;
    if (!terminal.stream) {
        MESSAGE("skipped: no pseudo-terminal can be opened here");
        return;
    }
    const auto columns_drawn = [&](const std::string& note) {
        ProgressBar bar(1000, "explaining", terminal.stream);
        bar.update(640, note);
        const std::string text = terminal.written();
        bar.finish();
        (void)terminal.written();
        CHECK(text.starts_with("\rexplaining ["));
        CHECK(text.ends_with("\x1b[K"));
        CHECK(valid_utf8(text) == text);
        return text.size() - 1 - 3;
    };
    CHECK(columns_drawn("integrated-gradients 32/50 of a long, long name") == 79);  // where it does not say how wide it is
    winsize size{};
    size.ws_col = 40;
    REQUIRE(ioctl(fileno(terminal.stream), TIOCSWINSZ, &size) == 0);
    CHECK(columns_drawn("") == 39);
    size.ws_col = 200;
    REQUIRE(ioctl(fileno(terminal.stream), TIOCSWINSZ, &size) == 0);
    std::string accents;
    for (int i = 0; i < 100; i++) accents += "\u00e9";
    CHECK(columns_drawn(accents) >= 197);
}

TEST_CASE("progress is drawn at most ten times a second, and never past its end") {
    PseudoTerminal terminal;
    if (!terminal.stream) {
        MESSAGE("skipped: no pseudo-terminal can be opened here");
        return;
    }
    ProgressBar bar(1000, "x", terminal.stream);
    for (std::uint64_t i = 0; i <= 1000; i++) bar.update(i);
    CHECK(count(terminal.written(), "\r") <= 2);  // a slow machine may need over a tenth of a second for the loop
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    bar.update(5000);
    CHECK(count(terminal.written(), "#") == 30);
    ProgressBar nothing(0, "nothing to do", terminal.stream);
    nothing.update(0);
    nothing.finish();
    CHECK(terminal.written().empty());
}
