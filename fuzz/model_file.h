// For targets that feed whole model files: everything below load_model() but its child process.
//
// libhdf5 itself crashes on damaged files; weights/probe.h keeps that in a child process. Here, too, a child loads each file first. If it
// dies with libhdf5 on its stack, the file is one of those, and is let go. In all other cases this process loads it, and a crash is ours.
#pragma once

#include <dlfcn.h>
#include <execinfo.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <utility>
#include <vector>

#include "fuzz/target.h"
#include "weights/model_file.h"

namespace limn {

constexpr int in_hdf5 = 42, elsewhere = 43;
constexpr unsigned seconds = 10;

inline bool is_in_hdf5(void* address) {
    Dl_info place;
    return dladdr(address, &place) && std::string_view(place.dli_fname).find("libhdf5") != std::string_view::npos;
}

// The child's last act, called where it was struck: by the sanitizer, or as a signal's handler.
inline void leave() {
    void* frames[256];
    const int count = backtrace(frames, 256);
    _exit(std::any_of(frames, frames + count, is_in_hdf5) ? in_hdf5 : elsewhere);
}

// Once as it is, once with a configuration beside it, as .weights.h5 files need it.
inline void load(const FuzzedFile& file) {
    try_to([&] { load_model_unprobed({file.path(), "", ""}); });
    try_to([&] { load_model_unprobed({file.path(), LIMN_FUZZ_CONFIG, ""}); });
}

// Calls again what libFuzzer's own alarm interrupted.
template <class F> auto uninterrupted(F&& call) {
    for (;;)
        if (const auto result = call(); result >= 0 || errno != EINTR) return result;
}

// All of the bytes, or false where the other side is gone.
inline bool give(int socket, const void* bytes, std::size_t size) {
    for (auto* p = static_cast<const char*>(bytes); size > 0;) {
        const ssize_t n = uninterrupted([&] { return send(socket, p, size, MSG_NOSIGNAL); });
        if (n <= 0) return false;
        p += n, size -= std::size_t(n);
    }
    return true;
}
inline bool take(int socket, void* bytes, std::size_t size) {
    for (auto* p = static_cast<char*>(bytes); size > 0;) {
        const ssize_t n = uninterrupted([&] { return recv(socket, p, size, 0); });
        if (n <= 0) return false;
        p += n, size -= std::size_t(n);
    }
    return true;
}

// The child that goes first: it loads file after file until it dies, and a new one takes its place.
class Forerunner {
public:
    bool survives(const std::uint8_t* data, std::size_t size) {
        if (child_ == 0) start();
        char done = 0;
        if (give(socket_, &size, sizeof size) && give(socket_, data, size) && take(socket_, &done, 1)) return true;
        const pid_t dead = std::exchange(child_, 0);
        int status = 0;
        uninterrupted([&] { return waitpid(dead, &status, 0); });
        close(socket_);
        unlink(FuzzedFile::path_of(dead).c_str());
        return !(WIFEXITED(status) && WEXITSTATUS(status) == in_hdf5);
    }

private:
    void start() {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || (child_ = fork()) < 0) std::abort();
        close(ends[child_ == 0 ? 0 : 1]);
        socket_ = ends[child_ == 0 ? 1 : 0];
        if (child_ == 0) serve();
    }
    [[noreturn]] void serve() const {
        close(1), close(2);
        __sanitizer_set_death_callback(leave);
        for (int signal : {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) std::signal(signal, [](int) { leave(); });
        std::vector<std::uint8_t> bytes;
        for (std::size_t size = 0; take(socket_, &size, sizeof size);) {
            bytes.resize(size);
            if (!take(socket_, bytes.data(), size)) break;
            alarm(seconds);
            load({bytes.data(), size});
            alarm(0);
            if (!give(socket_, "", 1)) break;
        }
        _exit(0);
    }
    pid_t child_ = 0;
    int socket_ = -1;
};

// A target's whole work.
inline int load_if_hdf5_survives(const std::uint8_t* data, std::size_t size) {
    static Forerunner forerunner;
    if (!forerunner.survives(data, size)) return -1;  // not worth keeping
    load({data, size});
    return 0;
}

}  // namespace limn

// libhdf5 leaks. It also asks for what a damaged file says, and lives on without, as it does under the limits of limn's child.
extern "C" const char* __asan_default_options() { return "detect_leaks=0:max_allocation_size_mb=5000:allocator_may_return_null=1"; }
