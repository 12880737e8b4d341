#include "weights/npy.h"

#include <charconv>
#include <cstring>

#include "engine/file.h"

namespace limn {

namespace {

// The text after 'key': in the header's Python dictionary.
std::string_view after_key(std::string_view header, std::string_view key, const std::string& file) {
    const auto at = header.find("'" + std::string(key) + "'");
    const auto colon = at == std::string_view::npos ? at : header.find(':', at);
    LIMN_CHECK(colon != std::string_view::npos, "{}: its .npy header has no '{}'", file, key);
    const auto start = header.find_first_not_of(' ', colon + 1);
    LIMN_CHECK(start != std::string_view::npos, "{}: its .npy header is cut short", file);
    return header.substr(start);
}

Shape parse_shape(std::string_view text, const std::string& file) {
    const auto close = text.find(')');
    LIMN_CHECK(text.starts_with("(") && close != std::string_view::npos, "{}: its .npy header has no shape", file);
    std::vector<Index> sizes;
    for (const char *p = text.data() + 1, *end = text.data() + close; p < end;) {
        if (*p == ' ' || *p == ',') {
            p++;
            continue;
        }
        Index size = 0;
        const auto [next, error] = std::from_chars(p, end, size);
        LIMN_CHECK(error == std::errc() && size >= 0, "{}: its .npy shape is not a list of sizes", file);
        sizes.push_back(size);
        p = next;
    }
    LIMN_CHECK(sizes.size() <= Shape::max_rank, "{}: has {} axes, limn knows at most {}", file, sizes.size(), int(Shape::max_rank));
    return Shape(std::span<const Index>(sizes));
}

template <class T> Tensor converted(const Shape& shape, const std::byte* bytes) {
    Tensor out(shape);
    for (Index i = 0; i < out.size(); i++) {
        T value;
        std::memcpy(&value, bytes + std::size_t(i) * sizeof(T), sizeof(T));
        out.data()[i] = static_cast<float>(value);
    }
    return out;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
    const std::string file = path.string();
    const std::vector<std::byte> bytes = read_file(path, std::size_t(16) << 30);
    const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
    LIMN_CHECK(bytes.size() >= 12 && std::memcmp(bytes.data(), "\x93NUMPY", 6) == 0, "{}: is not a .npy file (numpy.save writes them)",
               file);
    LIMN_CHECK(byte(6) >= 1 && byte(6) <= 3, "{}: is of .npy version {}, limn knows 1 to 3", file, byte(6));
    const bool old = byte(6) == 1;
    const std::size_t start = old ? 10 : 12,
                      length = old ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
    LIMN_CHECK(length <= bytes.size() - start, "{}: its .npy header is cut short", file);
    std::string_view header(reinterpret_cast<const char*>(bytes.data()) + start, length);
    header = header.substr(0, header.find('\n'));  // it is one line, and so are messages that quote it

    const std::string_view descr = after_key(header, "descr", file);
    LIMN_CHECK(descr.size() > 4 && descr[0] == '\'', "{}: its number type is a structure; float32 or int32 was expected", file);
    const std::string type(descr.substr(1, descr.find('\'', 1) - 1));
    LIMN_CHECK(after_key(header, "fortran_order", file).starts_with("False"),
               "{}: is stored in Fortran order: save numpy.ascontiguousarray(x)", file);
    const Shape shape = parse_shape(after_key(header, "shape", file), file);

    const std::size_t size = type == "<f4" || type == "<i4" ? 4 : type == "<f8" || type == "<i8" ? 8 : type == "|u1" ? 1 : 0;
    LIMN_CHECK(size, "{}: its number type is '{}'; float32 or int32 was expected (x.astype('float32'))", file, type);
    const Index count = shape.size();
    LIMN_CHECK(count >= 0 && std::size_t(count) == (bytes.size() - start - length) / size && (bytes.size() - start - length) % size == 0,
               "{}: its shape {} does not fit its {} bytes: it is cut short or damaged", file, shape.str(), bytes.size() - start - length);
    const std::byte* data = bytes.data() + start + length;
    if (type == "<f4") return converted<float>(shape, data);
    if (type == "<f8") return converted<double>(shape, data);
    if (type == "<i4") return converted<std::int32_t>(shape, data);
    if (type == "<i8") return converted<std::int64_t>(shape, data);
    return converted<std::uint8_t>(shape, data);
}

void write_npy(const std::filesystem::path& path, const Tensor& any) {
    const Tensor values = any.host();
    std::string sizes;
    for (Index s : values.shape()) sizes += std::to_string(s) + ",";
    if (values.shape().rank() > 1) sizes.pop_back();
    std::string header =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", values.dtype() == DType::f32 ? "<f4" : "<f8", sizes);
    header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
    header += '\n';
    std::string text("\x93NUMPY\x01\x00", 8);
    text += char(header.size() & 255);
    text += char(header.size() >> 8);
    text += header;
    with_type(values.dtype(), [&](auto zero) {
        using T = decltype(zero);
        text.append(reinterpret_cast<const char*>(values.data<T>()), std::size_t(values.size()) * sizeof(T));
    });
    write_file(path, text);
}

}  // namespace limn
