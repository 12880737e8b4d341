// A whole model file: libhdf5, weights/hdf5_file, keras_legacy, keras_config, model_file.
//
// libhdf5 itself crashes on damaged files; weights/probe.h keeps that in a child process. Here, too, a child loads the file first. If it
// dies with libhdf5 on its stack, the file is one of those, and is let go. In all other cases this process loads it, and a crash is ours.
#include <dlfcn.h>
#include <execinfo.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <initializer_list>

#include "fuzz/target.h"
#include "weights/model_file.h"

using namespace limn;

namespace {

constexpr int in_hdf5 = 42, elsewhere = 43;
constexpr unsigned seconds = 10;

bool is_in_hdf5(void* address) {
    Dl_info place;
    return dladdr(address, &place) && std::string_view(place.dli_fname).find("libhdf5") != std::string_view::npos;
}

// The child's last act, called where it was struck: by the sanitizer, or as a signal's handler.
void leave() {
    void* frames[256];
    const int count = backtrace(frames, 256);
    _exit(std::any_of(frames, frames + count, is_in_hdf5) ? in_hdf5 : elsewhere);
}

void load(const FuzzedFile& file) {
    try_to([&] { load_model_unprobed({file.path(), "", ""}); });
}

bool hdf5_survives(const FuzzedFile& file) {
    const pid_t child = fork();
    if (child < 0) std::abort();
    if (child == 0) {
        close(1), close(2);
        __sanitizer_set_death_callback(leave);
        for (int signal : {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) std::signal(signal, [](int) { leave(); });
        alarm(seconds);
        load(file);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return !(WIFEXITED(status) && WEXITSTATUS(status) == in_hdf5);
}

}  // namespace

extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }  // libhdf5's

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const FuzzedFile file(data, size);
    if (!hdf5_survives(file)) return -1;  // not worth keeping
    load(file);
    return 0;
}
