#include "view/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/file.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
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

// What limn needs to know about a JPEG besides its pixels.
struct JpegFacts {
    int components = 3, orientation = 1;
};

// Reads numbers of either byte order, and 0 beyond the end.
struct ExifReader {
    const std::uint8_t* data;
    std::size_t size;
    bool little;
    std::uint32_t u16(std::size_t at) const {
        if (at + 2 > size) return 0;
        return little ? data[at] | data[at + 1] << 8 : data[at] << 8 | data[at + 1];
    }
    std::uint32_t u32(std::size_t at) const { return little ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2); }
};

// The tag 0x0112 of the first directory of a TIFF block (EXIF 2.32, 4.6.4); 1 (upright) if there is none.
int exif_orientation(const std::uint8_t* tiff, std::size_t size) {
    if (size < 8 || (std::memcmp(tiff, "II", 2) != 0 && std::memcmp(tiff, "MM", 2) != 0)) return 1;
    const ExifReader exif{tiff, size, tiff[0] == 'I'};
    const std::size_t directory = exif.u32(4), entries = exif.u16(directory);
    for (std::size_t i = 0; i < entries; i++) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (entry + 12 > size) break;
        if (exif.u16(entry) == 0x0112) {
            const int value = int(exif.u16(entry + 8));
            return value >= 1 && value <= 8 ? value : 1;
        }
    }
    return 1;
}

JpegFacts jpeg_facts(const std::uint8_t* data, std::size_t size) {
    JpegFacts facts;
    for (std::size_t at = 2; at + 4 <= size && data[at] == 0xff;) {
        const int marker = data[at + 1];
        if (marker == 0xff) {                              // fill byte
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) break;       // the compressed pixels begin
        const std::size_t length = std::size_t(data[at + 2]) << 8 | data[at + 3];
        if (length < 2 || at + 2 + length > size) break;
        const std::uint8_t* body = data + at + 4;
        if (marker == 0xe1 && length >= 8 && std::memcmp(body, "Exif\0\0", 6) == 0) facts.orientation = exif_orientation(body + 6, length - 8);
        const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame && length >= 8) facts.components = body[5];
        at += 2 + length;
    }
    return facts;
}

// stb decodes what there is of a JPEG and leaves the rest grey; a whole one holds the end marker after its pixels.
bool jpeg_ends(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = size; at-- > 1;)
        if (data[at - 1] == 0xff && data[at] == 0xd9) return true;
    return false;
}

