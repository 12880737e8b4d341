// HDF5 files as limn writes them, as other programs write them, and as damage leaves them.
// Number types, layouts and links that lead out of a file: test_hdf5_untrusted.cpp.
#include <fcntl.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>

#include "tests/support.h"
#include "weights/hdf5_file.h"
#include "weights/zip_file.h"

using namespace limn;
using Texts = std::vector<std::string>;

namespace {

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

Tensor counting(Shape shape) {
    Tensor t(shape);
    for (Index i = 0; i < t.size(); i++) t.data()[i] = float(i) - 0.5f;
    return t;
}

// What an Error says; it must name the file and fit on one line. "" where nothing went wrong.
std::string refusal(const std::filesystem::path& path, const std::function<void(const Hdf5File&)>& use) {
    try {
        use(Hdf5File(path));
    } catch (const Error& e) {
        const std::string text = e.what();
        CHECK(text.starts_with(path.string()));
        CHECK(text.find('\n') == std::string::npos);
        return text;
    }
    return "";
}
std::string refusal(const std::filesystem::path& path) {
    return refusal(path, [](const Hdf5File&) {});
}
std::string read_refusal(const std::filesystem::path& path, const std::string& name) {
    return refusal(path, [&](const Hdf5File& file) { file.read(name); });
}

// A file made by the HDF5 library itself.
struct Raw {
    hid_t file;
    explicit Raw(const std::filesystem::path& path, hid_t creation = H5P_DEFAULT)
        : file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT)) {
        REQUIRE(file >= 0);
    }
    ~Raw() { H5Fclose(file); }

    void array(const char* name, hid_t type, std::vector<hsize_t> sizes, const void* values, hid_t creation = H5P_DEFAULT) {
        const hid_t space = H5Screate_simple(int(sizes.size()), sizes.data(), nullptr);
        const hid_t d = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
        REQUIRE(d >= 0);
        if (values) REQUIRE(H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        H5Dclose(d), H5Sclose(space);
    }
    // count < 0: a scalar
    void attribute(const char* object, const char* name, hid_t type, hssize_t count, const void* values) {
        const hsize_t size = hsize_t(std::max<hssize_t>(0, count));
        const hid_t space = count < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, nullptr);
        const hid_t a = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        REQUIRE(a >= 0);
        if (values) REQUIRE(H5Awrite(a, type, values) >= 0);
        H5Aclose(a), H5Sclose(space);
    }
};

hid_t text_type(std::size_t size, H5T_str_t padding, H5T_cset_t characters = H5T_CSET_ASCII) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size), H5Tset_strpad(type, padding), H5Tset_cset(type, characters);
    return type;
}

struct Expected {
    std::string given, said;
};

}  // namespace

TEST_CASE("HDF5: what is no HDF5 file is refused with what it looks like") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    CHECK(refusal(path).find("No such file") != std::string::npos);
    CHECK(refusal(folder.path).find("is a directory") != std::string::npos);
    put(path, "");
    CHECK(refusal(path).find("is empty") != std::string::npos);
    for (const Expected& e : {Expected{"two words\n", "looks like text"},
                              {"PK\x03\x04....", "looks like a zip archive (a .keras file?)"},
                              {"\x89PNG\r\n\x1a\n", "looks like a PNG image"},
                              {"\xff\xd8\xff\xe0", "looks like a JPEG image"},
                              {"{\"a\": 1}", "looks like JSON"},
                              {"\x01\x02", "is not an HDF5 file"},
                              {"\x89HDF\r\n\x1a\n", "damaged or cut short"}}) {
        CAPTURE(e.said);
        put(path, e.given);
        CHECK(refusal(path).find(e.said) != std::string::npos);
    }
    std::filesystem::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // must not wait for a writer
    CHECK(refusal(path).find("is not a regular file") != std::string::npos);
    CHECK_FALSE(ZipFile::looks_like_one(path));
}

