// Inside of hdf5_file.cpp and hdf5_writer.cpp: HDF5's objects and its reasons.
#pragma once

#include <hdf5.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"

namespace limn {

// An HDF5 object: closed at the end.
template <herr_t (*close)(hid_t)> class Handle {
public:
    explicit Handle(hid_t id) : id_(id) {}
    ~Handle() {
        if (id_ >= 0) close(id_);
    }
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    operator hid_t() const { return id_; }
    bool valid() const { return id_ >= 0; }
    bool close_now() { return close(std::exchange(id_, -1)) >= 0; }  // for who must know that all was written

private:
    hid_t id_;
};

// While it lives HDF5 prints nothing, since limn says what went wrong in one line; then the caller's setting holds again.
class Quiet {
public:
    Quiet() {
        H5dont_atexit();  // its cleaning up at exit crashes (1.10.8) after a full disk
        H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }
    Quiet(const Quiet&) = delete;

private:
    H5E_auto2_t print_ = nullptr;
    void* data_ = nullptr;
};

// Names come from the file: they must not break the one line of a message.
inline std::string shown(std::string name) {
    if (name.size() > 200) name = name.substr(0, 200) + "...";
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; }, '?');
    return name;
}

// Why the last call failed, in HDF5's innermost words; of a long report about the disk only the system's reason.
inline std::string reason() {
    std::string text;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
            if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
            return 0;
        },
        &text);
    const std::string mark = "error message = '";
    if (const std::size_t at = text.find(mark); at != std::string::npos) {
        text.erase(0, at + mark.size());
        text.erase(std::min(text.find('\''), text.size()));
    }
    return text.empty() ? "" : ": " + shown(text);
}

// What HDF5 returned, or an Error about `what` where it returned a failure.
template <class Result> Result checked(Result result, const std::string& what) {
    LIMN_CHECK(result >= 0, "{} cannot be read, the file is damaged{}", what, reason());
    return result;
}

inline std::vector<std::string> steps_of(const std::string& path) {
    std::vector<std::string> steps;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (end > at) steps.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    return steps;
}

// IEEE half precision, as h5py writes NumPy's float16: 1 bit sign, 5 exponent, 10 mantissa
inline Handle<H5Tclose> float16_type() {
    Handle<H5Tclose> type(H5Tcopy(H5T_IEEE_F32LE));
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

}  // namespace limn
