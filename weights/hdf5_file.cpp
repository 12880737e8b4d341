#include "weights/hdf5_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/memory.h"
#include "weights/file_kind.h"
#include "weights/hdf5_objects.h"

namespace limn {

namespace {

constexpr std::size_t longest_text = std::size_t(64) << 20;
constexpr hssize_t longest_list = 1 << 16;
constexpr std::size_t most_links = 1 << 15;  // listed in all: who walks through groups that contain themselves comes to an end
constexpr std::size_t deepest_path = 64;
constexpr int highest_rank = 5;
constexpr hsize_t suspicious_bytes = hsize_t(4) << 30;  // Keras's own limits: larger than this and more than
constexpr hsize_t suspicious_ratio = 1000;              // so many times what is stored

// Refuses what read_file() would refuse, and what is no HDF5 file at all.
void check_file(const std::filesystem::path& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    LIMN_CHECK(fd >= 0, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
    struct stat info {};
    const bool known = fstat(fd, &info) == 0;
    std::string head(file_kind_head, 0);
    const ssize_t n = known && S_ISREG(info.st_mode) ? pread(fd, head.data(), head.size(), 0) : 0;
    close(fd);
    const auto seems = [](const std::string& kind) { return kind.empty() ? "" : ", it looks like " + kind; };
    LIMN_CHECK(known && !S_ISDIR(info.st_mode), "{}: is a directory, an HDF5 file was expected{}", path.string(), seems(folder_kind(path)));
    LIMN_CHECK(S_ISREG(info.st_mode), "{}: is not a regular file", path.string());
    LIMN_CHECK(info.st_size > 0, "{}: the file is empty", path.string());
    head.resize(std::size_t(std::max<ssize_t>(0, n)));
    LIMN_CHECK(head.starts_with("\x89HDF") || H5Fis_hdf5(path.c_str()) > 0, "{}: is not an HDF5 file{}", path.string(),
               seems(file_kind(head)));
}

}  // namespace

Hdf5File::Hdf5File(const std::filesystem::path& path) : path_(path) {
    const Quiet quiet;
    check_file(path);
    const Handle<H5Pclose> plain_file(H5Pcreate(H5P_FILE_ACCESS));
    LIMN_CHECK(plain_file.valid() && H5Pset_fapl_sec2(plain_file) >= 0, "{}: cannot be opened{}", path.string(), reason());
    file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, plain_file);
    LIMN_CHECK(file_ >= 0, "{}: is damaged or cut short{}", path.string(), reason());
}

// HDF5 would copy the image twice; these hand it our own memory instead, which it only reads.
struct SharedImage {
    void* bytes;
    static void* take(size_t, H5FD_file_image_op_t, void* self) { return static_cast<SharedImage*>(self)->bytes; }
    static void* copy(void* to, const void*, size_t, H5FD_file_image_op_t, void*) { return to; }
    static void* resize(void*, size_t, H5FD_file_image_op_t, void*) { return nullptr; }
    static herr_t drop(void*, H5FD_file_image_op_t, void*) { return 0; }
    static void* same(void* self) { return self; }
    static herr_t keep(void*) { return 0; }
};

Hdf5File::Hdf5File(const std::filesystem::path& path, std::vector<std::byte> image) : path_(path) {
    const Quiet quiet;
    const auto bytes = std::make_shared<std::vector<std::byte>>(std::move(image));
    LIMN_CHECK(!bytes->empty(), "{}: is empty", path.string());
    SharedImage shared{bytes->data()};
    H5FD_file_image_callbacks_t callbacks{
        SharedImage::take, SharedImage::copy, SharedImage::resize, SharedImage::drop, SharedImage::same, SharedImage::keep, &shared};
    const Handle<H5Pclose> in_memory(H5Pcreate(H5P_FILE_ACCESS));
    LIMN_CHECK(in_memory.valid() && H5Pset_fapl_core(in_memory, 1 << 20, false) >= 0 &&
                   H5Pset_file_image_callbacks(in_memory, &callbacks) >= 0 &&
                   H5Pset_file_image(in_memory, bytes->data(), bytes->size()) >= 0,
               "{}: cannot be opened{}", path.string(), reason());
    file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, in_memory);
    LIMN_CHECK(file_ >= 0, "{}: is no HDF5 file, or damaged{}", path.string(), reason());
    mapping_ = std::shared_ptr<const void>(bytes, bytes->data());
    mapped_bytes_ = bytes->size();
}

Hdf5File::~Hdf5File() {
    const Quiet quiet;
    if (file_ >= 0) H5Fclose(file_);
}

