// Folders of photos as people have them, and what a training step sees of them.
#include <fstream>
#include <set>

#include "engine/file.h"
#include "tests/support.h"
#include "tests/train/photos.h"
#include "train/loader.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

bool names(const std::vector<std::string>& problems, const std::string& file, const std::string& what) {
    return std::any_of(problems.begin(), problems.end(), [&](const std::string& p) {
        return p.find(file) != std::string::npos && p.find(what) != std::string::npos && p.find('\n') == std::string::npos;
    });
}

LoaderSettings small(Index batch = 4) {
    return {.input = {Preprocess::unit, 10, 8, Resampling::bilinear, 3}, .augmentation = {}, .batch = batch};
}

std::vector<Batch> all_batches(const std::vector<Sample>& samples, const LoaderSettings& settings, int epoch) {
    Loader loader(samples, settings, epoch);
    std::vector<Batch> batches(1);
    while (loader.next(batches.back())) batches.emplace_back();
    batches.pop_back();
    return batches;
}

}  // namespace

TEST_CASE("class folders become classes in alphabetical order, with a seeded share of each for validation") {
    const TemporaryFolder folder;
    write_photos(folder.path / "dog", 10, 1);
    write_photos(folder.path / "cat", 20, 2);
    const Dataset data = open_dataset(folder.path, {.validation = {}, .validation_share = 0.2});
    CHECK(data.labels == std::vector<std::string>{"cat", "dog"});
    CHECK(data.train.size() == 24);
    CHECK(data.validation.size() == 6);
    CHECK(std::count_if(data.validation.begin(), data.validation.end(), [](const Sample& s) { return s.label == 0; }) == 4);
    CHECK(data.problems.empty());

    const auto paths = [](const std::vector<Sample>& samples) {
        std::set<fs::path> set;
        for (const Sample& s : samples) set.insert(s.path);
        return set;
    };
    CHECK(paths(open_dataset(folder.path, {}).validation) == paths(data.validation));
    CHECK(paths(open_dataset(folder.path, {.validation = {}, .validation_share = 0.2, .seed = 2}).validation) != paths(data.validation));
    CHECK(open_dataset(folder.path, {}).fingerprint == data.fingerprint);
    fs::create_directories(folder.path / "limn-train");  // what a run left there is no class
    write_file(folder.path / "limn-train" / "checkpoint.h5", std::string_view("x"));
    CHECK(open_dataset(folder.path, {}).fingerprint == data.fingerprint);
    write_photos(folder.path / "cat", 21, 2);
    CHECK(open_dataset(folder.path, {}).fingerprint != data.fingerprint);
}

TEST_CASE("train and val folders are taken as they are; so is a validation folder elsewhere") {
    const TemporaryFolder folder;
    for (const char* kind : {"cat", "dog"}) {
        write_photos(folder.path / "train" / kind, 5, kind[0]);
        write_photos(folder.path / "val" / kind, 2, 100 + kind[0]);
        write_photos(folder.path / "other" / kind, 3, 200 + kind[0]);
    }
    CHECK(open_dataset(folder.path, {}).train.size() == 10);
    CHECK(open_dataset(folder.path, {}).validation.size() == 4);
    CHECK(open_dataset(folder.path / "train", {.validation = folder.path / "other"}).validation.size() == 6);
    write_photos(folder.path / "val" / "horse", 1, 9);
    CHECK_THROWS_WITH_AS(open_dataset(folder.path, {}), doctest::Contains("there is no such class"), Error);
}

TEST_CASE("photos that cannot be used are named, each in one line with its reason, and left out") {
    const TemporaryFolder folder;
    write_photos(folder.path / "cat", 6, 1);
    write_photos(folder.path / "dog", 6, 2);
    write_file(folder.path / "cat" / "empty.jpg", std::string_view());
    write_file(folder.path / "cat" / "notes.txt", std::string_view("not a photo"));
    write_file(folder.path / "cat" / ".hidden", std::string_view("nobody asked"));
    fs::copy_file(folder.path / "dog" / "0.png", folder.path / "dog" / "cut.png");
    fs::resize_file(folder.path / "dog" / "cut.png", fs::file_size(folder.path / "dog" / "cut.png") / 2);
    fs::copy_file(folder.path / "cat" / "1.png", folder.path / "dog" / "liar.png");
    const Dataset data = open_dataset(folder.path, {});
    CHECK(names(data.problems, "empty.jpg", "is empty"));
    CHECK(names(data.problems, "notes.txt", "not a photo"));
    CHECK(names(data.problems, "cut.png", "cut short"));
    CHECK(names(data.problems, "liar.png", "mislabelled"));
    CHECK(names(data.problems, "cat/1.png", "mislabelled"));
    CHECK(data.problems.size() == 5);
    CHECK(data.train.size() + data.validation.size() == 11);
}

