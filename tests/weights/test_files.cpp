// Arrays, labels and downloads.
#include <cstdlib>
#include <fstream>

#include "tests/support.h"
#include "tests/support_models.h"
#include "weights/fetch.h"
#include "weights/imagenet.h"
#include "weights/npy.h"

using namespace limn;

namespace {

void put(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string npy(const std::string& header, const std::string& data) {
    return std::string("\x93NUMPY\1\0", 8) + char(header.size() & 255) + char(header.size() >> 8) + header + data;
}

struct CacheIn {
    explicit CacheIn(const std::filesystem::path& folder) { setenv("LIMN_CACHE", folder.c_str(), 1); }
    ~CacheIn() { unsetenv("LIMN_CACHE"); }
};

}  // namespace

TEST_CASE(".npy: what is written is read again; other number types become float") {
    const TemporaryFolder folder;
    for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{7}, Shape{}, Shape{0, 3}}) {
        const Tensor t = random_tensor(shape, 1);
        write_npy(folder / "a.npy", t);
        CHECK(same_bits(read_npy(folder / "a.npy"), t));
    }
    write_npy(folder / "d.npy", random_tensor({3}, 1, -1, 1, DType::f64));
    CHECK(read_npy(folder / "d.npy").dtype() == DType::f32);
    put(folder / "i.npy", npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", std::string("\x05\0\0\0\xff\xff\xff\xff", 8)));
    CHECK(read_npy(folder / "i.npy").at({0}) == 5);
    CHECK(read_npy(folder / "i.npy").at({1}) == -1);
}

TEST_CASE(".npy: files that are none, or not to be trusted") {
    const TemporaryFolder folder;
    const auto refuse = [&](const std::string& bytes, const char* expected) {
        put(folder / "b.npy", bytes);
        CHECK_THROWS_WITH_AS(read_npy(folder / "b.npy"), doctest::Contains(expected), Error);
    };
    refuse("", "is not a .npy file");
    refuse("\x93NUMPY", "is not a .npy file");
    refuse(std::string("\x93NUMPY\1\0\xff\xff{}", 12), "cut short");
    refuse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "12345678"), "Fortran order");
    refuse(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "12345678"), "number type is '>f4'");
    refuse(npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "12345678"), "number type is '|O'");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "12345678"), "does not fit");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", "12345678"), "too many elements");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1), }", "1234"), "7 axes");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "1234"), "not a list of sizes");
    refuse(npy("{'shape': (1,)}", "1234"), "has no 'descr'");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 3), }", "1234"), "does not fit");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "1234"), "not a list of sizes");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905,), }", "1234"), "does not fit");  // 4 bytes, modulo 2^64
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (", ""), "has no shape");
    refuse(npy("{'descr':", ""), "cut short");
}

TEST_CASE("ImageNet's classes by name") {
    CHECK(imagenet_labels().size() == 1000);
    CHECK(imagenet_labels()[0] == "tench");
    CHECK(imagenet_labels()[207] == "golden_retriever");
    CHECK(imagenet_labels()[281] == "tabby");
    CHECK(imagenet_labels()[285] == "Egyptian_cat");
    CHECK(imagenet_labels()[999] == "toilet_tissue");
}

TEST_CASE("published weights: addresses and checksums of keras.applications") {
    REQUIRE(find_published("vgg16"));
    CHECK(find_published("vgg16")->md5 == "64373286793e3c8b2b4e3219cbf3544b");
    CHECK(find_published("vgg16")->url ==
          "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5");
    CHECK_FALSE(find_published("vgg17"));
}

TEST_CASE("fetch: from a mirror, verified, resumed, and never half a file under the final name") {
    const TemporaryFolder folder;
    const CacheIn cache(folder / "cache");
    std::filesystem::create_directories(folder / "mirror");
    const std::string content(300000, 'x');
    put(folder / "mirror" / "w.h5", content);
    const Published weights{"w", "w.h5", "https://nowhere.invalid/w.h5", "d408ed46ebcc326f9e7c6bb9c77af1cd"};  // md5 of 300000 x
    const FetchOptions mirror{"file://" + (folder / "mirror").string(), {}};
    const auto final_file = folder / "cache" / "w.h5", part = folder / "cache" / "w.h5.part";

    SUBCASE("whole") {
        std::uint64_t seen = 0;
        CHECK(fetch(weights, {mirror.mirror, [&](std::uint64_t done, std::uint64_t total) {
                                  seen = std::max(seen, done);
                                  CHECK(total == content.size());
                              }}) == final_file);
        CHECK(std::filesystem::file_size(final_file) == content.size());
        CHECK_FALSE(std::filesystem::exists(part));
        CHECK(seen == content.size());
        std::filesystem::remove_all(folder / "mirror");
        CHECK(fetch(weights, mirror) == final_file);  // it is there: nothing is fetched
    }
    SUBCASE("resumed from half") {
        std::filesystem::create_directories(folder / "cache");
        put(part, content.substr(0, 123456));
        CHECK(fetch(weights, mirror) == final_file);
        CHECK(std::filesystem::file_size(final_file) == content.size());
    }
    SUBCASE("a part of something else is thrown away once") {
        std::filesystem::create_directories(folder / "cache");
        put(part, std::string(1000, 'y'));
        CHECK(fetch(weights, mirror) == final_file);
    }
    SUBCASE("a wrong checksum") {
        put(folder / "mirror" / "w.h5", "something else");
        CHECK_THROWS_WITH_AS(fetch(weights, mirror), doctest::Contains("was expected"), Error);
        CHECK_FALSE(std::filesystem::exists(final_file));
        CHECK_FALSE(std::filesystem::exists(part));
    }
    SUBCASE("nothing there") {
        CHECK_THROWS_WITH_AS(fetch(weights, {"file:///no/such/folder", {}}), doctest::Contains("--mirror"), Error);
        CHECK_FALSE(std::filesystem::exists(final_file));
    }
    SUBCASE("a protocol that is not to be used") { CHECK_THROWS_AS(fetch(weights, {"scp://somewhere", {}}), Error); }
}

TEST_CASE("HDF5: arrays are mapped where they lie as needed, and converted where not") {
    const TemporaryFolder folder;
    const Tensor t = random_tensor({3, 5}, 1);
    {
        Hdf5Writer file(folder / "a.h5");
        file.dataset("/g/x", t);
        file.dataset("/g/empty", Tensor({0}));
        file.attribute("/g", "none", std::vector<std::string>{});
        file.attribute("/g", "two", std::vector<std::string>{"a", "longer"});
        file.attribute("/g", "many", std::vector<std::string>(20000, "some_layer_name"));
        file.attribute("/", "text", std::string("ü"));
        CHECK_FALSE(std::filesystem::exists(folder / "a.h5"));
        file.commit();
    }
    Tensor mapped;
    {
        const Hdf5File file(folder / "a.h5");
        CHECK(file.mapped("/g/x"));
        mapped = file.read("/g/x");
        CHECK(file.read("/g/empty").size() == 0);
        CHECK(file.texts("/g", "none").empty());
        CHECK(file.texts("/g", "two") == std::vector<std::string>{"a", "longer"});
        CHECK(file.texts("/g", "many").size() == 20000);  // split among many0, many1... as Keras does
        CHECK(file.text("/", "text") == "ü");
        CHECK(file.children("/g") == std::vector<std::string>{"empty", "x"});
        CHECK_THROWS_AS(file.read("/g/missing"), Error);
        CHECK_THROWS_AS(file.text("/g", "two"), Error);
    }
    CHECK(same_bits(mapped, t));  // the mapping outlives the file object
}