std::string_view Hdf5File::bytes() const {
    if (!mapping_) {
        void* fd = nullptr;  // of the file HDF5 has open: the name may mean another one by now
        struct stat info {};
        const bool known = H5Fget_vfd_handle(file_, H5P_DEFAULT, &fd) >= 0 && fstat(*static_cast<int*>(fd), &info) == 0;
        if (known) mapping_ = map_file(*static_cast<int*>(fd), std::size_t(info.st_size));
        LIMN_CHECK(mapping_, "{}: cannot be mapped: {}", path_.string(), std::strerror(errno));
        mapped_bytes_ = std::size_t(info.st_size);
    }
    return {static_cast<const char*>(mapping_.get()), mapped_bytes_};
}

// ---- groups

// Every step of the path must be a plain ("hard") link: soft and external ones can lead anywhere.
Hdf5File::Kind Hdf5File::kind_at(const std::string& path) const {
    const std::vector<std::string> steps = steps_of(path);
    LIMN_CHECK(steps.size() <= deepest_path, "{}: '{}' lies more than {} groups deep: refused", path_.string(), shown(path), deepest_path);
    Kind kind = Kind::group;
    std::string part;
    for (const std::string& step : steps) {
        if (kind != Kind::group) return Kind::nothing;
        part += "/" + step;
        const std::string what = fmt::format("{}: '{}'", path_.string(), shown(part));
        const htri_t exists = checked(H5Lexists(file_, part.c_str(), H5P_DEFAULT), what);
        if (!exists) return Kind::nothing;
        H5L_info_t info;
        checked(H5Lget_info(file_, part.c_str(), &info, H5P_DEFAULT), what);
        LIMN_CHECK(info.type == H5L_TYPE_HARD, "{} is a link to somewhere else: refused", what);
        const Handle<H5Oclose> object(checked(H5Oopen(file_, part.c_str(), H5P_DEFAULT), what));
        kind = H5Iget_type(object) == H5I_GROUP ? Kind::group : Kind::other;
    }
    return kind;
}

bool Hdf5File::has(const std::string& path) const {
    const Quiet quiet;
    return kind_at(path) != Kind::nothing;
}

bool Hdf5File::is_group(const std::string& path) const {
    const Quiet quiet;
    return kind_at(path) == Kind::group;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
    const Quiet quiet;
    LIMN_CHECK(is_group(group), "{}: there is no group '{}'", path_.string(), shown(group));
    const std::string what = fmt::format("{}: group '{}'", path_.string(), shown(group));
    const Handle<H5Gclose> g(checked(H5Gopen2(file_, group.c_str(), H5P_DEFAULT), what));
    std::vector<std::string> names;
    const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
        auto& list = *static_cast<std::vector<std::string>*>(out);
        list.emplace_back(name);
        return list.size() < most_links ? 0 : -1;
    };
    const herr_t done = H5Literate(g, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
    listed_links_ += names.size();
    LIMN_CHECK(listed_links_ < most_links, "{}: lists more than {} objects, or groups that contain themselves: refused", what, most_links);
    checked(done, what);
    return names;
}

// ---- attributes

bool Hdf5File::has_plain_attribute(const std::string& group, const std::string& name) const {
    if (kind_at(group) != Kind::group) return false;
    const std::string what = fmt::format("{}: '{}'", path_.string(), shown(group));
    return checked(H5Aexists_by_name(file_, group.c_str(), name.c_str(), H5P_DEFAULT), what) > 0;
}

bool Hdf5File::has_attribute(const std::string& group, const std::string& name) const {
    const Quiet quiet;
    return has_plain_attribute(group, name) || has_plain_attribute(group, name + "0");
}

namespace {

struct Attribute {
    std::string what;  // for messages
    Handle<H5Aclose> id;
    Handle<H5Sclose> space;
    Handle<H5Tclose> type;
    hssize_t count;
    std::size_t each;  // bytes of an element as stored