TEST_CASE("a validation photo that is also trained on is named and left out") {
    const TemporaryFolder folder;
    for (const char* kind : {"cat", "dog"}) {
        write_photos(folder.path / "train" / kind, 4, kind[0]);
        write_photos(folder.path / "val" / kind, 3, 50 + kind[0]);
    }
    fs::copy_file(folder.path / "train" / "cat" / "2.png", folder.path / "val" / "cat" / "known.png");
    const Dataset data = open_dataset(folder.path, {});
    CHECK(names(data.problems, "known.png", "among the training photos"));
    CHECK(data.validation.size() == 6);
}

TEST_CASE("of copies of a photo one is kept where a folder is split; where it is not, they do no harm") {
    const TemporaryFolder folder;
    for (const char* kind : {"cat", "dog"}) write_photos(folder.path / "all" / kind, 5, kind[0]);
    fs::copy_file(folder.path / "all" / "cat" / "2.png", folder.path / "all" / "cat" / "copy.png");
    const Dataset split = open_dataset(folder.path / "all", {});
    CHECK(names(split.problems, "copy.png", "is the same photo as"));
    CHECK(split.train.size() + split.validation.size() == 10);
    for (const char* kind : {"cat", "dog"}) write_photos(folder.path / "val" / kind, 2, 50 + kind[0]);
    CHECK(open_dataset(folder.path / "all", {.validation = folder.path / "val"}).train.size() == 11);
}

TEST_CASE("a folder train alone is split; folders of folders are not taken for classes; a link to itself is named") {
    const TemporaryFolder folder;
    for (const char* part : {"a/train", "b/training_set", "b/test_set"})
        for (const char* kind : {"cat", "dog"}) write_photos(folder.path / part / kind, 5, kind[0] + part[0] + part[3]);
    const Dataset data = open_dataset(folder.path / "a", {});
    CHECK(data.labels == std::vector<std::string>{"cat", "dog"});
    CHECK(data.validation.size() == 2);
    CHECK_THROWS_WITH_AS(open_dataset(folder.path / "b", {}), doctest::Contains("hold the same folders (cat, dog...)"), Error);
    fs::create_symlink("loop", folder.path / "a" / "train" / "cat" / "loop");
    CHECK(names(open_dataset(folder.path / "a", {}).problems, "loop", "loop"));
}

TEST_CASE("a class may be called train, a folder of photos test; where the run itself writes is no class") {
    const TemporaryFolder folder;
    for (const char* kind : {"bus", "train"})
        for (const char* part : {"vehicles", "others"}) write_photos(folder.path / part / kind, 5, kind[0] + part[0]);
    const Dataset vehicles = open_dataset(folder.path / "vehicles", {.validation = folder.path / "others"});
    CHECK(vehicles.labels == std::vector<std::string>{"bus", "train"});
    CHECK(vehicles.validation.size() == 10);

    for (const char* kind : {"cat", "dog"}) write_photos(folder.path / "pets" / "train" / kind, 5, kind[0]);
    write_photos(folder.path / "pets" / "test", 3, 9);  // nobody says which of them are cats
    const Dataset pets = open_dataset(folder.path / "pets", {});
    CHECK(pets.labels == std::vector<std::string>{"cat", "dog"});
    CHECK(pets.validation.size() == 2);

    write_photos(folder.path / "vehicles" / "limn-train" / "pictures", 2, 7);
    CHECK(open_dataset(folder.path / "vehicles", {.out = folder.path / "vehicles" / "limn-train"}).labels == vehicles.labels);
    CHECK(open_dataset(folder.path / "vehicles", {}).labels.size() == 3);
}

