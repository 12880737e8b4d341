#include "view/image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "engine/file.h"
#include "view/jpeg.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif

// stb unpacks a PNG's pixels however many there are (up to 4 GB of a file of 4 MB): no block it asks for may be larger than this.
static thread_local std::size_t largest_block = 0;
// Zeros: where a damaged JPEG's data end too early, stb leaves pixels as they lie in memory.
static void* limited_malloc(std::size_t size) { return size <= largest_block ? std::calloc(size, 1) : nullptr; }
static void* limited_realloc(void* block, std::size_t size) { return size <= largest_block ? std::realloc(block, size) : nullptr; }
#define STBI_MALLOC limited_malloc
#define STBI_REALLOC limited_realloc
#define STBI_FREE std::free
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace limn {

namespace {

constexpr int longest_side = 16384;
constexpr std::int64_t small_image = 1 << 20;               // pixels
constexpr std::int64_t jpeg_pixels_per_byte = 64 * 8;       // an empty block of 8x8 takes a bit
constexpr std::size_t largest_file = std::size_t(1) << 30;  // a BMP of that side, and all that stb can count

using Bytes = std::span<const std::uint8_t>;

bool is_png(Bytes bytes) { return starts_with(bytes, "\x89PNG"); }
bool is_jpeg(Bytes bytes) { return starts_with(bytes, "\xff\xd8\xff"); }
bool is_bmp(Bytes bytes) { return starts_with(bytes, "BM"); }

// The beginning holds neither control characters nor bytes that UTF-8 never uses.
bool is_text(Bytes bytes) {
    return std::ranges::all_of(bytes.first(std::min<std::size_t>(bytes.size(), 64)),
                               [](std::uint8_t b) { return (b >= ' ' && b != 0x7f && b < 0xf8) || b == '\t' || b == '\n' || b == '\r'; });
}

// For the message about a file that stb refuses.
std::string_view kind_of(Bytes bytes) {
    using namespace std::string_view_literals;
    if (is_jpeg(bytes)) return "a JPEG that is damaged, cut short or of a rare kind";
    if (is_png(bytes)) return "a PNG that is damaged, cut short or of a rare kind";
    if (is_bmp(bytes)) return "a BMP that is damaged, cut short or of a rare kind";
    if (starts_with(bytes, "GIF8")) return "a GIF";
    if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return "a WebP";
    if (starts_with(bytes, "II*\0"sv) || starts_with(bytes, "MM\0*"sv)) return "a TIFF";
    if (starts_with(bytes, "ftyp", 4)) return "a HEIC, AVIF or video file";
    if (starts_with(bytes, "\x89HDF")) return "an HDF5 file";
    if (starts_with(bytes, "%PDF")) return "a PDF";
    return is_text(bytes) ? "text" : "no image";
}

// stb reads black where a BMP has ended; a whole one has its rows, each of a multiple of 4 bytes, where its header says.
bool bmp_is_whole(Bytes bmp, std::int64_t width, std::int64_t height) {
    const auto number = [&](std::size_t at, std::size_t count) {
        std::int64_t value = 0;
        for (std::size_t i = count; i-- > 0;) value = value << 8 | (at + i < bmp.size() ? bmp[at + i] : 0);
        return value;
    };
    constexpr std::int64_t os2_header = 12;
    const std::int64_t pixels_at = number(10, 4), bits = number(14, 4) == os2_header ? number(24, 2) : number(28, 2);
    return pixels_at + (width * bits + 31) / 32 * 4 * height <= std::int64_t(bmp.size());
}

// The eight orientations: rows and columns of the upright image in terms of the stored one.
Image upright(Image stored, int orientation) {
    if (orientation == 1) return stored;
    const bool turned = orientation >= 5;
    const Index h = turned ? stored.width : stored.height, w = turned ? stored.height : stored.width;
    Image out{h, w, std::vector<std::uint8_t>(stored.rgb.size())};
    for (Index r = 0; r < h; r++)
        for (Index c = 0; c < w; c++) {
            Index row = turned ? c : r, column = turned ? r : c;
            if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) column = stored.width - 1 - column;
            if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) row = stored.height - 1 - row;
            std::copy_n(stored.pixel(row, column), 3, out.pixel(r, c));
        }
    return out;
}

}  // namespace