    Attribute(hid_t file, const std::filesystem::path& where, const std::string& group, const std::string& name)
        : what(fmt::format("{}: the attribute '{}' of '{}'", where.string(), shown(name), shown(group))),
          id(checked(H5Aopen_by_name(file, group.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), what)),
          space(checked(H5Aget_space(id), what)), type(checked(H5Aget_type(id), what)), count(H5Sget_simple_extent_npoints(space)) {
        const hsize_t stored = H5Aget_storage_size(id);
        LIMN_CHECK(count >= 0, "{} cannot be read, the file is damaged{}", what, reason());
        LIMN_CHECK(count <= longest_list && stored <= longest_text, "{} is too large ({} elements, {} bytes)", what, count, stored);
        each = count ? std::size_t(stored) / std::size_t(count) : 0;
    }
};

// HDF5 1.10 follows the references of a list of strings into the file's heaps without a check: damaged ones make it read
// and write anywhere. Therefore it only hands the references over, by a "conversion" that changes nothing.
herr_t hand_over(hid_t, hid_t, H5T_cdata_t* conversion, std::size_t, std::size_t, std::size_t, void*, void*, hid_t) {
    conversion->need_bkg = H5T_BKG_NO;
    return 0;
}

bool read_references(const Attribute& a, char* out) {
    const Handle<H5Tclose> raw(H5Tcreate(H5T_OPAQUE, a.each));
    const bool known = raw.valid() && H5Tregister(H5T_PERS_SOFT, "as stored", a.type, raw, hand_over) >= 0;
    const bool done = known && H5Aread(a.id, raw, out) >= 0;
    if (known) H5Tunregister(H5T_PERS_DONTCARE, nullptr, -1, -1, hand_over);
    return done;
}

// A little-endian number of as many bytes as the text has (at most 8).
std::uint64_t number(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); i++) value |= std::uint64_t(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
}

}  // namespace

// The text a reference leads to. A reference is its length (4 bytes), the place of a heap and a number in it (4);
// a heap is a header and numbered objects, each with a header of its own, all padded to 8 bytes.
// HDF5 File Format Specification 3.0, III.E "Global Heap".
std::string_view Hdf5File::referenced_text(std::string_view reference, const std::string& what) const {
    const auto need = [&](bool good) {
        LIMN_CHECK(good, "{} cannot be read, the file is damaged: its text is not where it should be", what);
    };
    const auto part = [&](std::string_view from, std::uint64_t at, std::uint64_t size) {
        need(at <= from.size() && size <= from.size() - at);
        return from.substr(at, size);
    };
    const auto padded = [](std::uint64_t size) { return (size + 7) / 8 * 8; };
    const Handle<H5Pclose> creation(checked(H5Fget_create_plist(file_), what));
    std::size_t address_size = 0, length_size = 0;
    hsize_t base = 0;
    checked(H5Pget_sizes(creation, &address_size, &length_size), what);
    checked(H5Pget_userblock(creation, &base), what);
    need(address_size <= 8 && length_size <= 8 && reference.size() == 8 + address_size);

    const std::uint64_t length = number(reference.substr(0, 4)), place = base + number(reference.substr(4, address_size));
    const std::uint64_t wanted = number(reference.substr(4 + address_size)), header = padded(8 + length_size);
    if (length == 0) return {};
    const std::string_view head = part(bytes(), place, header);
    need(head.starts_with("GCOL"));
    const std::string_view heap = part(bytes(), place, number(head.substr(8, length_size)));
    std::uint64_t at = header;
    for (int objects = 0; objects < 1 << 16; objects++) {  // as many as there are numbers
        const std::string_view object = part(heap, at, header);
        const std::uint64_t index = number(object.substr(0, 2)), size = number(object.substr(8, length_size));
        need(index != 0 && size <= heap.size());  // 0: the free space at the end
        at += header;
        if (index == wanted) {
            need(length <= size);
            return part(heap, at, length);
        }
        at += padded(size);
    }
    need(false);
    return {};
}

// The strings of one attribute, of fixed or variable length.
std::vector<std::string> Hdf5File::texts_of_one(const std::string& group, const std::string& name) const {
    const Attribute a(file_, path_, group, name);
    if (a.count == 0) return {};  // an empty list may have any type
    LIMN_CHECK(H5Tget_class(a.type) == H5T_STRING, "{} should be text", a.what);
    const bool variable = checked(H5Tis_variable_str(a.type), a.what) > 0;
    LIMN_CHECK(a.each > 0 && (variable || a.each == H5Tget_size(a.type)), "{} cannot be read, the file is damaged", a.what);
    std::string stored(a.each * std::size_t(a.count), '\0');
    const bool done = variable ? read_references(a, stored.data()) : H5Aread(a.id, a.type, stored.data()) >= 0;
    LIMN_CHECK(done, "{} cannot be read, the file is damaged{}", a.what, reason());

    std::vector<std::string> out;
    std::size_t total = 0;
    for (std::size_t at = 0; at < stored.size(); at += a.each) {
        std::string_view piece = std::string_view(stored).substr(at, a.each);
        if (variable) piece = referenced_text(piece, a.what);
        piece = piece.substr(0, piece.find('\0'));
        if (H5Tget_strpad(a.type) == H5T_STR_SPACEPAD) piece = piece.substr(0, piece.find_last_not_of(' ') + 1);
        total += piece.size();
        LIMN_CHECK(total <= longest_text, "{} is too large (more than {} MB)", a.what, longest_text >> 20);
        out.emplace_back(piece);
    }
    return out;
}