std::string kind_of(const std::uint8_t* data, std::size_t size) {
    const auto starts = [&](const char* magic, std::size_t n, std::size_t at = 0) { return size >= at + n && std::memcmp(data + at, magic, n) == 0; };
    if (starts("GIF8", 4)) return "a GIF";
    if (starts("RIFF", 4) && starts("WEBP", 4, 8)) return "a WebP";
    if (starts("II*\0", 4) || starts("MM\0*", 4)) return "a TIFF";
    if (starts("ftyp", 4, 4)) return "a HEIC, AVIF or video file";
    if (starts("\x89HDF", 4)) return "an HDF5 file";
    if (starts("%PDF", 4)) return "a PDF";
    return "no image";
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

Image decode_image(const std::vector<std::byte>& bytes, const std::string& name) {
    LIMN_CHECK(!bytes.empty(), "{}: the file is empty", name);
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const int size = int(bytes.size());
    int width = 0, height = 0, channels = 0;
    LIMN_CHECK(stbi_info_from_memory(data, size, &width, &height, &channels), "{}: is {}, not a photo limn can read: convert it to JPEG or PNG", name, kind_of(data, bytes.size()));
    LIMN_CHECK(width <= longest_side && height <= longest_side, "{}: is {}x{} pixels; at most {} on a side are read: make it smaller", name, width, height, longest_side);
    LIMN_CHECK(width >= 2 && height >= 2, "{}: is {}x{} pixels: too small to explain", name, width, height);
    JpegFacts facts;
    if (data[0] == 0xff && data[1] == 0xd8) {
        facts = jpeg_facts(data, bytes.size());
        LIMN_CHECK(facts.components != 4, "{}: is a CMYK JPEG: convert it to RGB", name);
        LIMN_CHECK(jpeg_ends(data, bytes.size()), "{}: is damaged or cut short (a JPEG without its end)", name);
    }
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(stbi_load_from_memory(data, size, &width, &height, &channels, 3), stbi_image_free);
    LIMN_CHECK(pixels, "{}: is damaged or cut short ({})", name, stbi_failure_reason() ? stbi_failure_reason() : "no reason given");
    Image image{height, width, {pixels.get(), pixels.get() + std::size_t(width) * std::size_t(height) * 3}};
    return upright(std::move(image), facts.orientation);
}

Image read_image(const std::filesystem::path& path) { return decode_image(read_file(path, std::size_t(1) << 30), path.string()); }

std::vector<std::byte> encode_png(const Image& image) {
    std::vector<std::byte> bytes;
    const auto append = [](void* to, void* data, int size) {
        auto& out = *static_cast<std::vector<std::byte>*>(to);
        const auto* begin = static_cast<const std::byte*>(data);
        out.insert(out.end(), begin, begin + size);
    };
    const int ok = stbi_write_png_to_func(append, &bytes, int(image.width), int(image.height), 3, image.rgb.data(), int(image.width * 3));
    LIMN_CHECK(ok && !bytes.empty(), "a picture of {}x{} pixels cannot be encoded", image.width, image.height);
    return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) { write_file(path, encode_png(image)); }

namespace {

// What one new pixel takes from the old ones along an axis.
struct Weights {
    Index first;
    std::vector<double> factors;
};

std::vector<Weights> triangle(Index from, Index to) {
    const double scale = double(from) / double(to), support = std::max(1.0, scale);
    std::vector<Weights> all;
    for (Index i = 0; i < to; i++) {
        const double centre = (double(i) + 0.5) * scale;
        const Index first = std::max<Index>(0, Index(centre - support + 0.5)), last = std::min(from, Index(centre + support + 0.5));
        Weights w{first, {}};
        double sum = 0;
        for (Index j = first; j < last; j++) {
            w.factors.push_back(std::max(0.0, 1 - std::abs((double(j) - centre + 0.5) / support)));
            sum += w.factors.back();
        }
        for (double& f : w.factors) f /= sum;
        all.push_back(std::move(w));
    }
    return all;
}

// The old pixel under the centre of each new one. The position is summed up, not multiplied, because Pillow does so: where
// a centre falls on a border, the rounding decides, and one column can move a network's scores by a per cent.
std::vector<Index> nearest(Index from, Index to) {
    const double scale = double(from) / double(to);
    double position = 0.5 * scale;
    std::vector<Index> all;
    for (Index i = 0; i < to; i++, position += scale) all.push_back(std::min(from - 1, Index(position)));
    return all;
}

std::uint8_t rounded(double v) { return static_cast<std::uint8_t>(std::clamp(v + 0.5, 0.0, 255.0)); }

}  // namespace

Image resize(const Image& image, Index height, Index width, Resampling resampling) {
    Image out{height, width, std::vector<std::uint8_t>(std::size_t(height * width * 3))};
    if (resampling == Resampling::nearest) {
        const std::vector<Index> rows = nearest(image.height, height), columns = nearest(image.width, width);
        for (Index r = 0; r < height; r++)
            for (Index c = 0; c < width; c++) std::copy_n(image.pixel(rows[std::size_t(r)], columns[std::size_t(c)]), 3, out.pixel(r, c));
        return out;
    }
    // first along the rows, then along the columns, rounded to 8 bits in between
    const std::vector<Weights> across = triangle(image.width, width), down = triangle(image.height, height);
    Image wide{image.height, width, std::vector<std::uint8_t>(std::size_t(image.height * width * 3))};
    for (Index r = 0; r < image.height; r++)
        for (Index c = 0; c < width; c++)
            for (int channel = 0; channel < 3; channel++) {
                const Weights& w = across[std::size_t(c)];
                double sum = 0;
                for (std::size_t j = 0; j < w.factors.size(); j++) sum += w.factors[j] * image.pixel(r, w.first + Index(j))[channel];
                wide.pixel(r, c)[channel] = rounded(sum);
            }
    for (Index r = 0; r < height; r++)
        for (Index c = 0; c < width; c++)
            for (int channel = 0; channel < 3; channel++) {
                const Weights& w = down[std::size_t(r)];
                double sum = 0;
                for (std::size_t j = 0; j < w.factors.size(); j++) sum += w.factors[j] * wide.pixel(w.first + Index(j), c)[channel];
                out.pixel(r, c)[channel] = rounded(sum);
            }
    return out;
}

Tensor to_tensor(const Image& image, int channels) {
    Tensor t({image.height, image.width, channels});
    for (Index i = 0; i < image.height * image.width; i++) {
        const std::uint8_t* p = image.rgb.data() + i * 3;
        if (channels == 1) t.data()[i] = float((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
        else
            for (int c = 0; c < 3; c++) t.data()[i * 3 + c] = float(p[c]);
    }
    return t;
}

}  // namespace limn
