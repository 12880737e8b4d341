#include <bit>
#include <cmath>

#include "weights/hdf5_file.h"
#include "weights/hdf5_objects.h"

namespace limn {

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : pending_(path), path_(path) {
    const Quiet quiet;
    std::error_code ignored;
    LIMN_CHECK(!std::filesystem::is_directory(path, ignored), "{}: is a directory", path.string());
    file_ = H5Fcreate(pending_.temporary_path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    LIMN_CHECK(file_ >= 0, "{}: cannot be written{}", path.string(), reason());
}

Hdf5Writer::~Hdf5Writer() {
    const Quiet quiet;
    if (file_ >= 0) H5Fclose(file_);
}

std::int64_t Hdf5Writer::file() const {
    LIMN_CHECK(file_ >= 0, "{}: nothing more can be written: the file is complete, or was given up after an error", path_.string());
    return file_;
}

void Hdf5Writer::check(bool done, const std::string& what) {
    if (done) return;
    const std::string why = reason();
    if (file_ >= 0) H5Fclose(std::exchange(file_, -1));
    fail("{}: {} cannot be written{}", path_.string(), what, why);
}

// How groups and arrays are made: without the time, so that the same numbers give the same file.
static Handle<H5Pclose> timeless(hid_t kind) {
    Handle<H5Pclose> creation(H5Pcreate(kind));
    const bool done = creation.valid() && H5Pset_obj_track_times(creation, false) >= 0;
    return done ? std::move(creation) : Handle<H5Pclose>(-1);
}

void Hdf5Writer::group(const std::string& path) {
    const Quiet quiet;
    const Handle<H5Pclose> creation = timeless(H5P_GROUP_CREATE);
    check(creation.valid(), "a group");
    std::string part;
    for (const std::string& step : steps_of(path)) {
        part += "/" + step;
        const std::string what = fmt::format("the group '{}'", shown(part));
        const htri_t exists = H5Lexists(file(), part.c_str(), H5P_DEFAULT);
        check(exists >= 0, what);
        if (exists) continue;
        Handle<H5Gclose> g(H5Gcreate2(file_, part.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT));
        check(g.valid() && g.close_now(), what);
    }
}

// The nearest number float16 has. HDF5 (1.10.8) would round by itself, but loses the carry: 0.12498 became 0.0625.
static float nearest_float16(float x) {
    if (!std::isfinite(x)) return x;
    if (std::abs(x) < 0x1p-14f) return std::nearbyint(x * 0x1p24f) * 0x1p-24f;
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & ~std::uint32_t(0x1fff));  // ties to even
}

void Hdf5Writer::dataset(const std::string& path, const Tensor& values, bool as_float16) {
    const Quiet quiet;
    const std::string what = fmt::format("the array '{}'", shown(path));
    LIMN_CHECK(!values.empty() && values.dtype() == DType::f32, "{}: {} should be float32 numbers", path_.string(), what);
    const Handle<H5Tclose> half = float16_type();
    const Tensor rounded = as_float16 ? values.host().clone() : values.host();
    if (as_float16)
        for (float& x : Tensor(rounded).values()) {
            x = nearest_float16(x);
            LIMN_CHECK(!std::isfinite(x) || std::abs(x) <= 65504.0f, "{}: {} holds {}, too large for float16", path_.string(), what, x);
        }
    group(parent_of(path));
    const std::vector<hsize_t> sizes(values.shape().begin(), values.shape().end());
    const Handle<H5Sclose> space(sizes.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(sizes.size()), sizes.data(), nullptr));
    const Handle<H5Pclose> creation = timeless(H5P_DATASET_CREATE);
    check(space.valid() && creation.valid(), what);
    Handle<H5Dclose> d(
        H5Dcreate2(file(), path.c_str(), as_float16 ? hid_t(half) : H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    check(d.valid(), what);
    check(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, rounded.data()) >= 0, what);
    check(d.close_now(), what);  // small arrays reach the disk only here
}

void Hdf5Writer::write_attribute(const std::string& group, const std::string& name, std::int64_t type, std::int64_t space,
                                 const void* data) {
    const std::string what = fmt::format("the attribute '{}' of '{}'", shown(name), shown(group));
    check(type >= 0 && space >= 0, what);
    const Handle<H5Oclose> object(H5Oopen(file(), group.c_str(), H5P_DEFAULT));
    check(object.valid(), what);
    Handle<H5Aclose> a(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
    check(a.valid(), what);
    check(H5Awrite(a, type, data) >= 0, what);
    check(a.close_now(), what);
}

static Handle<H5Tclose> text_type(std::size_t size, H5T_str_t padding, H5T_cset_t characters) {
    Handle<H5Tclose> type(H5Tcopy(H5T_C_S1));
    const bool done =
        type.valid() && H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, padding) >= 0 && H5Tset_cset(type, characters) >= 0;
    return done ? std::move(type) : Handle<H5Tclose>(-1);
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, const std::string& value) {
    const Quiet quiet;
    LIMN_CHECK(value.find('\0') == std::string::npos, "{}: the attribute '{}' holds a zero byte", path_.string(), shown(name));
    // of variable length: a fixed one could not be longer than an object header, 64 KB
    const Handle<H5Tclose> type = text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8);
    const Handle<H5Sclose> space(H5Screate(H5S_SCALAR));
    const char* text = value.c_str();
    write_attribute(group, name, type, space, &text);
}

void Hdf5Writer::attribute(const std::string& group, const std::string& name, const std::vector<std::string>& values) {
    const Quiet quiet;
    if (values.empty()) {  // as NumPy's empty list is written
        const hsize_t none = 0;
        const Handle<H5Sclose> space(H5Screate_simple(1, &none, nullptr));
        return write_attribute(group, name, H5T_IEEE_F64LE, space, &none);
    }
    std::size_t longest = 1;
    for (const std::string& v : values) longest = std::max(longest, v.size());
    const std::size_t together = std::max<std::size_t>(1, 64000 / longest);  // an object header holds 64 KB
    const bool split = values.size() > together;
    const Handle<H5Tclose> type = text_type(longest, H5T_STR_NULLPAD, H5T_CSET_ASCII);
    for (std::size_t first = 0, part = 0; first < values.size(); first += together, part++) {
        const hsize_t count = std::min(together, values.size() - first);
        std::string bytes(std::size_t(count) * longest, '\0');
        for (std::size_t i = 0; i < count; i++) bytes.replace(i * longest, values[first + i].size(), values[first + i]);
        const Handle<H5Sclose> space(H5Screate_simple(1, &count, nullptr));
        write_attribute(group, split ? name + std::to_string(part) : name, type, space, bytes.data());
    }
}

void Hdf5Writer::commit() {
    const Quiet quiet;
    check(H5Fflush(file(), H5F_SCOPE_GLOBAL) >= 0, "the end of the file");
    check(H5Fclose(std::exchange(file_, -1)) >= 0, "the end of the file");
    pending_.commit();
}

}  // namespace limn