TEST_CASE("HDF5: a file that may not be read") {
    if (geteuid() == 0) {
        MESSAGE("skipped: root may read everything");
        return;
    }
    const TemporaryFolder folder;
    put(folder / "a.h5", "\x89HDF\r\n\x1a\n");
    std::filesystem::permissions(folder / "a.h5", std::filesystem::perms::none);
    CHECK(refusal(folder / "a.h5").find("Permission denied") != std::string::npos);
}

TEST_CASE("HDF5: a file cut short anywhere is refused in one line") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    {
        Hdf5Writer file(path);
        file.dataset("/g/x", counting({7, 11}));
        file.attribute("/g", "text", std::string(5000, 't'));
        file.commit();
    }
    const std::string whole = content(path);
    for (std::size_t size = 1; size < whole.size(); size += 97) {
        CAPTURE(size);
        put(path, whole.substr(0, size));
        CHECK(refusal(path, [](const Hdf5File& file) { file.read("/g/x"), file.text("/g", "text"); }) != "");
    }
}

TEST_CASE("HDF5: arrays of every shape come back bit for bit, as views of one mapping") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const std::vector<Shape> shapes = {{}, {1}, {1, 1}, {3}, {2, 3, 5}, {3, 3, 1, 7}, {1, 2, 3, 2, 1}, {100, 1000}};
    {
        Hdf5Writer file(path);
        for (std::size_t i = 0; i < shapes.size(); i++) file.dataset("/deep/down/" + std::to_string(i), counting(shapes[i]));
        const float odd[] = {-0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min()};
        file.dataset("odd", Tensor::from({3}, odd));
        file.commit();
    }
    const Hdf5File file(path);
    CHECK(file.children("/") == Texts{"deep", "odd"});
    for (std::size_t i = 0; i < shapes.size(); i++) {
        const std::string name = "/deep/down/" + std::to_string(i);
        CAPTURE(name);
        CHECK(file.shape(name) == shapes[i]);
        CHECK(file.mapped(name));
        CHECK(same_bits(file.read(name), counting(shapes[i])));
        CHECK(file.read(name).id() == file.read(name).id());
    }
    CHECK(std::signbit(file.read("/odd").at_flat(0)));
    CHECK(file.read("/odd").at_flat(2) > 0);
}

TEST_CASE("HDF5: the mapping is of the file that was opened, whatever its name means later") {
    const TemporaryFolder folder;
    const auto write = [&](float value) {
        Hdf5Writer file(folder / "a.h5");
        file.dataset("/x", Tensor::full({4}, value));
        file.commit();
    };
    write(1);
    const Hdf5File file(folder / "a.h5");
    write(2);  // a new file under the old name
    CHECK(file.read("/x").at_flat(0) == 1);
    CHECK(Hdf5File(folder / "a.h5").read("/x").at_flat(0) == 2);
}

