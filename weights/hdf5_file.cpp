#include "weights/hdf5_file.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace limn {

namespace {

constexpr std::size_t longest_text = std::size_t(64) << 20;
constexpr hsize_t most_bytes = hsize_t(4) << 30;

// Any HDF5 handle: closed by the function given.
class Handle {
public:
    Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    ~Handle() { if (id_ >= 0) close_(id_); }
    Handle(const Handle&) = delete;
    operator hid_t() const { return id_; }
    bool valid() const { return id_ >= 0; }

private:
    hid_t id_;
    herr_t (*close_)(hid_t);
};

// limn prints its own one line instead of HDF5's stack of messages, and closes what it opens: HDF5's own cleaning up at
// exit is not needed, and crashes (1.10.8) where a disk was full.
void set_up_hdf5() {
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string kind_of(const std::string& head) {
    if (head.starts_with("PK")) return "a zip archive (a .keras file?)";
    if (head.starts_with("\x89PNG")) return "a PNG image";
    if (head.starts_with("\xff\xd8")) return "a JPEG image";
    if (head.starts_with("{")) return "JSON";
    const bool text = std::all_of(head.begin(), head.end(), [](unsigned char c) { return c >= 32 || c == '\n' || c == '\r' || c == '\t'; });
    return text ? "text" : "something else";
}

// Refuses what read_file() would refuse, and what is no HDF5 file at all.
void check_file(const std::filesystem::path& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    LIMN_CHECK(fd >= 0, "{}: cannot be opened: {}", path.string(), std::strerror(errno));
    struct stat info{};
    const bool known = fstat(fd, &info) == 0;
    std::string head(64, 0);
    const ssize_t n = known && S_ISREG(info.st_mode) ? pread(fd, head.data(), head.size(), 0) : 0;
    close(fd);
    LIMN_CHECK(known && !S_ISDIR(info.st_mode), "{}: is a directory, an HDF5 file was expected", path.string());
    LIMN_CHECK(S_ISREG(info.st_mode), "{}: is not a regular file", path.string());
    LIMN_CHECK(info.st_size > 0, "{}: the file is empty", path.string());
    head.resize(std::size_t(std::max<ssize_t>(0, n)));
    LIMN_CHECK(head.starts_with("\x89HDF") || H5Fis_hdf5(path.c_str()) > 0, "{}: is not an HDF5 file, it looks like {}", path.string(), kind_of(head));
}

std::string trimmed(const char* text, std::size_t size) { return std::string(text, strnlen(text, size)); }

}  // namespace

struct Hdf5File::Mapping {
    char* data = nullptr;
    std::size_t size = 0;
    ~Mapping() { if (data) munmap(data, size); }
};

Hdf5File::Hdf5File(const std::filesystem::path& path) : path_(path) {
    set_up_hdf5();
    check_file(path);
    file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    LIMN_CHECK(file_ >= 0, "{}: is damaged or cut short: HDF5 cannot open it", path.string());
}

Hdf5File::~Hdf5File() { if (file_ >= 0) H5Fclose(file_); }

// Every step of the path must be a plain ("hard") link: soft and external ones can lead anywhere.
bool Hdf5File::has(const std::string& path) const {
    std::string part;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (end > at) {
            part += "/" + path.substr(at, end - at);
            if (H5Lexists(file_, part.c_str(), H5P_DEFAULT) <= 0) return false;
            H5L_info_t info;
            LIMN_CHECK(H5Lget_info(file_, part.c_str(), &info, H5P_DEFAULT) >= 0, "{}: is damaged at '{}'", path_.string(), part);
            LIMN_CHECK(info.type == H5L_TYPE_HARD, "{}: '{}' is a link to somewhere else: refused", path_.string(), part);
        }
        at = end + 1;
    }
    return true;
}

bool Hdf5File::is_group(const std::string& path) const {
    if (!has(path)) return false;
    const Handle object(H5Oopen(file_, path.c_str(), H5P_DEFAULT), H5Oclose);
    return object.valid() && H5Iget_type(object) == H5I_GROUP;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
    LIMN_CHECK(is_group(group), "{}: there is no group '{}'", path_.string(), group);
    const Handle g(H5Gopen2(file_, group.c_str(), H5P_DEFAULT), H5Gclose);
    H5G_info_t info;
    LIMN_CHECK(g.valid() && H5Gget_info(g, &info) >= 0 && info.nlinks < 1 << 20, "{}: group '{}' is damaged", path_.string(), group);
    std::vector<std::string> names;
    for (hsize_t i = 0; i < info.nlinks; i++) {
        const ssize_t size = H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
        LIMN_CHECK(size >= 0 && size < 1 << 16, "{}: group '{}' is damaged", path_.string(), group);
        std::string name(std::size_t(size) + 1, 0);
        H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
        name.resize(std::size_t(size));
        names.push_back(name);
    }
    return names;
}

