#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <new>
#include <vector>

#include "engine/error.h"
#include "tests/support.h"
#include "weights/probe.h"

using namespace limn;

namespace {

constexpr ProbeLimits short_time{.seconds = 1};

void compute_forever() {
    for (volatile bool more = true; more;) {}
}

// So many of the next children die inside fork(), as a library's handler there may; shared with them.
std::atomic<int>& stillborn() {
    static const auto count =
        new (mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<int>(0);
    return *count;
}

void die_in_fork() {
    if (stillborn() > 0) --stillborn(), raise(SIGKILL);
}

}  // namespace

TEST_CASE("a child tries it first: crashes of all kinds are seen, and what is done there stays there") {
    CHECK(probe([] {}) == Probed::fine);
    for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGKILL}) CHECK(probe([=] { raise(signal); }) == Probed::crashed);
    CHECK(probe([] { _exit(3); }) == Probed::crashed);
    int here = 1;
    CHECK(probe([&] { here = 2; }) == Probed::fine);
    CHECK(here == 1);
    CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // no child is left
}

TEST_CASE("a child that dies before it begins says nothing of what it was to try: another one does") {
    stillborn() = 0;
    REQUIRE(pthread_atfork(nullptr, nullptr, die_in_fork) == 0);
    for (int dead : {1, 2}) {
        CAPTURE(dead);
        stillborn() = dead;
        CHECK(probe([] { raise(SIGSEGV); }) == Probed::crashed);
        stillborn() = dead;
        CHECK(complaint([] { probe([] { fail("bad"); }); }) == "bad");
    }
    stillborn() = 3;
    CHECK(probe([] { raise(SIGSEGV); }) == Probed::fine);  // as where no process is to be had
    CHECK(stillborn() == 0);
}

TEST_CASE("where nobody may wait for children, what the child said counts") {
    const auto before = std::signal(SIGCHLD, SIG_IGN);
    CHECK(probe([] {}, short_time) == Probed::fine);
    CHECK(probe([] { raise(SIGSEGV); }, short_time) == Probed::crashed);
    CHECK_THROWS_WITH_AS(probe([] { throw Error("wrong"); }, short_time), "wrong", Error);
    std::signal(SIGCHLD, before);
}

TEST_CASE("a child's Error is thrown here, cut to a length that can be read") {
    CHECK(complaint([] { probe([] { fail("'{}' is wrong", "x"); }); }) == "'x' is wrong");
    CHECK(complaint([] { probe([] { throw std::runtime_error("another kind"); }); }) == "another kind");
    CHECK(complaint([] { probe([] { throw Error(std::string(1 << 20, 'x')); }); }) == std::string(2000, 'x'));
}

TEST_CASE("a child that computes without end is ended") { CHECK(probe(compute_forever, short_time) == Probed::endless); }

#if defined(__linux__) && !defined(LIMN_SANITIZE)
TEST_CASE("a child that takes more memory than it may hears so") {
    const ProbeLimits little{.seconds = 10, .memory = std::size_t(64) << 20};
    CHECK(probe([] { std::vector<char>(std::size_t(32) << 20, 1); }, little) == Probed::fine);
    CHECK(complaint([&] { probe([] { std::vector<char>(std::size_t(65) << 20, 1); }, little); }) == "it asks for too much memory");
    CHECK(complaint([&] {
              probe(
                  [] {
                      std::vector<std::vector<char>> all;
                      for (;;) all.emplace_back(1 << 20, 1);
                  },
                  little);
          }) == "it asks for too much memory");
    // C code sees a null pointer, and may crash at it
    CHECK(probe([] { static_cast<volatile char*>(std::malloc(std::size_t(65) << 20))[0] = 1; }, little) == Probed::crashed);
}
#endif

TEST_CASE("a child prints nothing, reads nothing and writes no file") {
    const TemporaryFolder folder;
    const std::string file = (folder / "f").string();
    CHECK(probe([&] { std::ofstream(file) << "something" << std::flush; }) == Probed::crashed);
    CHECK((!std::filesystem::exists(file) || std::filesystem::file_size(file) == 0));
    CHECK(complaint([] { probe([] { fail("{}", read(0, nullptr, 0) == 0 && std::getchar() == EOF ? "nothing" : "something"); }); }) ==
          "nothing");
    std::fflush(stdout);
    const int saved = dup(1);
    std::FILE* const printed = std::tmpfile();
    dup2(fileno(printed), 1);
    CHECK(probe([] {
              std::puts("out"), std::fflush(stdout);
              (void)!write(1, "out", 3), (void)!write(2, "err", 3);
          }) == Probed::fine);
    dup2(saved, 1), close(saved);
    CHECK(std::fseek(printed, 0, SEEK_END) == 0);
    CHECK(std::ftell(printed) == 0);
    std::fclose(printed);
}
