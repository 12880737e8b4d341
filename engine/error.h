// The one exception of limn, and the macro that checks what a caller may get wrong.
//
// An Error's text is one line for the user: what is wrong, where (file, layer), what was expected, what to do.
// The command line prints it and exits with 2; a library user catches it. No function of the library ends the process.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace limn {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// There is too little memory, here or on a GPU; something smaller, or another device, may do.
struct OutOfMemory : Error {
    using Error::Error;
};

template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
    throw Error(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace limn

#define LIMN_CHECK(condition, ...)                   \
    do {                                             \
        if (!(condition)) ::limn::fail(__VA_ARGS__); \
    } while (false)
