// Photos in, PNG out: what is read, how it is turned, and what is refused with which words.
#include <unistd.h>

#include <array>
#include <cstring>
#include <initializer_list>

#include "engine/file.h"
#include "tests/support.h"
#include "view/image.h"
#include "view/jpeg.h"

using namespace limn;

namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

template <std::size_t n> Bytes bytes_of(const std::array<unsigned char, n>& numbers) {
    const auto bytes = std::as_bytes(std::span(numbers));
    return {bytes.begin(), bytes.end()};
}

Bytes first(const Bytes& bytes, std::size_t count) { return {bytes.begin(), bytes.begin() + std::ptrdiff_t(count)}; }

std::string refusal(const Bytes& bytes) {
    try {
        decode_image(bytes, "photo");
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

void check_refused(const Bytes& bytes, std::string_view expected) {
    const std::string message = refusal(bytes);
    CAPTURE(message);
    CHECK(message.find("photo: ") == 0);
    CHECK(message.find(expected) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
}

// 24x16 pixels, made by Pillow (quality 75, no subsampling): a red, a green, a blue and a white corner of 8x8 (as read: left to
// right, top to bottom), grey in the middle. Three components, one scan.
constexpr auto corners = std::to_array<unsigned char>(
    {255, 216, 255, 224, 0,  16,  74,  70, 73, 70,  0,   1,  1,   0,  0,  1,  0,   1,   0,   0,   255, 219, 0,  67,  0,  8,   6,   6,
     7,   6,   5,   8,   7,  7,   7,   9,  9,  8,   10,  12, 20,  13, 12, 11, 11,  12,  25,  18,  19,  15,  20, 29,  26, 31,  30,  29,
     26,  28,  28,  32,  36, 46,  39,  32, 34, 44,  35,  28, 28,  40, 55, 41, 44,  48,  49,  52,  52,  52,  31, 39,  57, 61,  56,  50,
     60,  46,  51,  52,  50, 255, 219, 0,  67, 1,   9,   9,  9,   12, 11, 12, 24,  13,  13,  24,  50,  33,  28, 33,  50, 50,  50,  50,
     50,  50,  50,  50,  50, 50,  50,  50, 50, 50,  50,  50, 50,  50, 50, 50, 50,  50,  50,  50,  50,  50,  50, 50,  50, 50,  50,  50,
     50,  50,  50,  50,  50, 50,  50,  50, 50, 50,  50,  50, 50,  50, 50, 50, 50,  50,  255, 192, 0,   17,  8,  0,   16, 0,   24,  3,
     1,   17,  0,   2,   17, 1,   3,   17, 1,  255, 196, 0,  22,  0,  1,  1,  1,   0,   0,   0,   0,   0,   0,  0,   0,  0,   0,   0,
     0,   0,   7,   6,   5,  255, 196, 0,  20, 16,  1,   0,  0,   0,  0,  0,  0,   0,   0,   0,   0,   0,   0,  0,   0,  0,   0,   255,
     196, 0,   24,  1,   1,  0,   3,   1,  0,  0,   0,   0,  0,   0,  0,  0,  0,   0,   0,   0,   7,   0,   5,  6,   8,  255, 196, 0,
     20,  17,  1,   0,   0,  0,   0,   0,  0,  0,   0,   0,  0,   0,  0,  0,  0,   0,   0,   255, 218, 0,   12, 3,   1,  0,   2,   17,
     3,   17,  0,   63,  0,  139, 102, 78, 43, 70,  152, 28, 214, 26, 8,  0,  206, 188, 38,  24,  193, 203, 51, 250, 35, 255, 217});

// 2x2 pixels by Pillow.
constexpr auto grey_png =
    std::to_array<unsigned char>({137, 80, 78, 71, 13,  10, 26,  10,  0,   0,   0,  13, 73, 72, 68, 82, 0,  0,   0,   2,   0,  0,  0,  2,
                                  8,   0,  0,  0,  0,   87, 221, 82,  248, 0,   0,  0,  14, 73, 68, 65, 84, 120, 218, 99,  96, 48, 98, 72,
                                  249, 15, 0,  2,  149, 1,  150, 123, 177, 120, 15, 0,  0,  0,  0,  73, 69, 78,  68,  174, 66, 96, 130});
constexpr auto grey_alpha_png = std::to_array<unsigned char>(
    {137, 80,  78,  71, 13,  10,  26,  10,  0,  0,  0, 13,  73,  72, 68, 82, 0,   0,   0,  2,   0,   0,   0,   2,   8,
     4,   0,   0,   0,  216, 191, 197, 175, 0,  0,  0, 18,  73,  68, 65, 84, 120, 218, 99, 100, 103, 208, 254, 207, 144,
     210, 240, 159, 17, 0,   12,  137, 3,   23, 15, 6, 170, 195, 0,  0,  0,  0,   73,  69, 78,  68,  174, 66,  96,  130});
constexpr auto rgba_png = std::to_array<unsigned char>(
    {137, 80,  78,  71,  13, 10, 26, 10, 0,   0,  0,   13, 73, 72,  68,  82, 0,   0,   0,  2,   0,  0,   0,   2,   8,   6,   0,   0,
     0,   114, 182, 13,  36, 0,  0,  0,  26,  73, 68,  65, 84, 120, 218, 99, 100, 100, 98, 102, 96, 102, 102, 254, 207, 192, 206, 193,
     217, 240, 235, 247, 31, 70, 0,  22, 220, 4,  154, 16, 26, 226, 56,  0,  0,   0,   0,  73,  69, 78,  68,  174, 66,  96,  130});

std::string number(std::uint32_t value, int count, bool little) {
    std::string text;
    for (int i = 0; i < count; i++) text += static_cast<char>(value >> 8 * (little ? i : count - 1 - i));
    return text;
}

struct Entry {
    std::uint32_t tag = 0x0112, type = 3, count = 1, value = 1;
};

// A TIFF block with one directory: an unrelated entry, then the given one.
std::string tiff(const Entry& entry, bool little) {
    const auto n = [&](std::uint32_t value, int count) { return number(value, count, little); };
    return (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(2, 2) + n(0x010f, 2) + n(2, 2) + n(1, 4) + n(0, 4) + n(entry.tag, 2) +
           n(entry.type, 2) + n(entry.count, 4) + n(entry.value, 2) + n(0, 2);
}

int orientation_in(const std::string& block) {
    return exif_orientation({reinterpret_cast<const std::uint8_t*>(block.data()), block.size()});
}

std::string segment(unsigned char marker, const std::string& body) {
    return std::string{'\xff', static_cast<char>(marker)} + number(std::uint32_t(body.size() + 2), 2, false) + body;
}

// The picture above with a segment after its first two bytes.
Bytes corners_with(const std::string& segments) {
    Bytes bytes = bytes_of(corners);
    const Bytes added = bytes_of(segments);
    bytes.insert(bytes.begin() + 2, added.begin(), added.end());
    return bytes;
}

std::string exif_segment(const std::string& block) { return segment(0xe1, std::string("Exif\0\0", 6) + block); }

JpegFacts facts_of(const Bytes& bytes) { return read_jpeg_facts({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}); }

// r, g, b or w: the nearest of the four corner colours.
char letter(const std::uint8_t* p) {
    const bool red = p[0] > 128, green = p[1] > 128, blue = p[2] > 128;
    return red && green && blue ? 'w' : red ? 'r' : green ? 'g' : blue ? 'b' : '?';
}

std::string corner_letters(const Image& i) {
    return {letter(i.pixel(3, 3)), letter(i.pixel(3, i.width - 4)), letter(i.pixel(i.height - 4, 3)),
            letter(i.pixel(i.height - 4, i.width - 4))};
}

Image pattern(Index h, Index w) {
    Image image{h, w, {}};
    for (Index i = 0; i < h * w * 3; i++) image.rgb.push_back(std::uint8_t(i * 37 + 11));
    return image;
}

// 24 bits a pixel; a negative height tells that the first row is the top.
Bytes bmp(std::int32_t width, std::int32_t height, const std::vector<std::uint8_t>& rows) {
    const auto n = [](std::int64_t value, int count) { return number(std::uint32_t(value), count, true); };
    std::string text = "BM" + n(std::int64_t(54 + rows.size()), 4) + n(0, 4) + n(54, 4) + n(40, 4) + n(width, 4) + n(height, 4) + n(1, 2) +
                       n(24, 2) + n(0, 4) + n(std::int64_t(rows.size()), 4) + n(0, 16 / 4) + n(0, 4) + n(0, 4) + n(0, 4);
    text.append(rows.begin(), rows.end());
    return bytes_of(text);
}

}  // namespace

TEST_CASE("a PNG is read as it was written, odd sizes and the smallest one included") {
    for (const auto& [h, w] : std::initializer_list<std::pair<Index, Index>>{{2, 2}, {2, 3}, {7, 13}, {64, 3}, {101, 97}}) {
        const Image image = decode_image(encode_png(pattern(h, w)), "test");
        CHECK(image.height == h);
        CHECK(image.width == w);
        CHECK(image.rgb == pattern(h, w).rgb);
    }
}

TEST_CASE("grey becomes RGB, alpha is dropped without blending") {
    CHECK(decode_image(bytes_of(grey_png), "test").rgb == std::vector<std::uint8_t>{0, 0, 0, 50, 50, 50, 100, 100, 100, 255, 255, 255});
    CHECK(decode_image(bytes_of(grey_alpha_png), "test").rgb ==
          std::vector<std::uint8_t>{7, 7, 7, 50, 50, 50, 100, 100, 100, 255, 255, 255});
    CHECK(decode_image(bytes_of(rgba_png), "test").rgb == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252});
}

TEST_CASE("BMP: rows from the bottom or from the top, padded to four bytes") {
    const std::vector<std::uint8_t> rows{3,  2,  1,  6,  5,  4,  9,  8,  7,  0, 0, 0,
                                         30, 20, 10, 60, 50, 40, 90, 80, 70, 0, 0, 0};  // blue, green, red
    const std::vector<std::uint8_t> one{1, 2, 3, 4, 5, 6, 7, 8, 9}, other{10, 20, 30, 40, 50, 60, 70, 80, 90};
    std::vector<std::uint8_t> upward = other, downward = one;
    upward.insert(upward.end(), one.begin(), one.end());
    downward.insert(downward.end(), other.begin(), other.end());
    CHECK(decode_image(bmp(3, 2, rows), "test").rgb == upward);
    CHECK(decode_image(bmp(3, -2, rows), "test").rgb == downward);
    CHECK(decode_image(bmp(3, -2, rows), "test").height == 2);
}

TEST_CASE("JPEG: colours and size") {
    const Image image = decode_image(bytes_of(corners), "test");
    CHECK(image.height == 16);
    CHECK(image.width == 24);
    CHECK(corner_letters(image) == "rgbw");
    CHECK(std::abs(image.pixel(8, 12)[1] - 128) < 8);
}

TEST_CASE("EXIF: each of the eight orientations has its own upright picture, in both byte orders") {
    const std::pair<std::uint32_t, std::string> expected[] = {{1, "rgbw"}, {2, "grwb"}, {3, "wbgr"}, {4, "bwrg"},
                                                              {5, "rbgw"}, {6, "brwg"}, {7, "wgbr"}, {8, "gwrb"}};
    for (const auto& [orientation, letters] : expected)
        for (bool little : {true, false}) {
            CAPTURE_PART(orientation);
            CAPTURE(little);
            const Image image = decode_image(corners_with(exif_segment(tiff({.value = orientation}, little))), "test");
            CHECK(image.width == (orientation >= 5 ? 16 : 24));
            CHECK(image.height == (orientation >= 5 ? 24 : 16));
            CHECK(corner_letters(image) == letters);
        }
    // EXIF of more than 64 KB goes on in further segments, which begin in the middle of something
    const Image long_one = decode_image(corners_with(exif_segment(tiff({.value = 6}, true)) + exif_segment("and so on")), "test");
    CHECK(corner_letters(long_one) == "brwg");
}

TEST_CASE("EXIF that is damaged leaves the picture as it is stored") {
    for (bool little : {true, false}) {
        CHECK(orientation_in(tiff({.value = 6}, little)) == 6);
        CHECK(orientation_in(tiff({.value = 0}, little)) == 1);
        CHECK(orientation_in(tiff({.value = 9}, little)) == 1);
        CHECK(orientation_in(tiff({.tag = 0x0113, .value = 6}, little)) == 1);
        CHECK(orientation_in(tiff({.type = 4, .value = 6}, little)) == 1);
        CHECK(orientation_in(tiff({.count = 2, .value = 6}, little)) == 1);
        const std::string whole = tiff({.value = 6}, little);
        for (std::size_t keep = 0; keep + 4 < whole.size(); keep++) CHECK(orientation_in(whole.substr(0, keep)) == 1);
        std::string no_tiff = whole;
        no_tiff[little ? 2 : 3] = 43;
        CHECK(orientation_in(no_tiff) == 1);
        std::string far_away = whole;  // the directory at 0xffffffff
        far_away.replace(4, 4, 4, '\xff');
        CHECK(orientation_in(far_away) == 1);
        std::string many = whole;  // 65535 entries, of which two are there
        many.replace(8, 2, 2, '\xff');
        CHECK(orientation_in(many) == 6);
    }
    CHECK(orientation_in("XX*\0") == 1);
    CHECK(corner_letters(decode_image(corners_with(segment(0xe1, "http://ns.adobe.com/xap/1.0/")), "test")) == "rgbw");
    CHECK(corner_letters(decode_image(corners_with(segment(0xe1, std::string("Exif\0\0", 6))), "test")) == "rgbw");
}

TEST_CASE("a JPEG is whole when its pixels are followed by the end marker, whatever comes after that") {
    const Bytes whole = bytes_of(corners);
    for (std::size_t keep = 1; keep < whole.size(); keep++) {
        CAPTURE(keep);
        check_refused(first(whole, keep), keep < 3 ? "not a photo limn can read" : "damaged or cut short");
    }
    for (const char* tail : {"\0", "\xff", "\xff\xff\xff", "rubbish", "\xff\xd8\xff\xe0 the start of another"}) {
        Bytes longer = whole;
        const Bytes added = bytes_of(std::string(tail, std::max<std::size_t>(1, std::strlen(tail))));
        longer.insert(longer.end(), added.begin(), added.end());
        CHECK(corner_letters(decode_image(longer, "test")) == "rgbw");
    }
}

TEST_CASE("the end marker of an EXIF thumbnail does not make a cut JPEG whole") {
    const std::string thumbnail(reinterpret_cast<const char*>(corners.data()), corners.size());
    const Bytes bytes = corners_with(exif_segment(tiff({.value = 1}, true) + thumbnail));
    CHECK(corner_letters(decode_image(bytes, "test")) == "rgbw");
    check_refused(first(bytes, bytes.size() - 2), "damaged or cut short");
}

TEST_CASE("JPEG segments that lie about their size are refused before any decoder sees them") {
    const std::string counts(16, '\xff');
    check_refused(corners_with(segment(0xc4, '\0' + counts)), "damaged");                           // 4080 Huffman codes
    check_refused(corners_with(segment(0xc4, '\0' + counts + std::string(4080, 'x'))), "damaged");  // ... and they are there
    check_refused(corners_with(segment(0xc4, std::string(16, '\0'))), "damaged");                   // less than a table
    check_refused(corners_with(std::string("\xff\xe1\xff\xff", 4)), "damaged");                     // beyond the end
    check_refused(corners_with(std::string("\xff\xe1\0\1", 4)), "damaged");                         // shorter than its own size
    check_refused(corners_with(segment(0xdb, std::string(64, '\1'))), "damaged");         // a quantization table less its last number
    check_refused(corners_with(segment(0xdb, '\4' + std::string(64, '\1'))), "damaged");  // a fifth one
    int tables = 0;
    for (std::size_t i = 0; i + 1 < corners.size(); i++)  // without one of its segments of tables, Huffman's or of quantization
        if (corners[i] == 0xff && (corners[i + 1] == 0xc4 || corners[i + 1] == 0xdb)) {
            auto without = corners;
            without[i + 1] = 0xfe;  // a comment
            check_refused(bytes_of(without), "damaged");
            tables++;
        }
    CHECK(tables >= 3);
    // a scan of the first component only: the others' pixels are nowhere
    Bytes one_scanned = bytes_of(corners);
    std::size_t scan = 0;
    while (corners[scan] != 0xff || corners[scan + 1] != 0xda) scan++;
    one_scanned[scan + 3] = std::byte(8), one_scanned[scan + 4] = std::byte(1);  // the header's length; components: one
    one_scanned.erase(one_scanned.begin() + std::ptrdiff_t(scan) + 7, one_scanned.begin() + std::ptrdiff_t(scan) + 11);
    check_refused(one_scanned, "damaged");
    CHECK_FALSE(facts_of({}).complete);
    CHECK_FALSE(facts_of(bytes_of(std::string_view("\xff\xd8\xff\xd9", 4))).complete);  // no pixels
    CHECK(facts_of(bytes_of(corners)).components == 3);
}

TEST_CASE("a PNG or BMP that is cut short is refused") {
    const Bytes png = encode_png(pattern(9, 7));
    constexpr std::size_t size_known = 25, end_chunk = 12;  // signature, sizes and depth; IEND, which holds nothing of the picture
    for (std::size_t keep = 1; keep + end_chunk < png.size(); keep++) {
        CAPTURE(keep);
        check_refused(first(png, keep), keep < size_known ? "not a photo limn can read" : "damaged or cut short");
    }
    const Bytes whole = bmp(3, 2, std::vector<std::uint8_t>(24, 9));
    for (std::size_t keep = 2; keep < whole.size(); keep++) CHECK(refusal(first(whole, keep)) != "accepted");
    check_refused(first(whole, whole.size() - 1), "damaged or cut short BMP");
}

TEST_CASE("other kinds of file are named, with what to do") {
    using namespace std::string_view_literals;
    check_refused({}, "is empty: a PNG, JPEG or BMP was expected");
    check_refused(bytes_of("Dear friend,\nhere is no photo.\n"), "is text, not a photo limn can read: convert it to PNG or JPEG");
    check_refused(bytes_of("<svg></svg>"), "is text");
    check_refused(bytes_of("\x89HDF\r\n\x1a\n\0\0\0\0"sv), "is an HDF5 file");
    check_refused(bytes_of("GIF89a\1\0\1\0"sv), "is a GIF, not a photo limn can read: convert it to PNG or JPEG");
    check_refused(bytes_of("RIFF\x24\0\0\0WEBPVP8 "sv), "is a WebP");
    check_refused(bytes_of("II*\0\x08\0\0\0"sv), "is a TIFF");
    check_refused(bytes_of("MM\0*\0\0\0\x08"sv), "is a TIFF");
    check_refused(bytes_of("\0\0\0\x18"
                           "ftypheic"sv),
                  "is a HEIC");
    check_refused(bytes_of("\0\1\2\3\4\5"sv), "is no image");
    check_refused(bytes_of("\xff\xff\xd8\xff\xc4"sv), "is no image");  // stb alone would take it for a JPEG
    check_refused(bytes_of("\x89PNG\r\n\x1a\nrubbish"), "is a PNG that is damaged, cut short or of a rare kind");
    check_refused(bytes_of("BM rubbish"), "is a BMP that is damaged, cut short or of a rare kind");
}

TEST_CASE("a CMYK JPEG is refused by its frame header") {
    Bytes bytes = bytes_of(corners);
    const Bytes frame = bytes_of(segment(0xc0, std::string("\x08\0\x10\0\x10\4\1\x11\0\2\x11\0\3\x11\0\4\x11\0", 18)));
    const auto old = std::search(bytes.begin(), bytes.end(), frame.begin(), frame.begin() + 2);
    bytes.erase(old, old + 2 + 17);
    bytes.insert(old, frame.begin(), frame.end());
    check_refused(bytes, "is a CMYK JPEG: convert it to RGB");
}

TEST_CASE("sizes: from 2x2 to 16384 on a side, looked at before the pixels") {
    check_refused(encode_png(pattern(1, 1)), "is 1x1 pixels: too small to explain");
    check_refused(encode_png(pattern(1, 9)), "is 9x1 pixels: too small to explain");
    check_refused(encode_png(pattern(9, 1)), "is 1x9 pixels: too small to explain");
    CHECK(decode_image(encode_png(pattern(2, 2)), "test").width == 2);
    CHECK(decode_image(encode_png(pattern(2, 16384)), "test").width == 16384);
    check_refused(encode_png(pattern(2, 16385)), "is 16385x2 pixels; at most 16384 on a side are read: make it smaller");
    check_refused(bmp(1 << 20, 1 << 20, {}), "is 1048576x1048576 pixels");  // a header alone, no memory is asked for
    check_refused(bmp(9, INT32_MIN, {}), "is 9x2147483648 pixels");
}

// The same file, with another size in its header.
static Bytes declaring(Bytes bytes, std::size_t at, std::initializer_list<int> size_bytes) {
    for (int b : size_bytes) bytes[at++] = std::byte(b);
    return bytes;
}

TEST_CASE("a hundred thousand pixels on a side are refused by a header of any kind") {
    const Bytes png = encode_png(pattern(9, 7));
    check_refused(declaring(png, 16, {0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0}), "not a photo limn can read");
    check_refused(declaring(png, 16, {0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 7}), "not a photo limn can read");
    check_refused(bmp(100000, 100000, {}), "is 100000x100000 pixels");
}

TEST_CASE("small files do not take the memory of large pictures") {
    // 1 MB of black unpacked, of a picture of 2x2 pixels
    const Bytes black = encode_png({1024, 1024, std::vector<std::uint8_t>(1024 * 1024 * 3)});
    CHECK(decode_image(black, "test").width == 1024);
    check_refused(declaring(black, 16, {0, 0, 0, 2, 0, 0, 0, 2}), "damaged or cut short (Out of memory)");

    // 600 bytes of JPEG cannot hold 268 million pixels
    const std::size_t frame = std::string_view(reinterpret_cast<const char*>(corners.data()), corners.size()).find("\xff\xc0");
    check_refused(declaring(bytes_of(corners), frame + 5, {0x40, 0, 0x40, 0}), "bytes cannot hold 16384x16384 pixels");
    check_refused(declaring(bytes_of(corners), frame + 5, {4, 0, 4, 1}), "bytes cannot hold 1025x1024 pixels");
    CHECK(decode_image(encode_jpeg({1100, 1100, std::vector<std::uint8_t>(1100 * 1100 * 3)}, 1), "test").width == 1100);
}

TEST_CASE("files: missing ones, directories and those without permission say so") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(read_image(folder / "no.jpg"), doctest::Contains("no.jpg: cannot be opened: No such file"), Error);
    CHECK_THROWS_WITH_AS(read_image(folder.path), doctest::Contains("is a directory"), Error);
    write_png(folder / "secret.png", pattern(3, 3));
    CHECK(read_image(folder / "secret.png").rgb == pattern(3, 3).rgb);
    if (geteuid() == 0) {
        MESSAGE("skipped: a file without permission (root may read everything)");
        return;
    }
    std::filesystem::permissions(folder / "secret.png", std::filesystem::perms::none);
    CHECK_THROWS_WITH_AS(read_image(folder / "secret.png"), doctest::Contains("Permission denied"), Error);
}

TEST_CASE("writing: a full disk is an Error, and so is a picture that is none") {
    CHECK_THROWS_AS(encode_png(Image{}), Error);
    CHECK_THROWS_AS(encode_png(Image{2, 2, {1, 2, 3}}), Error);
    CHECK_THROWS_AS(write_png("/no/such/folder/a.png", pattern(2, 2)), Error);
    if (std::filesystem::exists("/dev/full"))
        CHECK_THROWS_WITH_AS(write_png("/dev/full", pattern(40, 40)), doctest::Contains("No space left"), Error);
}

TEST_CASE("tensors: 0 to 255, in three channels or in Pillow's grey") {
    const Image image{1, 4, {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 200, 30}};
    const Tensor colour = to_tensor(image, 3), grey = to_tensor(image, 1);
    CHECK(colour.shape() == Shape{1, 4, 3});
    CHECK(std::equal(image.rgb.begin(), image.rgb.end(), colour.values().begin()));
    CHECK(same_bits(grey, Tensor::from({1, 4, 1}, std::array<float, 4>{76, 150, 29, 124})));  // Image.convert("L")
    CHECK_THROWS_AS(to_tensor(image, 4), Error);
}

TEST_CASE("a real photo has the size Pillow gives it") {
    if (!have_shared({"photos/cat.jpeg"})) return;
    const Image cat = read_image(shared_data("photos/cat.jpeg"));
    CHECK(cat.height == 217);
    CHECK(cat.width == 240);
}
