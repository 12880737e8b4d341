#include <unistd.h>

#include <csignal>

#include "engine/error.h"
#include "tests/support.h"
#include "weights/probe.h"

using namespace limn;

TEST_CASE("a child tries it first: crashes and endless loops are seen, exceptions are left to the caller") {
    CHECK(survives([] {}, 5));
    CHECK(survives([] { fail("an error"); }, 5));
    CHECK_FALSE(survives([] { raise(SIGSEGV); }, 5));
    CHECK_FALSE(survives([] { std::abort(); }, 5));
    CHECK_FALSE(survives(
        [] {
            for (;;) usleep(1000);
        },
        1));
    int here = 1;
    CHECK(survives([&] { here = 2; }, 5));
    CHECK(here == 1);
}