TEST_CASE("HDF5: numbers that cannot be looked at in place are read") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const float values[] = {1, 2, 3};
    SUBCASE("behind a user block they still can") {
        const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
        H5Pset_userblock(creation, 512);
        const hid_t type = text_type(H5T_VARIABLE, H5T_STR_NULLTERM);
        const char* text = "hello";
        {
            Raw raw(path, creation);
            raw.array("x", H5T_NATIVE_FLOAT, {3}, values);
            raw.attribute("/", "t", type, -1, &text);
        }
        H5Tclose(type), H5Pclose(creation);
        const Hdf5File file(path);
        CHECK(file.mapped("/x"));
        CHECK(file.read("/x").at_flat(2) == 3);
        CHECK(file.text("/", "t") == "hello");
    }
    SUBCASE("at an odd place") {
        {
            Raw raw(path);
            raw.array("bytes", H5T_STD_U8LE, {3}, "abc");
            raw.array("x", H5T_NATIVE_FLOAT, {3}, values);
        }
        const Hdf5File file(path);
        CHECK_FALSE(file.mapped("/x"));
        CHECK(file.read("/x").at_flat(2) == 3);
        CHECK(file.read("/bytes").at_flat(0) == 'a');
    }
    SUBCASE("never written: the fill value") {
        const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
        const float fill = 7;
        H5Pset_fill_value(creation, H5T_NATIVE_FLOAT, &fill);
        {
            Raw raw(path);
            raw.array("x", H5T_NATIVE_FLOAT, {3}, nullptr, creation);
        }
        H5Pclose(creation);
        const Hdf5File file(path);
        CHECK_FALSE(file.mapped("/x"));
        CHECK(file.read("/x").at_flat(2) == 7);
    }
    SUBCASE("none at all") {
        {
            Raw raw(path);
            raw.array("x", H5T_NATIVE_FLOAT, {3, 0, 5}, nullptr);
        }
        const Hdf5File file(path);
        CHECK_FALSE(file.mapped("/x"));
        CHECK(file.read("/x").shape() == Shape{3, 0, 5});
    }
    SUBCASE("every number of float16") {
        std::vector<std::uint16_t> halves(1 << 16);
        std::iota(halves.begin(), halves.end(), 0);
        const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
        H5Tset_fields(half, 15, 10, 5, 0, 10), H5Tset_size(half, 2), H5Tset_ebias(half, 15);
        {
            Raw raw(path);
            raw.array("x", half, {hsize_t(halves.size())}, halves.data());
        }
        H5Tclose(half);
        const Tensor x = Hdf5File(path).read("/x");
        int wrong = 0;
        for (int i = 0; i < 1 << 16; i++) {
            const int exponent = i >> 10 & 31, mantissa = i & 1023;
            const double magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY)
                                     : exponent     ? std::ldexp(1024 + mantissa, exponent - 25)
                                                    : std::ldexp(mantissa, -24);
            const double expected = i >> 15 ? -magnitude : magnitude, found = x.at_flat(i);
            wrong += std::isnan(expected) ? !std::isnan(found) : found != expected || std::signbit(found) != std::signbit(expected);
        }
        CHECK(wrong == 0);
    }
    SUBCASE("bfloat16 as Keras marks it, and two bytes of anything") {
        const hid_t two_bytes = H5Tcreate(H5T_OPAQUE, 2), text = text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8);
        const std::uint16_t halves[] = {0x3fc0, 0xc000, 0x7f80};  // 1.5, -2, infinity
        const char *right = "bfloat16", *wrong = "int16";
        {
            Raw raw(path);
            for (const char* name : {"x", "unmarked", "other"}) raw.array(name, two_bytes, {3}, halves);
            raw.attribute("x", "dtype", text, -1, &right);
            raw.attribute("other", "dtype", text, -1, &wrong);
        }
        H5Tclose(two_bytes), H5Tclose(text);
        const Tensor x = Hdf5File(path).read("/x");
        CHECK(x.at_flat(0) == 1.5);
        CHECK(x.at_flat(1) == -2);
        CHECK(std::isinf(x.at_flat(2)));
        for (const char* name : {"/unmarked", "/other"}) CHECK(read_refusal(path, name).find("does not hold numbers") != std::string::npos);
    }
}

TEST_CASE("HDF5: arrays limn has no use for are refused by name") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const hid_t pair = H5Tcreate(H5T_COMPOUND, 8), text = text_type(H5T_VARIABLE, H5T_STR_NULLTERM);
    const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Tinsert(pair, "a", 0, H5T_NATIVE_FLOAT), H5Tinsert(pair, "b", 4, H5T_NATIVE_FLOAT);
    const hsize_t chunk[] = {3};
    H5Pset_chunk(chunked, 1, chunk), H5Pset_nbit(chunked);
    const float numbers[6] = {};
    const char* words[] = {"a", "b", "c"};
    {
        Raw raw(path);
        raw.array("pairs", pair, {3}, numbers);
        raw.array("words", text, {3}, words);
        raw.array("six axes", H5T_NATIVE_FLOAT, {1, 1, 1, 1, 1, 3}, numbers);
        raw.array("squeezed", H5T_NATIVE_FLOAT, {3}, numbers, chunked);
        raw.array("two\nlines", pair, {3}, numbers);
    }
    H5Tclose(pair), H5Tclose(text), H5Pclose(chunked);
    for (const Expected& e : {Expected{"/pairs", "does not hold numbers"},
                              {"/words", "does not hold numbers"},
                              {"/six axes", "has 6 axes"},
                              {"/squeezed", "compressed with 'nbit'"},
                              {"/two\nlines", "'/two?lines' does not hold"},
                              {"/absent", "there is no array '/absent'"},
                              {"/pairs/below", "there is no array"},
                              {"/", "is a group"}}) {
        CAPTURE(e.given);
        CHECK(read_refusal(path, e.given).find(e.said) != std::string::npos);
    }
}

