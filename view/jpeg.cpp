#include "view/jpeg.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

namespace limn {

namespace {

using Bytes = std::span<const std::uint8_t>;

// Numbers of either byte order; 0 beyond the end.
struct TiffReader {
    Bytes bytes;
    bool little;
    std::uint32_t u16(std::size_t at) const {
        if (bytes.size() < 2 || at > bytes.size() - 2) return 0;
        const std::uint32_t a = bytes[at], b = bytes[at + 1];
        return little ? b << 8 | a : a << 8 | b;
    }
    std::uint32_t u32(std::size_t at) const { return little ? u16(at + 2) << 16 | u16(at) : u16(at) << 16 | u16(at + 2); }
};

// Where the next marker's second byte stands, or the end. FF00 is a pixel byte, FF01 and FFD0-D7 stand among pixels,
// FFFF is filling; anything else before a marker is skipped, as libjpeg does.
std::size_t next_marker(Bytes jpeg, std::size_t at) {
    for (at++; at < jpeg.size(); at++) {
        const std::uint8_t code = jpeg[at];
        if (jpeg[at - 1] == 0xff && code > 0x01 && code != 0xff && (code < 0xd0 || code > 0xd7)) return at;
    }
    return jpeg.size();
}

// What a scan needs, and whether it has been given so far. stb 2.27 reads whatever lies in memory where it was not.
class Tables {
public:
    // A segment of tables, each: class (0: DC, 1: AC) and number, how many codes there are of 1 to 16 bits, their values. Is it sound?
    // stb 2.27 writes past its array of 256 codes where there are more.
    bool define_huffman(Bytes body) {
        constexpr std::size_t header = 17, most_codes = 256;
        while (!body.empty()) {
            if (body.size() < header) return false;
            const std::size_t codes = std::accumulate(body.begin() + 1, body.begin() + header, std::size_t{0});
            if (codes > most_codes || body.size() < header + codes || body[0] >> 4 > 1 || (body[0] & 15) > 3) return false;
            huffman_[body[0] >> 4][body[0] & 15] = true;
            body = body.subspan(header + codes);
        }
        return true;
    }
    // The same of quantization: bytes of a number less one, and the table's number; 64 numbers.
    bool define_quantization(Bytes body) {
        while (!body.empty()) {
            const std::size_t size = 1 + 64 * std::size_t(1 + (body[0] >> 4));
            if (body.size() < size || body[0] >> 4 > 1 || (body[0] & 15) > 3) return false;
            quantization_[body[0] & 15] = true;
            body = body.subspan(size);
        }
        return true;
    }
    // The frame's header ends with its components, each: name, sampling, quantization table.
    void frame(Bytes header, bool progressive) {
        const std::size_t first = 6, count = header.size() < first ? 0 : header[first - 1];
        components_ = header.size() < first + 3 * count ? Bytes() : header.subspan(first, 3 * count);
        progressive_ = progressive;
    }
    // A scan's header: how many components, of each its name and its two tables; first and last coefficient; which bits of them.
    bool serve(Bytes scan) {
        const std::size_t components = scan.empty() ? 0 : scan[0], end = 1 + 2 * components;
        if (scan.size() < end + 3) return false;
        const bool dc = !progressive_ || (scan[end] == 0 && scan[end + 2] >> 4 == 0), ac = !progressive_ || scan[end + 1] > 0;
        for (std::size_t i = 1; i < end; i += 2) {
            const int dc_table = scan[i + 1] >> 4, ac_table = scan[i + 1] & 15;
            if (dc_table > 3 || ac_table > 3 || (dc && !huffman_[0][dc_table]) || (ac && !huffman_[1][ac_table])) return false;
            std::size_t of_frame = 0;
            while (of_frame < components_.size() && components_[of_frame] != scan[i]) of_frame += 3;
            if (of_frame == components_.size()) return false;
            const int quantization = components_[of_frame + 2];
            if (quantization > 3 || !quantization_[quantization]) return false;
            if (dc) begun_.insert(scan[i]);
        }
        return true;
    }
    // Has every component had a scan of its own or with others?
    bool all_begun() const { return 3 * begun_.size() >= components_.size(); }

private:
    bool huffman_[2][4] = {}, quantization_[4] = {}, progressive_ = false;
    Bytes components_;
    std::set<std::uint8_t> begun_;
};

}  // namespace

bool starts_with(Bytes bytes, std::string_view text, std::size_t at) {
    return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// EXIF 2.32, 4.5 and 4.6: byte order, 42, where the first directory is; it holds entries of (tag, type, count, value).
int exif_orientation(Bytes tiff) {
    constexpr std::uint32_t orientation_tag = 0x0112, short_type = 3, entry_size = 12;
    if (!starts_with(tiff, "II") && !starts_with(tiff, "MM")) return 1;
    const TiffReader exif{tiff, tiff[0] == 'I'};
    if (exif.u16(2) != 42) return 1;
    const std::size_t directory = exif.u32(4), entries = exif.u16(directory);
    for (std::size_t i = 0; i < entries; i++) {
        const std::size_t entry = directory + 2 + entry_size * i;
        if (exif.u16(entry) != orientation_tag) continue;
        const std::uint32_t value = exif.u16(entry + 8);
        const bool valid = exif.u16(entry + 2) == short_type && exif.u32(entry + 4) == 1 && value >= 1 && value <= 8;
        return valid ? static_cast<int>(value) : 1;
    }
    return 1;
}

JpegFacts read_jpeg_facts(Bytes jpeg) {
    constexpr std::uint8_t end_of_image = 0xd9, start_of_scan = 0xda, huffman = 0xc4, quantization = 0xdb, app1 = 0xe1;
    constexpr std::string_view exif_name("Exif\0\0", 6);
    JpegFacts facts;
    Tables tables;
    bool scanned = false, has_exif = false;
    for (std::size_t at = next_marker(jpeg, 2); at < jpeg.size(); at = next_marker(jpeg, at)) {
        const std::uint8_t marker = jpeg[at++];
        if (marker == end_of_image) {
            facts.complete = scanned && tables.all_begun();
            break;
        }
        if (jpeg.size() - at < 2) break;
        const std::size_t length = std::size_t(jpeg[at]) << 8 | jpeg[at + 1];
        if (length < 2 || length > jpeg.size() - at) break;
        const Bytes body = jpeg.subspan(at + 2, length - 2);
        if (marker == huffman && !tables.define_huffman(body)) break;
        if (marker == quantization && !tables.define_quantization(body)) break;
        if (marker == start_of_scan && !tables.serve(body)) break;
        const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != huffman && marker != 0xc8 && marker != 0xcc;
        if (frame && body.size() >= 6) facts.components = body[5];
        if (frame) tables.frame(body, marker == 0xc2);
        if (marker == app1 && starts_with(body, exif_name) && !std::exchange(has_exif, true))  // further ones hold the rest of long data
            facts.orientation = exif_orientation(body.subspan(exif_name.size()));
        scanned = scanned || marker == start_of_scan;
        at += length;
    }
    return facts;
}

}  // namespace limn
