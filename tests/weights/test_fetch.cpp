// What a download must not spoil: a half that is there, a file of the user's, another download.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/support.h"
#include "weights/fetch.h"

using namespace limn;

TEST_CASE("fetch: a download that cannot go on leaves everything as it was") {
    const TemporaryFolder folder;
    setenv("LIMN_CACHE", folder.path.c_str(), 1);
    const Published weights{"w", "w.h5", "https://nowhere.invalid/w.h5", "9dd4e461268c8034f5c8564e155c67a6"};  // md5 of "x"
    const auto part = folder / "w.h5.part";
    std::ofstream(part) << "half of it";

    SUBCASE("a mirror that does not have the file: the half is kept for a better one") {
        CHECK_THROWS_WITH_AS(fetch(weights, {"file:///no/such/folder", {}}), doctest::Contains("/no/such/folder/w.h5"), Error);
    }
    SUBCASE("a folder has the file's name") {
        std::filesystem::create_directory(folder / "w.h5");
        CHECK_THROWS_WITH_AS(fetch(weights), doctest::Contains("is not a file"), Error);
        CHECK(std::filesystem::is_directory(folder / "w.h5"));
    }
    SUBCASE("another limn is at it") {
        const int other = open(part.c_str(), O_WRONLY | O_APPEND);
        CHECK(flock(other, LOCK_EX) == 0);
        CHECK_THROWS_WITH_AS(fetch(weights), doctest::Contains("another limn is fetching w"), Error);
        close(other);
    }
    CHECK(std::filesystem::file_size(part) == 10);
    CHECK_FALSE(std::filesystem::is_regular_file(folder / "w.h5"));
    unsetenv("LIMN_CACHE");
}