TEST_CASE("folders that cannot be trained on: one clear line") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(open_dataset(folder.path / "none", {}), doctest::Contains("is not a folder"), Error);
    CHECK_THROWS_WITH_AS(open_dataset(folder.path, {}), doctest::Contains("at least two class folders"), Error);
    write_photos(folder.path / "cat", 3, 1);
    CHECK_THROWS_WITH_AS(open_dataset(folder.path, {}), doctest::Contains("there is one"), Error);
    fs::create_directories(folder.path / "dog");
    CHECK_THROWS_WITH_AS(open_dataset(folder.path, {}), doctest::Contains("holds no photo that can be used"), Error);
}

TEST_CASE("a loader's batches follow from seed, epoch and photo, not from its threads") {
    const TemporaryFolder folder;
    write_photos(folder.path / "cat", 9, 1);
    write_photos(folder.path / "dog", 8, 2);
    const Dataset data = open_dataset(folder.path, {.validation = {}, .validation_share = 0.1});
    REQUIRE(data.train.size() == 15);
    LoaderSettings settings = small();
    settings.augmentation = augmentation_named("strong");
    settings.shuffle = true;
    const std::vector<Batch> one = all_batches(data.train, settings, 1);
    settings.workers = 3;
    const std::vector<Batch> three = all_batches(data.train, settings, 1), next = all_batches(data.train, settings, 2);
    REQUIRE(one.size() == 4);
    REQUIRE(three.size() == 4);
    std::multiset<std::size_t> seen;
    for (std::size_t i = 0; i < 4; i++) {
        CHECK(same_bits(one[i].images, three[i].images));
        CHECK(one[i].labels == three[i].labels);
        seen.insert(one[i].samples.begin(), one[i].samples.end());
    }
    CHECK(seen.size() == 15);
    CHECK(std::set<std::size_t>(seen.begin(), seen.end()).size() == 15);
    CHECK(one[0].samples != next[0].samples);
    CHECK(one[3].images.shape() == Shape{3, 10, 8, 3});
    settings.drop_rest = true;
    CHECK(all_batches(data.train, settings, 1).size() == 3);

    // photos that are not kept in memory give the same numbers
    const Dataset unkept = open_dataset(folder.path, {.validation = {}, .validation_share = 0.1, .seed = 1, .memory = 0});
    CHECK(unkept.train[0].photo.rgb.empty());
    CHECK(same_bits(all_batches(unkept.train, settings, 1)[0].images, one[0].images));
}

TEST_CASE("a photo that vanishes while training is an Error that names it, not a hang") {
    const TemporaryFolder folder;
    write_photos(folder.path / "cat", 9, 1);
    write_photos(folder.path / "dog", 8, 2);
    const Dataset data = open_dataset(folder.path, {.validation = {}, .validation_share = 0.2, .seed = 1, .memory = 0});
    fs::remove(data.train[5].path);
    LoaderSettings settings = small();
    Loader loader(data.train, settings, 1);
    Batch batch;
    CHECK_THROWS_WITH_AS(while (loader.next(batch)){}, doctest::Contains(data.train[5].path.filename().c_str()), Error);
}

TEST_CASE("augmentation: sizes of every kind, numbers in range, nothing where nothing is asked for") {
    for (const auto& [h, w] : {std::pair<Index, Index>{2, 2}, {1, 300}, {31, 17}}) {
        const Image photo = test_photo(h, w, 3);
        Random random(1);
        for (int i = 0; i < 50; i++) {
            const Tensor x = augmented(photo, {Preprocess::raw, 9, 7, Resampling::bilinear, 3}, augmentation_named("strong"), random);
            CHECK(x.shape() == Shape{1, 9, 7, 3});
            CHECK(std::all_of(x.values().begin(), x.values().end(), [](float v) { return v >= 0 && v <= 255; }));
        }
    }
    const PhotoInput input{Preprocess::caffe, 9, 7, Resampling::nearest, 3};
    Random random(1);
    CHECK(same_bits(augmented(test_photo(31, 17, 3), input, {}, random), input(test_photo(31, 17, 3))));
    CHECK_THROWS_AS(augmentation_named("wild"), Error);
}