Image decode_image(const std::vector<std::byte>& file, const std::string& name) {
    LIMN_CHECK(!file.empty(), "{}: is empty: a PNG, JPEG or BMP was expected", name);
    LIMN_CHECK(file.size() <= largest_file, "{}: {} bytes, more than the {} read here", name, file.size(), largest_file);
    const Bytes bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
    const JpegFacts jpeg = is_jpeg(bytes) ? read_jpeg_facts(bytes) : JpegFacts{.complete = true};
    LIMN_CHECK(jpeg.components != 4, "{}: is a CMYK JPEG: convert it to RGB", name);
    LIMN_CHECK(jpeg.complete, "{}: is a damaged or cut short JPEG, not a photo limn can read: get the file again", name);

    // stb takes looser first bytes for a JPEG, too; those have not been looked at above.
    const bool of_known_kind = is_png(bytes) || is_jpeg(bytes) || is_bmp(bytes);
    const int size = int(bytes.size());
    largest_block = std::size_t(1) << 20;
    int width = 0, height = 0, channels = 0;
    LIMN_CHECK(of_known_kind && stbi_info_from_memory(bytes.data(), size, &width, &height, &channels),
               "{}: is {}, not a photo limn can read: convert it to PNG or JPEG", name, kind_of(bytes));
    const std::int64_t w = width, h = std::abs(std::int64_t{height});  // a BMP's height is negative where its first row is the top
    LIMN_CHECK(w >= 2 && h >= 2, "{}: is {}x{} pixels: too small to explain, 2x2 is the least", name, w, h);
    LIMN_CHECK(w <= longest_side && h <= longest_side, "{}: is {}x{} pixels; at most {} on a side are read: make it smaller", name, w, h,
               longest_side);
    // stb fills what a JPEG does not hold with grey, in however many pixels
    LIMN_CHECK(!is_jpeg(bytes) || w * h <= small_image || w * h / jpeg_pixels_per_byte <= size,
               "{}: is a damaged or cut short JPEG: {} bytes cannot hold {}x{} pixels", name, size, w, h);
    LIMN_CHECK(!is_bmp(bytes) || bmp_is_whole(bytes, w, h), "{}: is a damaged or cut short BMP: get the file again", name);

    // pixels of four channels of 16 bits, in a buffer that doubles; the file's chunks, in another
    largest_block = std::size_t(w * h) * 16 + 2 * bytes.size() + (std::size_t(1) << 20);
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(stbi_load_from_memory(bytes.data(), size, &width, &height, &channels, 3),
                                                           stbi_image_free);
    LIMN_CHECK(pixels, "{}: is damaged or cut short ({})", name, stbi_failure_reason());
    return upright({h, w, {pixels.get(), pixels.get() + w * h * 3}}, jpeg.orientation);
}

Image read_image(const std::filesystem::path& path) { return decode_image(read_file(path, largest_file), path.string()); }

namespace {

void append(void* to, void* data, int size) {
    auto& out = *static_cast<std::vector<std::byte>*>(to);
    const auto* begin = static_cast<const std::byte*>(data);
    out.insert(out.end(), begin, begin + size);
}

// encode(bytes, width, height, pixels) by stb; 0 if it fails
template <class Encode> std::vector<std::byte> encoded(const Image& image, Encode encode) {
    std::vector<std::byte> bytes;
    LIMN_CHECK(image.height >= 1 && image.width >= 1 && Index(image.rgb.size()) == image.height * image.width * 3,
               "a picture of {}x{} pixels holds {} bytes, not 3 a pixel", image.width, image.height, image.rgb.size());
    LIMN_CHECK((image.width * 3 + 1) * image.height < Index(1) << 31, "a picture of {}x{} pixels is too large to be written", image.width,
               image.height);
    const int ok = encode(&bytes, int(image.width), int(image.height), image.rgb.data());
    LIMN_CHECK(ok && !bytes.empty(), "a picture of {}x{} pixels cannot be encoded", image.width, image.height);
    return bytes;
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image) {
    return encoded(image, [](void* to, int w, int h, const void* rgb) { return stbi_write_png_to_func(append, to, w, h, 3, rgb, w * 3); });
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
    return encoded(image,
                   [&](void* to, int w, int h, const void* rgb) { return stbi_write_jpg_to_func(append, to, w, h, 3, rgb, quality); });
}

void write_png(const std::filesystem::path& path, const Image& image) { write_file(path, encode_png(image)); }

Tensor to_tensor(const Image& image, int channels) {
    LIMN_CHECK(channels == 1 || channels == 3, "a photo has 1 or 3 channels, not {}", channels);
    Tensor tensor({image.height, image.width, channels});
    float* next = tensor.data();
    if (channels == 3) {
        std::copy(image.rgb.begin(), image.rgb.end(), next);
        return tensor;
    }
    for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
        const std::uint8_t* p = &image.rgb[i];
        *next++ = float((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
    }
    return tensor;
}

Tensor bytes_of(const Image& image) {
    Tensor t({image.height, image.width, 3}, DType::u8);
    std::ranges::copy(image.rgb, t.data<std::uint8_t>());
    return t;
}

Image image_of(const Tensor& bytes) {
    const auto values = bytes.values<std::uint8_t>();
    return {bytes.shape()[0], bytes.shape()[1], {values.begin(), values.end()}};
}

}  // namespace limn