bool Hdf5File::has_attribute(const std::string& group, const std::string& name) const {
    return is_group(group) && (H5Aexists_by_name(file_, group.c_str(), name.c_str(), H5P_DEFAULT) > 0 ||
                               H5Aexists_by_name(file_, group.c_str(), (name + "0").c_str(), H5P_DEFAULT) > 0);
}

// The strings of one attribute, fixed or variable length.
static std::vector<std::string> read_texts(hid_t file, const std::string& where, const std::string& group, const std::string& name) {
    const Handle attribute(H5Aopen_by_name(file, group.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    LIMN_CHECK(attribute.valid(), "{}: the attribute '{}' of '{}' cannot be read", where, name, group);
    const Handle space(H5Aget_space(attribute), H5Sclose), type(H5Aget_type(attribute), H5Tclose);
    const hssize_t count = space.valid() ? H5Sget_simple_extent_npoints(space) : -1;
    LIMN_CHECK(count >= 0 && count < 1 << 20 && type.valid(), "{}: the attribute '{}' of '{}' is damaged", where, name, group);
    if (count == 0) return {};                             // an empty list may have any type
    LIMN_CHECK(H5Tget_class(type) == H5T_STRING, "{}: the attribute '{}' of '{}' should be text", where, name, group);

    std::vector<std::string> out;
    if (H5Tis_variable_str(type) > 0) {
        const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
        H5Tset_size(memory, H5T_VARIABLE);
        H5Tset_cset(memory, H5Tget_cset(type));
        std::vector<char*> pointers(std::size_t(count), nullptr);
        const bool ok = H5Aread(attribute, memory, pointers.data()) >= 0;
        std::size_t total = 0;
        for (char* p : pointers)
            if (ok && (total += p ? std::strlen(p) : 0) <= longest_text) out.emplace_back(p ? p : "");
        if (ok) H5Dvlen_reclaim(memory, space, H5P_DEFAULT, pointers.data());
        LIMN_CHECK(ok && total <= longest_text, "{}: the attribute '{}' of '{}' is damaged", where, name, group);
    } else {
        const std::size_t size = H5Tget_size(type);
        LIMN_CHECK(size > 0 && size <= longest_text / std::size_t(count), "{}: the attribute '{}' of '{}' is too large", where, name, group);
        std::vector<char> bytes(size * std::size_t(count));
        LIMN_CHECK(H5Aread(attribute, type, bytes.data()) >= 0, "{}: the attribute '{}' of '{}' is damaged", where, name, group);
        for (hssize_t i = 0; i < count; i++) out.push_back(trimmed(bytes.data() + std::size_t(i) * size, size));
    }
    return out;
}

std::string Hdf5File::text(const std::string& group, const std::string& name) const {
    const std::vector<std::string> parts = texts(group, name);
    LIMN_CHECK(parts.size() == 1, "{}: the attribute '{}' of '{}' should be one text", path_.string(), name, group);
    return parts[0];
}

std::vector<std::string> Hdf5File::texts(const std::string& group, const std::string& name) const {
    LIMN_CHECK(has_attribute(group, name), "{}: '{}' has no attribute '{}'", path_.string(), group, name);
    if (H5Aexists_by_name(file_, group.c_str(), name.c_str(), H5P_DEFAULT) > 0) return read_texts(file_, path_.string(), group, name);
    std::vector<std::string> all;                          // lists longer than an object header are split: name0, name1...
    for (int i = 0; H5Aexists_by_name(file_, group.c_str(), (name + std::to_string(i)).c_str(), H5P_DEFAULT) > 0; i++)
        for (std::string& part : read_texts(file_, path_.string(), group, name + std::to_string(i))) all.push_back(std::move(part));
    return all;
}

namespace {

// An opened dataset and what is known of it.
struct Dataset {
    Handle id, space, type, creation;
    Dataset(hid_t file, const std::string& path)
        : id(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose), space(id.valid() ? H5Dget_space(id) : -1, H5Sclose),
          type(id.valid() ? H5Dget_type(id) : -1, H5Tclose), creation(id.valid() ? H5Dget_create_plist(id) : -1, H5Pclose) {}
    bool valid() const { return id.valid() && space.valid() && type.valid() && creation.valid(); }
};

Shape shape_of(const Dataset& d, const std::string& where, const std::string& name) {
    const int rank = H5Sget_simple_extent_ndims(d.space);
    LIMN_CHECK(rank >= 0 && rank <= Shape::max_rank - 1, "{}: '{}' has {} axes", where, name, rank);
    hsize_t sizes[Shape::max_rank] = {};
    H5Sget_simple_extent_dims(d.space, sizes, nullptr);
    std::vector<Index> out;
    hsize_t bytes = 4;
    for (int i = 0; i < rank; i++) {
        LIMN_CHECK(!__builtin_mul_overflow(bytes, std::max<hsize_t>(1, sizes[i]), &bytes) && sizes[i] < hsize_t(1) << 40, "{}: '{}' is impossibly large", where, name);
        out.push_back(Index(sizes[i]));
    }
    // a small file that declares huge arrays would fill the memory with nothing
    const hsize_t stored = H5Dget_storage_size(d.id);
    LIMN_CHECK(bytes <= most_bytes || bytes / 1000 <= stored, "{}: '{}' declares {} GB but stores {} bytes", where, name, bytes >> 30, stored);
    return Shape(std::span<const Index>(out));
}

void check_storage(const Dataset& d, const std::string& where, const std::string& name) {
    LIMN_CHECK(H5Pget_layout(d.creation) != H5D_VIRTUAL, "{}: '{}' is a virtual dataset: refused", where, name);
    LIMN_CHECK(H5Pget_external_count(d.creation) == 0, "{}: '{}' is stored outside the file: refused", where, name);
}

bool is_bfloat16(const Dataset& d) { return H5Tget_class(d.type) == H5T_OPAQUE && H5Tget_size(d.type) == 2; }

}  // namespace

static void check_dataset(const Dataset& d, const Hdf5File& file, const std::string& name) {
    LIMN_CHECK(d.valid(), "{}: the array '{}' cannot be opened: the file is damaged", file.path().string(), name);
    check_storage(d, file.path().string(), name);
}

Shape Hdf5File::shape(const std::string& name) const {
    LIMN_CHECK(has(name), "{}: there is no array '{}'", path_.string(), name);
    const Dataset d(file_, name);
    check_dataset(d, *this, name);
    return shape_of(d, path_.string(), name);
}

// Where the numbers lie in the file, if they lie there as limn needs them: contiguous, unfiltered, float32 of this machine.
std::optional<std::int64_t> Hdf5File::place_in_file(const std::string& name) const {
    const Dataset d(file_, name);
    check_dataset(d, *this, name);
    if (H5Pget_layout(d.creation) != H5D_CONTIGUOUS || H5Pget_nfilters(d.creation) != 0 || H5Tequal(d.type, H5T_NATIVE_FLOAT) <= 0) return std::nullopt;
    const haddr_t offset = H5Dget_offset(d.id);
    if (offset == HADDR_UNDEF || offset % alignof(float) != 0) return std::nullopt;
    return std::int64_t(offset);
}

bool Hdf5File::mapped(const std::string& name) const { return has(name) && place_in_file(name).has_value(); }

Tensor Hdf5File::read(const std::string& name) const {
    const Shape size = shape(name);
    if (const auto place = place_in_file(name); place && size.size() > 0) {
        if (!mapping_) {
            const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
            struct stat info{};
            const bool known = fd >= 0 && fstat(fd, &info) == 0;
            void* data = known ? mmap(nullptr, std::size_t(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
            if (fd >= 0) close(fd);
            LIMN_CHECK(data != MAP_FAILED, "{}: cannot be mapped: {}", path_.string(), std::strerror(errno));
            auto mapping = std::make_shared<Mapping>();
            mapping->data = static_cast<char*>(data), mapping->size = std::size_t(info.st_size);
            mapping_ = mapping;
        }
        LIMN_CHECK(std::size_t(*place) <= mapping_->size && std::size_t(size.size()) * 4 <= mapping_->size - std::size_t(*place),
                   "{}: is cut short: '{}' ends behind its end", path_.string(), name);
        return Tensor::view(size, reinterpret_cast<const float*>(mapping_->data + *place), mapping_);
    }
    const Dataset d(file_, name);
    check_dataset(d, *this, name);
    Tensor out = Tensor::zeros(size);
    if (size.size() == 0) return out;
    if (is_bfloat16(d)) {                                  // the upper half of a float
        std::vector<std::uint16_t> halves(std::size_t(size.size()));
        LIMN_CHECK(H5Dread(d.id, d.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves.data()) >= 0, "{}: the array '{}' cannot be read: the file is damaged", path_.string(), name);
        for (std::size_t i = 0; i < halves.size(); i++) {
            const std::uint32_t bits = std::uint32_t(halves[i]) << 16;
            std::memcpy(out.data() + i, &bits, 4);
        }
        return out;
    }
    const H5T_class_t kind = H5Tget_class(d.type);
    LIMN_CHECK(kind == H5T_FLOAT || kind == H5T_INTEGER, "{}: the array '{}' does not hold numbers", path_.string(), name);
    LIMN_CHECK(H5Dread(d.id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) >= 0, "{}: the array '{}' cannot be read: the file is damaged or needs a filter HDF5 lacks",
               path_.string(), name);
    return out;
}

// ---- writing

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : pending_(path), path_(path) {
    set_up_hdf5();
    std::error_code ignored;
    LIMN_CHECK(!std::filesystem::is_directory(path, ignored), "{}: is a directory", path.string());
    file_ = H5Fcreate(pending_.temporary_path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    LIMN_CHECK(file_ >= 0, "{}: cannot be written: {}", path.string(), std::strerror(errno));
}

Hdf5Writer::~Hdf5Writer() { if (file_ >= 0) H5Fclose(file_); }

void Hdf5Writer::group(const std::string& path) {
    if (path == "/") return;
    std::string part;
    for (std::size_t at = 1; at <= path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        part = path.substr(0, end);
        if (H5Lexists(file_, part.c_str(), H5P_DEFAULT) <= 0) {
            const Handle creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
            H5Pset_obj_track_times(creation, false);
            const Handle g(H5Gcreate2(file_, part.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose);
            LIMN_CHECK(g.valid(), "{}: the group '{}' cannot be written", path_.string(), part);
        }
        at = end + 1;
    }
}

void Hdf5Writer::dataset(const std::string& path, const Tensor& values) {
    group(path.substr(0, std::max<std::size_t>(1, path.rfind('/'))));
    std::vector<hsize_t> sizes(values.shape().begin(), values.shape().end());
    const Handle space(sizes.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(sizes.size()), sizes.data(), nullptr), H5Sclose);
    const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(creation, false);               // the same numbers give the same file
    const hid_t d = H5Dcreate2(file_, path.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    const bool written = d >= 0 && H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
    const bool closed = d >= 0 && H5Dclose(d) >= 0;        // small arrays reach the disk only here
    LIMN_CHECK(written && closed, "{}: '{}' cannot be written: {}", path_.string(), path, std::strerror(errno));
}

static void write_attribute(hid_t file, const std::filesystem::path& where, const std::string& group, const std::string& name, hid_t type, hid_t space, const void* data) {
    const Handle object(H5Oopen(file, group.c_str(), H5P_DEFAULT), H5Oclose);
    const Handle a(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    LIMN_CHECK(a.valid() && H5Awrite(a, type, data) >= 0, "{}: the attribute '{}' cannot be written", where.string(), name);
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, const std::string& value) {
    // of variable length: a fixed one could not be longer than an object header, 64 KB
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose), space(H5Screate(H5S_SCALAR), H5Sclose);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const char* text = value.c_str();
    write_attribute(file_, path_, group, name, type, space, &text);
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, const std::vector<std::string>& values) {
    if (values.empty()) {                                  // as NumPy's empty list is written
        const hsize_t none = 0;
        const Handle space(H5Screate_simple(1, &none, nullptr), H5Sclose);
        return write_attribute(file_, path_, group, name, H5T_IEEE_F64LE, space, &none);
    }
    std::size_t longest = 1;
    for (const std::string& v : values) longest = std::max(longest, v.size());
    const std::size_t together = std::max<std::size_t>(1, 64000 / longest);   // an object header holds 64 KB
    const bool split = values.size() > together;
    for (std::size_t first = 0, part = 0; first < values.size(); first += together, part++) {
        const hsize_t count = std::min(together, values.size() - first);
        std::string bytes(std::size_t(count) * longest, '\0');
        for (std::size_t i = 0; i < count; i++) bytes.replace(i * longest, values[first + i].size(), values[first + i]);
        const Handle type(H5Tcopy(H5T_C_S1), H5Tclose), space(H5Screate_simple(1, &count, nullptr), H5Sclose);
        H5Tset_size(type, longest);
        H5Tset_strpad(type, H5T_STR_NULLPAD);
        write_attribute(file_, path_, group, split ? name + std::to_string(part) : name, type, space, bytes.data());
    }
}

void Hdf5Writer::commit() {
    const bool flushed = H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0;
    const bool closed = H5Fclose(file_) >= 0;
    file_ = -1;
    LIMN_CHECK(flushed && closed, "{}: cannot be written: {}", path_.string(), errno ? std::strerror(errno) : "the disk may be full");
    pending_.commit();
}

}  // namespace limn