std::string Hdf5File::text(const std::string& group, const std::string& name) const {
    const std::vector<std::string> parts = texts(group, name);
    LIMN_CHECK(parts.size() == 1, "{}: the attribute '{}' of '{}' should be one text", path_.string(), shown(name), shown(group));
    return parts[0];
}

std::vector<std::string> Hdf5File::texts(const std::string& group, const std::string& name) const {
    const Quiet quiet;
    LIMN_CHECK(has_attribute(group, name), "{}: '{}' has no attribute '{}'", path_.string(), shown(group), shown(name));
    if (has_plain_attribute(group, name)) return texts_of_one(group, name);
    std::vector<std::string> all;  // lists longer than an object header are split: name0, name1...
    for (int i = 0; has_plain_attribute(group, name + std::to_string(i)); i++)
        for (std::string& part : texts_of_one(group, name + std::to_string(i))) all.push_back(std::move(part));
    return all;
}

std::optional<std::vector<double>> Hdf5File::numbers(const std::string& group, const std::string& name) const {
    const Quiet quiet;
    if (!has_plain_attribute(group, name)) return std::nullopt;
    const Attribute a(file_, path_, group, name);
    const H5T_class_t kind = H5Tget_class(a.type);
    LIMN_CHECK(kind == H5T_FLOAT || kind == H5T_INTEGER, "{} should be numbers", a.what);
    std::vector<double> out(std::size_t(a.count));
    if (a.count > 0) checked(H5Aread(a.id, H5T_NATIVE_DOUBLE, out.data()), a.what);
    return out;
}

// ---- arrays

namespace {

// Only numbers: text and other kinds would lead HDF5 along references again. bfloat16 is two opaque bytes, see read().
Handle<H5Tclose> number_type(hid_t dataset, const std::string& what) {
    Handle<H5Tclose> type(checked(H5Dget_type(dataset), what));
    const H5T_class_t kind = H5Tget_class(type);
    const std::size_t size = H5Tget_size(type);
    const bool numbers = (kind == H5T_FLOAT || kind == H5T_INTEGER) && size <= 16;
    LIMN_CHECK(numbers || (kind == H5T_OPAQUE && size == 2), "{} does not hold numbers", what);
    return type;
}

// Before its space is asked for: for that HDF5 may open the files a virtual dataset is made of.
Handle<H5Pclose> harmless_storage(hid_t dataset, const std::string& what) {
    Handle<H5Pclose> creation(checked(H5Dget_create_plist(dataset), what));
    LIMN_CHECK(H5Pget_layout(creation) != H5D_VIRTUAL, "{} is a virtual dataset: refused", what);
    LIMN_CHECK(H5Pget_external_count(creation) == 0, "{} is stored outside the file: refused", what);
    for (int i = 0; i < H5Pget_nfilters(creation); i++) {
        char name[64] = "";
        unsigned flags = 0, settings = 0;
        std::size_t none = 0;
        const H5Z_filter_t filter = H5Pget_filter2(creation, unsigned(i), &flags, &none, nullptr, sizeof name, name, &settings);
        LIMN_CHECK(filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32,
                   "{} is compressed with '{}', limn reads gzip: save it again without compression", what,
                   *name ? shown(name) : std::to_string(filter));
    }
    return creation;
}

// An array that was opened and found harmless.
struct Array {
    std::string what;  // for messages
    Handle<H5Dclose> id;
    Handle<H5Tclose> type;
    Handle<H5Pclose> creation;
    Handle<H5Sclose> space;
    Shape shape;

