// Photos, colours, overlays and terminal pictures.
#include <fstream>

#include "tests/support.h"
#include "view/overlay.h"
#include "view/report.h"
#include "view/terminal.h"

using namespace limn;

namespace {

Image counting(Index h, Index w) {
    Image image{h, w, {}};
    for (Index i = 0; i < h * w * 3; i++) image.rgb.push_back(std::uint8_t(i * 5));
    return image;
}

std::vector<int> reds(const Image& image) {
    std::vector<int> out;
    for (std::size_t i = 0; i < image.rgb.size(); i += 3) out.push_back(image.rgb[i]);
    return out;
}

// A JPEG of 16x8 pixels, left half white, right half black, grey; made by Pillow (quality 50).
const unsigned char two_halves[] = {
#include "tests/view/two_halves.inc"
};

std::vector<std::byte> jpeg_with(const std::string& segment) {
    std::string text("\xff\xd8");
    text += segment;
    text.append(reinterpret_cast<const char*>(two_halves) + 2, sizeof two_halves - 2);
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

std::string exif(int orientation, bool little) {
    const auto number = [&](int value, int bytes) {
        std::string text;
        for (int i = 0; i < bytes; i++) text += char(value >> 8 * (little ? i : bytes - 1 - i));
        return text;
    };
    const std::string tiff = std::string(little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) +       // one entry:
                             number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + std::string(6, '\0');
    const std::string body = std::string("Exif\0\0", 6) + tiff;
    return std::string("\xff\xe1\0", 3) + char(body.size() + 2) + body;
}

}  // namespace

TEST_CASE("PNG: what is written is read again, also odd and small sizes") {
    const TemporaryFolder folder;
    for (const auto& [h, w] : {std::pair<Index, Index>{2, 2}, {7, 13}, {64, 3}}) {
        write_png(folder / "a.png", counting(h, w));
        CHECK(read_image(folder / "a.png").rgb == counting(h, w).rgb);
    }
}

TEST_CASE("EXIF: all eight orientations stand upright, in both byte orders") {
    // stored: left half white, right half black, 16 wide, 8 high
    struct Upright {
        int orientation;
        bool tall, white_first;                            // white on the left, or on top
    };
    for (const Upright& u : {Upright{1, false, true}, {2, false, false}, {3, false, false}, {4, false, true}, {5, true, true}, {6, true, true}, {7, true, false}, {8, true, false}})
        for (bool little : {true, false}) {
            CAPTURE(u.orientation);
            const Image image = decode_image(jpeg_with(exif(u.orientation, little)), "test");
            CHECK(image.height == (u.tall ? 16 : 8));
            CHECK((image.pixel(1, 1)[0] > 200) == u.white_first);
            CHECK((image.pixel(image.height - 2, image.width - 2)[0] > 200) == !u.white_first);
        }
    CHECK(decode_image(jpeg_with(exif(9, true)), "test").height == 8);          // no such orientation: as it is stored
    CHECK(decode_image(jpeg_with(std::string("\xff\xe1\0\x08" "Exif\0\0", 10)), "test").height == 8);
}

TEST_CASE("JPEG: a cut file is damaged, wherever it is cut") {
    std::vector<std::byte> bytes = jpeg_with("");
    for (std::size_t keep = 0; keep < bytes.size() - 1; keep += 7) CHECK_THROWS_AS(decode_image({bytes.begin(), bytes.begin() + std::ptrdiff_t(keep)}, "cut.jpg"), Error);
    bytes.insert(bytes.end(), 20, std::byte(0));           // bytes after the end do no harm
    CHECK(decode_image(bytes, "padded.jpg").width == 16);
}

TEST_CASE("resizing as Pillow: nearest takes the pixel under the new centre, bilinear widens when shrinking") {
    Image row{1, 5, {}};
    for (int v : {0, 50, 100, 150, 200}) row.rgb.insert(row.rgb.end(), 3, std::uint8_t(v));
    CHECK(reds(resize(row, 1, 3, Resampling::nearest)) == std::vector<int>{0, 100, 200});
    CHECK(reds(resize(row, 1, 8, Resampling::nearest)) == std::vector<int>{0, 0, 50, 100, 100, 150, 200, 200});
    CHECK(reds(resize(row, 1, 3, Resampling::bilinear)) == std::vector<int>{21, 100, 179});       // from Pillow
    CHECK(reds(resize(row, 1, 8, Resampling::bilinear)) == std::vector<int>{0, 22, 53, 84, 116, 147, 178, 200});
}

TEST_CASE("grey is Pillow's: .299 R + .587 G + .114 B") {
    const Image image{1, 2, {255, 0, 0, 10, 200, 30}};
    const Tensor grey = to_tensor(image, 1);
    CHECK(grey.at({0, 0, 0}) == 76);
    CHECK(grey.at({0, 1, 0}) == 124);
    CHECK(to_tensor(image, 3).at({0, 1, 2}) == 30);
}

TEST_CASE("jet is OpenCV's") {
    using Rgb = std::array<std::uint8_t, 3>;
    CHECK(color(Colormap::jet, 0) == Rgb{0, 0, 128});
    CHECK(color(Colormap::jet, 33 / 255.0f) == Rgb{0, 4, 255});
    CHECK(color(Colormap::jet, 96.5f / 255) == Rgb{2, 255, 254});
    CHECK(color(Colormap::jet, 192.5f / 255) == Rgb{255, 124, 0});
    CHECK(color(Colormap::jet, 1) == Rgb{128, 0, 0});
    CHECK(color(Colormap::jet, NAN) == Rgb{0, 0, 128});
    CHECK(color(Colormap::viridis, 0) == Rgb{68, 1, 84});
    CHECK(color(Colormap::diverging, 0.5f) == Rgb{255, 255, 255});
    CHECK_THROWS_AS(colormap_from_name("hsv"), Error);
}

TEST_CASE("overlay: the article's sum where the map is warm, the photo where it is cold; or a blend") {
    const Image photo{1, 3, {100, 100, 100, 100, 100, 100, 250, 250, 250}};
    const float cells[] = {0.1f, 1, 1};
    const Tensor heat = Tensor::from({1, 3}, cells);
    CHECK(overlay(photo, heat, {}).rgb == std::vector<std::uint8_t>{100, 100, 100, 164, 100, 100, 255, 250, 250});
    CHECK(overlay(photo, heat, {.mode = OverlayStyle::Mode::blend, .colormap = Colormap::grey}).rgb[3] == 177);
    CHECK_THROWS_AS(overlay(photo, Tensor::zeros({2, 3}), {}), Error);
}

TEST_CASE("a box is drawn as a frame, and clipped") {
    Image image{6, 6, std::vector<std::uint8_t>(108, 0)};
    draw_box(image, -3, 1, 5, 99, {9, 9, 9});
    CHECK(image.pixel(0, 1)[0] == 9);
    CHECK(image.pixel(2, 4)[0] == 0);
    CHECK(image.pixel(4, 4)[0] == 9);
    CHECK(image.pixel(5, 5)[0] == 0);
}

TEST_CASE("a terminal picture: half blocks, a line for two rows, colours reset at each end") {
    const std::string text = terminal_picture(counting(8, 16), 16);
    CHECK(std::count(text.begin(), text.end(), '\n') == 4);
    CHECK(text.find("\x1b[38;2;") == 0);
    CHECK(text.find("\x1b[0m\n") != std::string::npos);
    const std::string wide = terminal_picture(counting(50, 300), 64);
    CHECK(std::count(wide.begin(), wide.end(), '\n') == 5);
}

TEST_CASE("progress is silent where there is no terminal") {
    const TemporaryFolder folder;
    std::FILE* file = std::fopen((folder / "out").c_str(), "w");
    {
        ProgressBar bar(10, "work", file);
        bar.update(5);
    }
    std::fclose(file);
    CHECK(std::filesystem::file_size(folder / "out") == 0);
}

TEST_CASE("the page holds its pictures and escapes what is written") {
    const std::string page = html_report("<cat> & \"dog\"", "m", counting(3, 3), {"tabby 0.9"}, {{"map", counting(3, 3), {"look out"}}});
    CHECK(page.find("&lt;cat&gt; &amp; &quot;dog&quot;") != std::string::npos);
    CHECK(page.find("<cat>") == std::string::npos);
    CHECK(page.find("look out") != std::string::npos);
    CHECK(page.find("data:image/png;base64,iVBORw0KGgo") != std::string::npos);
}