TEST_CASE("HDF5: a path may not pass through links that lead elsewhere, nor be endless") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    {
        Raw raw(path);
        const hid_t g = H5Gcreate2(raw.file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_hard(raw.file, "/g", g, "again", H5P_DEFAULT, H5P_DEFAULT);  // a circle
        H5Lcreate_soft("/g", raw.file, "soft", H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(g);
    }
    const Hdf5File file(path);
    CHECK(file.children("/") == Texts{"g", "soft"});
    CHECK(file.is_group("/g/again/again"));
    CHECK_FALSE(file.has("/g/again/x"));
    for (const char* through : {"/soft", "/soft/again"})
        CHECK_THROWS_WITH_AS(file.has(through), doctest::Contains("link to somewhere else"), Error);
    CHECK_THROWS_WITH_AS(file.children("/soft"), doctest::Contains("link to somewhere else"), Error);
    CHECK_THROWS_WITH_AS(file.has_attribute("/soft", "a"), doctest::Contains("link to somewhere else"), Error);
    CHECK_THROWS_AS(file.children("/absent"), Error);
    std::string endless = "/g";
    for (int i = 0; i < 100; i++) endless += "/again";
    CHECK_THROWS_WITH_AS(file.has(endless), doctest::Contains("groups deep"), Error);
}

TEST_CASE("HDF5: text attributes in all the forms Keras's versions wrote") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const char *one = "ä b", *many[] = {"first", "", "third"};
    const std::string long_text(200000, 'x');
    const char* long_pointer = long_text.c_str();
    {
        Raw raw(path);
        const hid_t any_ascii = text_type(H5T_VARIABLE, H5T_STR_NULLTERM);
        const hid_t any_utf8 = text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8);
        raw.attribute("/", "variable", any_utf8, -1, &one);
        raw.attribute("/", "variable list", any_ascii, 3, many);
        raw.attribute("/", "long", any_utf8, -1, &long_pointer);
        raw.attribute("/", "never written", any_utf8, 2, nullptr);
        for (const auto& [name, padding, bytes] :
             std::vector<std::tuple<const char*, H5T_str_t, const char*>>{{"zero padded", H5T_STR_NULLPAD, "abcdxy\0"},
                                                                          {"zero ended", H5T_STR_NULLTERM, "abc\0xy\0"},
                                                                          {"space padded", H5T_STR_SPACEPAD, "abcdxy  "}}) {
            const hid_t four = text_type(4, padding);
            raw.attribute("/", name, four, 2, bytes);
            H5Tclose(four);
        }
        raw.attribute("/", "empty list", H5T_IEEE_F64LE, 0, nullptr);  // how NumPy writes []
        raw.attribute("/", "numbers", H5T_STD_I16BE, 3, "\0\1\xff\xff\0\2");
        for (int i = 0; i < 3; i++) raw.attribute("/", ("split" + std::to_string(i)).c_str(), any_ascii, 1, &many[i]);
        raw.attribute("/", "both", any_ascii, 1, &many[2]);
        raw.attribute("/", "both0", any_ascii, 1, &many[0]);
        H5Tclose(any_ascii), H5Tclose(any_utf8);
    }
    const Hdf5File file(path);
    CHECK(file.text("/", "variable") == one);
    CHECK(file.text("/", "long") == long_text);
    CHECK(file.texts("/", "variable list") == Texts{"first", "", "third"});
    CHECK(file.texts("/", "never written") == Texts{"", ""});
    CHECK(file.texts("/", "zero padded") == Texts{"abcd", "xy"});
    CHECK(file.texts("/", "zero ended") == Texts{"abc", "xy"});
    CHECK(file.texts("/", "space padded") == Texts{"abcd", "xy"});
    CHECK(file.texts("/", "empty list").empty());
    CHECK(file.texts("/", "split") == Texts{"first", "", "third"});
    CHECK(file.texts("/", "both") == Texts{"third"});  // the plain name wins
    CHECK(file.has_attribute("/", "split"));
    CHECK_FALSE(file.has_attribute("/", "absent"));
    CHECK_FALSE(file.has_attribute("/absent", "variable"));
    CHECK_THROWS_WITH_AS(file.text("/", "absent"), doctest::Contains("has no attribute 'absent'"), Error);
    CHECK_THROWS_WITH_AS(file.text("/", "empty list"), doctest::Contains("should be one text"), Error);
    CHECK_THROWS_WITH_AS(file.texts("/", "numbers"), doctest::Contains("should be text"), Error);

    CHECK(file.numbers("/", "numbers") == std::vector<double>{1, -1, 2});
    CHECK(file.numbers("/", "empty list") == std::vector<double>{});
    CHECK_FALSE(file.numbers("/", "absent"));
    CHECK_THROWS_WITH_AS(file.numbers("/", "variable"), doctest::Contains("should be numbers"), Error);
}

