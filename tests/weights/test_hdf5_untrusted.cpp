// HDF5 files as other programs write them, and as nobody should: made here with the HDF5 library itself.
#include <hdf5.h>

#include "tests/support.h"
#include "weights/hdf5_file.h"

using namespace limn;

namespace {

// A file with one dataset "/x" of 2x3 numbers 0..5 in the given stored type, made with the given creation properties.
void make(const std::filesystem::path& path, hid_t stored, hid_t properties = H5P_DEFAULT) {
    const hsize_t sizes[] = {2, 3};
    const float numbers[] = {0, 1, 2, 3, 4, 5};
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(2, sizes, nullptr);
    const hid_t data = H5Dcreate2(file, "/x", stored, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    REQUIRE(data >= 0);
    REQUIRE(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    H5Dclose(data), H5Sclose(space), H5Fclose(file);
}

void check_counting(const std::filesystem::path& path, bool mapped) {
    const Hdf5File file(path);
    CHECK(file.mapped("/x") == mapped);
    const Tensor t = file.read("/x");
    REQUIRE(t.shape() == (Shape{2, 3}));
    for (Index i = 0; i < 6; i++) CHECK(t.at_flat(i) == double(i));
}

}  // namespace

TEST_CASE("HDF5: every number type and layout is read; only plain float32 is mapped") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    make(path, H5T_IEEE_F32LE);
    check_counting(path, true);
    for (hid_t type : {H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_STD_I32LE, H5T_STD_U8BE}) {
        make(path, type);
        check_counting(path, false);
    }
    const hid_t half = H5Tcopy(H5T_IEEE_F32LE);  // float16 as HDF5 describes it
    H5Tset_fields(half, 15, 10, 5, 0, 10), H5Tset_size(half, 2), H5Tset_ebias(half, 15);
    make(path, half);
    check_counting(path, false);
    H5Tclose(half);

    const hsize_t chunk[] = {1, 2};
    const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunked, 2, chunk), H5Pset_deflate(chunked, 6);
    make(path, H5T_IEEE_F32LE, chunked);
    check_counting(path, false);
    H5Pclose(chunked);
}

TEST_CASE("HDF5: links and storage that lead out of the file are refused") {
    const TemporaryFolder folder;
    make(folder / "other.h5", H5T_IEEE_F32LE);
    const auto path = folder / "a.h5";
    make(path, H5T_IEEE_F32LE);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Lcreate_soft("/x", file, "/soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external((folder / "other.h5").c_str(), "/x", file, "/external", H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t sizes[] = {2, 3};
    const hid_t space = H5Screate_simple(2, sizes, nullptr), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(properties, (folder / "raw").c_str(), 0, 24);
    H5Dclose(H5Dcreate2(file, "/outside", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT));
    const hid_t assembled = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(assembled, space, (folder / "other.h5").c_str(), "/x", space);
    H5Dclose(H5Dcreate2(file, "/virtual", H5T_IEEE_F32LE, space, H5P_DEFAULT, assembled, H5P_DEFAULT));
    H5Pclose(assembled), H5Pclose(properties), H5Sclose(space), H5Fclose(file);

    const Hdf5File opened(path);
    CHECK_THROWS_WITH_AS(opened.read("/soft"), doctest::Contains("link to somewhere else"), Error);
    CHECK_THROWS_WITH_AS(opened.read("/external"), doctest::Contains("link to somewhere else"), Error);
    CHECK_THROWS_WITH_AS(opened.read("/outside"), doctest::Contains("stored outside"), Error);
    CHECK_THROWS_WITH_AS(opened.read("/virtual"), doctest::Contains("virtual"), Error);
    CHECK(opened.read("/x").size() == 6);
}

TEST_CASE("HDF5: a small file that declares huge arrays is refused before memory is taken") {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const hsize_t sizes[] = {1 << 20, 1 << 15};  // 128 GB of nothing
    const hsize_t chunk[] = {1024, 1024};
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(2, sizes, nullptr),
                properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, 2, chunk);
    H5Dclose(H5Dcreate2(file, "/bomb", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT));
    H5Pclose(properties), H5Sclose(space), H5Fclose(file);
    CHECK_THROWS_WITH_AS(Hdf5File(path).read("/bomb"), doctest::Contains("declares 128 GB"), Error);
}
