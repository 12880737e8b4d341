// What tests share: comparing arrays by their largest magnitude, the folder of test data, a folder that vanishes.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "engine/tensor.h"

// CAPTURE for a name of a structured binding, which a lambda of clang 14 cannot hold.
#define CAPTURE_PART(name)              \
    const auto& captured_##name = name; \
    INFO(#name " := ", captured_##name)

namespace limn {

// The largest difference, relative to the largest magnitude of the expected array. Infinite for other shapes or NaN.
inline double relative_error(const Tensor& anywhere, const Tensor& expected) {
    const Tensor found = anywhere.host();
    if (!(found.shape() == expected.shape())) return HUGE_VAL;
    double difference = 0, largest = 0;
    for (Index i = 0; i < expected.size(); i++) {
        const double d = std::abs(found.at_flat(i) - expected.at_flat(i));
        if (!(d <= HUGE_VAL)) return HUGE_VAL;
        difference = std::max(difference, d);
        largest = std::max(largest, std::abs(expected.at_flat(i)));
    }
    return difference == 0 ? 0 : largest > 0 ? difference / largest : HUGE_VAL;
}

inline bool same_bits(const Tensor& first, const Tensor& second) {
    const Tensor a = first.host(), b = second.host();
    return a.shape() == b.shape() && a.dtype() == b.dtype() && std::equal(a.values().begin(), a.values().end(), b.values().begin());
}

// What an Error says; empty if there is none.
inline std::string complaint(const std::function<void()>& what) {
    try {
        what();
    } catch (const Error& e) {
        return e.what();
    }
    return "";
}

// Where something lies that tests need: where the build put it, or where an environment variable of that name says (scripts/gpu).
inline std::string place_of(const char* variable, const char* built_in) {
    const char* other = std::getenv(variable);
    return other ? other : built_in;
}
#define LIMN_PLACE(variable) ::limn::place_of(#variable, variable)

// Test data that is not part of the project. Tests that need it say so in one line and pass where it is missing.
inline std::filesystem::path shared_data(const std::string& name) { return std::filesystem::path(LIMN_PLACE(LIMN_SHARED_DIR)) / name; }
inline bool have_shared(std::initializer_list<std::string> names) {
    for (const std::string& name : names) {
        if (std::filesystem::exists(shared_data(name))) continue;
        MESSAGE("skipped: needs test data '", name, "' in ", LIMN_PLACE(LIMN_SHARED_DIR));
        return false;
    }
    return true;
}

struct TemporaryFolder {
    std::filesystem::path path;
    TemporaryFolder() {
        std::random_device random;
        path = std::filesystem::temp_directory_path() / ("limn-test-" + std::to_string(random()) + std::to_string(random()));
        std::filesystem::create_directories(path);
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path operator/(const std::string& name) const { return path / name; }
};

inline void check_says(const std::string& message, const std::string& expected) {
    CAPTURE(message.substr(0, 300));
    CHECK(message.find(expected) != std::string::npos);
}

}  // namespace limn