TEST_CASE("HDF5: a damaged reference to a text is an Error: HDF5 itself would read and write out of bounds") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const std::string text = "a text of thirty-seven characters ...";
    {
        Hdf5Writer file(path);
        file.attribute("/", "t", text);
        file.commit();
    }
    const std::string whole = content(path);
    // a reference: length, place of the heap, number in the heap
    std::string heap(8, '\0');
    for (std::size_t i = 0, place = whole.find("GCOL"); i < 8; i++) heap[i] = char(place >> (8 * i));
    const std::size_t at = whole.find(std::string{char(text.size()), 0, 0, 0} + heap);
    REQUIRE(at != std::string::npos);
    const auto with = [&](std::size_t offset, char byte) {
        std::string bytes = whole;
        bytes[at + offset] = byte;
        put(path, bytes);
        return refusal(path, [](const Hdf5File& file) { file.text("/", "t"); });
    };
    CHECK(with(0, char(text.size())) == "");  // as it was
    struct Damage {
        std::size_t offset;
        char byte;
    };
    for (const Damage& d : {Damage{0, 120}, {3, 1}, {4, 1}, {6, 127}, {11, -1}, {12, 2}, {13, 1}, {15, -1}}) {
        CAPTURE(d.offset);
        CHECK(with(d.offset, d.byte).find("its text is not where it should be") != std::string::npos);
    }
}

TEST_CASE("HDF5: nothing is printed, and the caller's own printing is left as it was") {
    const TemporaryFolder folder;
    int printed = 0;
    const H5E_auto2_t count = [](hid_t, void* n) -> herr_t { return ++*static_cast<int*>(n), 0; };
    H5E_auto2_t before = nullptr;
    void* before_data = nullptr;
    H5Eget_auto2(H5E_DEFAULT, &before, &before_data);
    H5Eset_auto2(H5E_DEFAULT, count, &printed);
    { Raw raw(folder / "a.h5"); }
    put(folder / "b.h5", content(folder / "a.h5").substr(0, 100));
    CHECK(refusal(folder / "b.h5") != "");
    CHECK(read_refusal(folder / "a.h5", "/x") != "");
    CHECK_THROWS_AS(Hdf5Writer(folder / "absent" / "c.h5"), Error);
    CHECK(printed == 0);
    H5Fopen("/no/such/file", H5F_ACC_RDONLY, H5P_DEFAULT);
    CHECK(printed == 1);
    H5Eset_auto2(H5E_DEFAULT, before, before_data);
}