    Array(hid_t file, const std::filesystem::path& where, const std::string& name)
        : what(fmt::format("{}: the array '{}'", where.string(), shown(name))),
          id(checked(H5Dopen2(file, name.c_str(), H5P_DEFAULT), what)), type(number_type(id, what)), creation(harmless_storage(id, what)),
          space(checked(H5Dget_space(id), what)) {
        const int rank = H5Sget_simple_extent_ndims(space);
        LIMN_CHECK(rank >= 0 && rank <= highest_rank, "{} has {} axes, at most {} were expected", what, rank, highest_rank);
        hsize_t sizes[highest_rank] = {}, declared = std::max<hsize_t>(sizeof(float), H5Tget_size(type));
        checked(H5Sget_simple_extent_dims(space, sizes, nullptr), what);
        for (int i = 0; i < rank; i++) {
            const bool overflow = __builtin_mul_overflow(declared, std::max<hsize_t>(1, sizes[i]), &declared);
            LIMN_CHECK(!overflow && declared < hsize_t(1) << 50, "{} is impossibly large", what);
        }
        const hsize_t stored = H5Dget_storage_size(id);
        LIMN_CHECK(declared <= suspicious_bytes || declared / suspicious_ratio <= stored, "{} declares {} GB but stores {} bytes: refused",
                   what, declared >> 30, stored);
        const std::vector<Index> axes(sizes, sizes + rank);
        shape = Shape(axes);
    }

    // Where the numbers lie in the file, if they lie there as limn needs them: in one piece, unfiltered, float32 of this machine.
    std::optional<std::uint64_t> place() const {
        const bool plain =
            H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_nfilters(creation) == 0 && H5Tequal(type, H5T_NATIVE_FLOAT) > 0;
        if (!plain) return std::nullopt;
        const haddr_t offset = H5Dget_offset(id);
        if (offset == HADDR_UNDEF || offset % alignof(float) != 0 || shape.size() == 0) return std::nullopt;
        return offset;
    }
};

// HDF5 could widen by itself, at 30 ns a number.
float widened_float16(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t(half & 0x8000) << 16, rest = std::uint32_t(half & 0x7fff) << 13;
    const bool finite = (half & 0x7c00) != 0x7c00;
    const std::uint32_t magnitude = finite ? std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) * 0x1p112f) : rest | 0x7f800000;
    return std::bit_cast<float>(sign | magnitude);
}

float widened_bfloat16(std::uint16_t half) { return std::bit_cast<float>(std::uint32_t(half) << 16); }

Array open_array(hid_t file, const Hdf5File& where, const std::string& name) {
    LIMN_CHECK(where.has(name), "{}: there is no array '{}'", where.path().string(), shown(name));
    LIMN_CHECK(!where.is_group(name), "{}: '{}' is a group, an array was expected", where.path().string(), shown(name));
    return Array(file, where.path(), name);
}

}  // namespace

Shape Hdf5File::shape(const std::string& name) const {
    const Quiet quiet;
    return open_array(file_, *this, name).shape;
}

bool Hdf5File::mapped(const std::string& name) const {
    const Quiet quiet;
    return open_array(file_, *this, name).place().has_value();
}

Tensor Hdf5File::read(const std::string& name) const {
    const Quiet quiet;
    const Array array = open_array(file_, *this, name);
    const std::size_t count = std::size_t(array.shape.size());
    if (const auto place = array.place()) {
        const std::string_view all = bytes();
        LIMN_CHECK(*place <= all.size() && count <= (all.size() - *place) / sizeof(float),
                   "{} ends behind the end of the file, which is cut short", array.what);
        return Tensor::view(array.shape, reinterpret_cast<const float*>(all.data() + *place), mapping_);
    }
    // Many arrays that are harmless each: what holds for one of them (see Array) holds for all together.
    unpacked_bytes_ += count * sizeof(float);
    LIMN_CHECK(unpacked_bytes_ <= suspicious_bytes || unpacked_bytes_ / suspicious_ratio <= bytes().size(),
               "{}: the file of {} bytes unpacks to more than {} GB: refused", array.what, bytes().size(), unpacked_bytes_ >> 30);
    Tensor out(array.shape);
    if (count == 0) return out;
    const auto read_as = [&](hid_t type, void* to) { checked(H5Dread(array.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, to), array.what); };
    const bool opaque = H5Tget_class(array.type) == H5T_OPAQUE;
    if (!opaque && H5Tequal(array.type, float16_type()) <= 0) {
        read_as(H5T_NATIVE_FLOAT, out.data());
        return out;
    }
    if (opaque) {  // bfloat16, the upper half of a float; Keras names it in an attribute
        const bool named =
            checked(H5Aexists(array.id, "dtype"), array.what) > 0 && texts_of_one(name, "dtype") == std::vector<std::string>{"bfloat16"};
        LIMN_CHECK(named, "{} does not hold numbers", array.what);
    }
    std::vector<std::uint16_t> halves(count);
    read_as(array.type, halves.data());
    std::transform(halves.begin(), halves.end(), out.data(), opaque ? widened_bfloat16 : widened_float16);
    return out;
}

}  // namespace limn
