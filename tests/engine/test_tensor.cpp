#include <fstream>

#include "engine/file.h"
#include "tests/support.h"

using namespace limn;

TEST_CASE("a tensor is dense: the last axis is contiguous, rows share the numbers") {
    const float numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const Tensor t = Tensor::from({2, 2, 3}, numbers);
    CHECK(t.at({1, 0, 2}) == 8);
    CHECK(t.rows(1, 1).at({0, 0, 2}) == 8);
    CHECK(t.rows(1, 1).data() == t.data() + 6);
    CHECK(t.reshaped({12}).at({8}) == 8);
    CHECK(t.clone().id() != t.id());
    CHECK(t.to(DType::f64).at({1, 1, 2}) == 11);
}

TEST_CASE("shapes print, compare, and refuse what cannot be") {
    CHECK((Shape{2, 30, -1, 3}).str() == "(2,30,?,3)");
    CHECK((Shape{2, 3}).size() == 6);
    CHECK(Shape{}.size() == 1);
    CHECK((Shape{4, 5, 6})[-1] == 6);
    CHECK((Shape{4, 5, 6}).without(1) == (Shape{4, 6}));
    CHECK_THROWS_AS(Shape({1, 2, 3, 4, 5, 6, 7}), Error);
    CHECK_THROWS_AS(Tensor({Index(1) << 40, Index(1) << 40}), Error);
    CHECK_THROWS_AS(Tensor({2, 3}).reshaped({7}), Error);
    CHECK_THROWS_AS(Tensor({2, 3}).at({0, 3}), Error);
    CHECK_THROWS_AS(Tensor({2, 3}).data<double>(), Error);
    CHECK(Tensor({0, 5}).size() == 0);
}

TEST_CASE("a file is written whole or not at all") {
    const TemporaryFolder folder;
    write_file(folder / "a.txt", std::string_view("first"));
    write_file(folder / "a.txt", std::string_view("second"));
    CHECK(read_file(folder / "a.txt").size() == 6);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);  // nothing temporary is left
    CHECK_THROWS_AS(write_file(folder / "no" / "such" / "b.txt", std::string_view("x")), Error);
    CHECK_THROWS_AS(write_file("/dev/full", std::string_view("x")), Error);
    {
        PendingFile pending(folder / "c.txt");
        std::ofstream(pending.temporary_path()) << "half";
    }
    CHECK_FALSE(std::filesystem::exists(folder / "c.txt"));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
    CHECK_THROWS_AS(read_file(folder.path), Error);
    CHECK_THROWS_AS(read_file(folder / "missing"), Error);
    CHECK_THROWS_AS(read_file(folder / "a.txt", 3), Error);
}