TEST_CASE("HDF5 writer: all or nothing") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const auto files = [&] { return std::distance(std::filesystem::directory_iterator(folder.path), {}); };
    put(path, "what was there before");
    SUBCASE("without commit") { Hdf5Writer(path).dataset("/x", counting({3})); }
    SUBCASE("after an error that was caught") {
        Hdf5Writer file(path);
        file.dataset("/x", counting({3}));
        CHECK_THROWS_WITH_AS(file.dataset("/x", counting({3})), doctest::Contains("the array '/x' cannot be written"), Error);
        CHECK_THROWS_WITH_AS(file.commit(), doctest::Contains("given up after an error"), Error);
    }
    SUBCASE("an array where a group should be") {
        Hdf5Writer file(path);
        file.dataset("/x", counting({3}));
        CHECK_THROWS_AS(file.dataset("/x/y", counting({3})), Error);
    }
    SUBCASE("a text longer than an attribute in a list may be") {
        Hdf5Writer file(path);
        CHECK_THROWS_WITH_AS(file.attribute("/", "a", Texts{std::string(70000, 'x')}),
                             doctest::Contains("the attribute 'a' of '/' cannot be written"), Error);
    }
    SUBCASE("no group to hold the attribute") {
        Hdf5Writer file(path);
        CHECK_THROWS_AS(file.attribute("/absent", "a", std::string("x")), Error);
    }
    CHECK(content(path) == "what was there before");
    CHECK(files() == 1);
}

TEST_CASE("HDF5 writer: what is no array of float32, a zero byte, a folder, a second commit") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(Hdf5Writer(folder.path), doctest::Contains("is a directory"), Error);
    CHECK_THROWS_WITH_AS(Hdf5Writer(folder / "absent" / "a.h5"), doctest::Contains("No such file"), Error);
    Hdf5Writer file(folder / "a.h5");
    CHECK_THROWS_AS(file.dataset("/x", Tensor()), Error);
    CHECK_THROWS_AS(file.dataset("/x", Tensor::zeros({3}, DType::f64)), Error);
    CHECK_THROWS_AS(file.attribute("/", "a", std::string("a\0b", 3)), Error);
    file.group("/");
    file.commit();
    CHECK_THROWS_AS(file.commit(), Error);
    CHECK(Hdf5File(folder / "a.h5").children("/").empty());
}

TEST_CASE("HDF5 writer: the same numbers give the same file, whenever it is written") {
    const TemporaryFolder folder;
    const auto write = [&](const char* name) {
        Hdf5Writer file(folder / name);
        file.dataset("/g/x", counting({2, 3}));
        file.attribute("/g", "names", Texts{"x"});
        file.attribute("/", "text", std::string("t"));
        file.commit();
    };
    write("a.h5");
    for (const std::time_t start = std::time(nullptr); std::time(nullptr) == start;) usleep(10000);  // HDF5 would note the second
    write("b.h5");
    CHECK(content(folder / "a.h5") == content(folder / "b.h5"));
}

// In a process of its own, which may write only so many bytes to a file: the disk is full for it alone.
TEST_CASE("HDF5 writer: on a full disk an Error, and no file under either name") {
    const TemporaryFolder folder;
    for (const rlim_t room : {0, 1, 100, 1000, 3000, 5000, 100000, 390000, 400000}) {
        CAPTURE(room);
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{room, room};
            setrlimit(RLIMIT_FSIZE, &limit);
            int said = 0;
            try {
                Hdf5Writer file(folder / "a.h5");
                file.attribute("/", "layer_names", Texts(100, "a_layer"));
                for (int i = 0; i < 20; i++) file.dataset("/g" + std::to_string(i) + "/small", counting({3}));
                file.dataset("/large", counting({100000}));
                file.commit();
            } catch (const Error& e) {
                const std::string text = e.what();
                const bool clear = text.starts_with((folder / "a.h5").string()) && text.find("File too large") != std::string::npos;
                said = clear && text.find('\n') == std::string::npos ? 1 : 2;
            }
            _exit(said);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 1);
        CHECK(std::filesystem::is_empty(folder.path));
    }
}
