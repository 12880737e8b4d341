#include "weights/probe.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>
#include <optional>
#include <string>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "engine/error.h"

namespace limn {

namespace {

constexpr char begun = '.', done = '\x01';  // no complaint is that
constexpr std::size_t longest_complaint = 2000;

// Memory that this process may write and nobody else sees (proc(5), statm): what RLIMIT_DATA counts. 0: unknown.
std::size_t private_memory() {
    std::size_t pages = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%*u %*u %*u %*u %*u %zu", &pages) != 1) pages = 0;
        std::fclose(file);
    }
    return pages * std::size_t(sysconf(_SC_PAGESIZE));
}

void limit(decltype(RLIMIT_CORE) what, rlim_t most) {
    rlimit now;
    if (getrlimit(what, &now) != 0) return;
    now.rlim_cur = std::min(most, now.rlim_max);
    setrlimit(what, &now);
}

void restrain(const ProbeLimits& limits) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody waits for it then
#endif
    const int nowhere = open("/dev/null", O_RDWR);  // what a crash prints is of no use to the user
    for (int standard : {0, 1, 2}) dup2(nowhere, standard);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CPU, limits.seconds);
    if (const std::size_t now = private_memory()) limit(RLIMIT_DATA, now + limits.memory);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGXFSZ, SIGALRM}) std::signal(signal, SIG_DFL);
    alarm(10 * limits.seconds);
}

// The child: into the pipe goes that it has begun, then that f came to its end, or f's complaint.
[[noreturn]] void run(const std::function<void()>& f, const ProbeLimits& limits, int pipe) {
    (void)!write(pipe, &begun, 1);
    restrain(limits);
    std::string said(1, done);
    try {
        f();
    } catch (const std::bad_alloc&) {
        said = "it asks for too much memory";
    } catch (const std::exception& e) {
        said = std::string(e.what()).substr(0, longest_complaint);  // a pipe holds more
    }
    (void)!write(pipe, said.data(), said.size());
    _exit(0);
}

std::string all_of(int pipe) {
    std::array<char, 1 + longest_complaint> text;
    std::size_t size = 0;
    for (ssize_t n; size < text.size() && ((n = read(pipe, text.data() + size, text.size() - size)) > 0 || (n < 0 && errno == EINTR));)
        if (n > 0) size += std::size_t(n);
    return {text.data(), size};
}

struct Ended {
    int status;        // as waitpid has it
    std::string said;  // empty: the child died before it began
};

// Nothing: no process is to be had.
std::optional<Ended> run_in_child(const std::function<void()>& f, const ProbeLimits& limits) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return {};
    const pid_t child = fork();
    if (child == 0) run(f, limits, ends[1]);
    close(ends[1]);
    Ended ended{0, child < 0 ? "" : all_of(ends[0])};
    close(ends[0]);
    if (child < 0) return {};
    while (waitpid(child, &ended.status, 0) < 0 && errno == EINTR) {}
    return ended;
}

}  // namespace

Probed probe(const std::function<void()>& f, const ProbeLimits& limits) {
    // Before the child begins, fork runs what libraries ask for (pthread_atfork), and there LLVM 14's OpenMP crashes where a dead process of
    // the same number left something in /dev/shm. That says nothing of f; the next child has another number.
    std::optional<Ended> child = run_in_child(f, limits);
    for (int more = 2; more > 0 && child && child->said.empty(); --more) child = run_in_child(f, limits);
    if (!child || child->said.empty()) return Probed::fine;  // the caller runs f unprobed
    // What it said counts: its status is not to be had where the parent of this process had SIGCHLD ignored.
    const std::string said = child->said.substr(1);
    if (said == std::string(1, done)) return Probed::fine;
    if (!said.empty()) throw Error(said);
    const bool late = WIFSIGNALED(child->status) && (WTERMSIG(child->status) == SIGXCPU || WTERMSIG(child->status) == SIGALRM);
    return late ? Probed::endless : Probed::crashed;
}

}  // namespace limn
