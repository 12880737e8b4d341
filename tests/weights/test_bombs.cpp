// Model files made to hurt: small files that stand for endless work or memory, and numbers that are none. Each is refused in one line.
// Links and storage outside the file: test_hdf5_untrusted.cpp. Damaged references and sizes: test_hdf5_file.cpp.
#include <hdf5.h>

#include "engine/cpu/backend.h"
#include "engine/file.h"
#include "tests/support.h"
#include "tests/support_models.h"
#include "weights/keras_config.h"

using namespace limn;

namespace {

struct Bomb : TemporaryFolder {
    std::string file = (path / "bomb.h5").string();

    std::string refusal(const std::string& config = "") const {
        const std::string text = complaint([&] { load_model({file, config, ""}); });
        CHECK(text.find('\n') == std::string::npos);
        return text;
    }
    // A sound tiny model into which `change` then builds something with the HDF5 library itself.
    template <class F> void build(const F& change) const {
        write_model(file, tiny_config().dump(), tiny_weights());
        const hid_t id = H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        REQUIRE(id >= 0);
        change(id);
        REQUIRE(H5Fclose(id) >= 0);
    }
};

constexpr const char* kernel = "/model_weights/scores/scores/kernel:0";

// An array that declares `sizes`, in chunks of gzip, of which nothing or one is stored.
void declare(hid_t file, const char* name, std::vector<hsize_t> sizes, std::vector<hsize_t> chunk, bool one_chunk = false) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(int(sizes.size()), sizes.data(), nullptr);
    H5Pset_chunk(properties, int(chunk.size()), chunk.data()), H5Pset_deflate(properties, 9);
    const hid_t data = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    REQUIRE(data >= 0);
    if (one_chunk) {
        const std::vector<hsize_t> start(sizes.size(), 0);
        hsize_t count = 1;
        for (hsize_t c : chunk) count *= c;
        const std::vector<float> zeros(count);
        const hid_t here = H5Screate_simple(int(chunk.size()), chunk.data(), nullptr);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, chunk.data(), nullptr);
        REQUIRE(H5Dwrite(data, H5T_NATIVE_FLOAT, here, space, H5P_DEFAULT, zeros.data()) >= 0);
        H5Sclose(here);
    }
    H5Dclose(data), H5Sclose(space), H5Pclose(properties);
}

}  // namespace

TEST_CASE("links, storage outside and virtual datasets in the place of a weight, an attribute's group, the whole of the weights") {
    const Bomb bomb;
    const auto replaced = [&](const char* name, auto&& make) {
        bomb.build([&](hid_t file) {
            REQUIRE(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
            make(file, name);
        });
        return bomb.refusal();
    };
    for (const char* name : {kernel, "/model_weights/scores", "/model_weights"}) {
        check_says(replaced(name, [](hid_t f, const char* n) { H5Lcreate_soft("/etc", f, n, H5P_DEFAULT, H5P_DEFAULT); }),
                   "is a link to somewhere else: refused");
        check_says(replaced(name, [](hid_t f, const char* n) { H5Lcreate_external("/etc/passwd", "/x", f, n, H5P_DEFAULT, H5P_DEFAULT); }),
                   "is a link to somewhere else: refused");
    }
    const hsize_t sizes[] = {6, 3};
    const hid_t space = H5Screate_simple(2, sizes, nullptr);
    const auto with = [&](auto&& set) {
        return replaced(kernel, [&](hid_t f, const char* n) {
            const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
            set(properties);
            H5Dclose(H5Dcreate2(f, n, H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT));
            H5Pclose(properties);
        });
    };
    check_says(with([](hid_t p) { H5Pset_external(p, "/etc/passwd", 0, 72); }), "is stored outside the file: refused");
    check_says(with([&](hid_t p) { H5Pset_virtual(p, space, "/etc/passwd", "/x", space); }), "is a virtual dataset: refused");
    H5Sclose(space);
}

TEST_CASE("groups that contain themselves by hard links") {
    const Bomb bomb;
    bomb.build([](hid_t file) {
        REQUIRE(H5Lcreate_hard(file, "/model_weights", file, "/model_weights/scores/again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    });
    CHECK(bomb.refusal() == "");  // nobody walks there
    const Hdf5File file(bomb.file);
    std::string endless = "/model_weights";
    for (int i = 0; i < 100; i++) endless += "/scores/again";
    CHECK(complaint([&] { (void)file.has(endless); }).find("more than 64 groups deep: refused") != std::string::npos);
}

TEST_CASE("a .weights.h5 whose layers contain all layers by hard links") {
    const Bomb bomb;
    const hid_t file = H5Fcreate(bomb.file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "/layers", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (int i = 0; i < 20; i++) {
        const std::string layer = "/layers/conv2d_" + std::to_string(i);
        H5Gclose(H5Gcreate2(file, layer.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        for (const char* inside : {"/layers", "/cell"})
            REQUIRE(H5Lcreate_hard(file, "/layers", file, (layer + inside).c_str(), H5P_DEFAULT, H5P_DEFAULT) >= 0);
    }
    H5Fclose(file);
    write_file(bomb.path / "config.json", tiny_config().dump());
    check_says(bomb.refusal((bomb.path / "config.json").string()), "groups that contain themselves: refused");
}

TEST_CASE("arrays that declare more than is stored: by themselves, and many of them together") {
    const Bomb bomb;
    Json config = tiny_config();
    config["config"]["layers"][3]["config"]["units"] = 1 << 22;
    const auto with_kernel = [&](std::vector<hsize_t> sizes, std::vector<hsize_t> chunk, bool one) {
        write_model(bomb.file, config.dump(), tiny_weights());
        const hid_t file = H5Fopen(bomb.file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        H5Ldelete(file, kernel, H5P_DEFAULT);
        declare(file, kernel, std::move(sizes), std::move(chunk), one);
        H5Fclose(file);
    };
    for (bool one : {false, true}) {
        with_kernel({1 << 15, 1 << 16}, {256, 256}, one);
        check_says(complaint([&] { (void)Hdf5File(bomb.file).read(kernel); }), "declares 8 GB but stores");
    }
    with_kernel({6, 1 << 22}, {1, 1 << 16}, false);
    const Hdf5File file(bomb.file);
    CHECK(file.shape(kernel) == (Shape{6, 1 << 22}));  // 96 MB each: below any suspicion
    check_says(complaint([&] {
                   for (int i = 0; i < 50; i++) (void)file.read(kernel);
               }),
               "unpacks to more than 4 GB: refused");
    with_kernel({6, 3}, {1, 1}, true);  // of another shape than the model's: not even looked at
    check_says(bomb.refusal(), "'kernel' is (6,3) in the file, (6,4194304) was expected");
}

TEST_CASE("shapes whose product no number holds") {
    const Bomb bomb;
    bomb.build([](hid_t file) { declare(file, "/x", {hsize_t(1) << 31, hsize_t(1) << 31, 4}, {1, 1, 4}); });
    check_says(complaint([&] { (void)Hdf5File(bomb.file).read("/x"); }), "is impossibly large");
    Json config = tiny_config();
    config["config"]["layers"][1]["config"]["kernel_size"] = {1 << 15, 1 << 15};
    config["config"]["layers"][1]["config"]["filters"] = 1 << 20;
    write_model(bomb.file, config.dump(), tiny_weights());
    check_says(bomb.refusal(), "bomb.h5");
}

TEST_CASE("attributes of absurd size: one text, many texts, the same layer listed over and over") {
    const Bomb bomb;
    write_model(bomb.file, std::string((std::size_t(64) << 20) + 1, ' '), tiny_weights());
    check_says(bomb.refusal(), "'model_config' of '/' is too large");

    const auto lists = [&](hsize_t layers, hsize_t weights) {
        bomb.build([&](hid_t file) {
            const auto list = [&](const char* group, const char* name, const std::string& text, hsize_t count) {
                // dense storage: an attribute may be larger than 64 KB there
                const hid_t object = H5Oopen(file, group, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
                H5Tset_size(type, text.size());
                H5Adelete(object, name);
                const hid_t space = H5Screate_simple(1, &count, nullptr);
                const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
                REQUIRE(attribute >= 0);
                std::string all;
                for (hsize_t i = 0; i < count; i++) all += text;
                REQUIRE(H5Awrite(attribute, type, all.data()) >= 0);
                H5Aclose(attribute), H5Sclose(space), H5Tclose(type), H5Oclose(object);
            };
            list("/model_weights", "layer_names", "scores", layers);
            list("/model_weights/scores", "weight_names", "scores/kernel:0", weights);
        });
    };
    lists(4000, 4000);  // 16 million names in 100 KB
    check_says(bomb.refusal(), "lists more than 65536 arrays: refused");
}

TEST_CASE("JSON: a hundred thousand levels deep, by itself and inside a sound configuration; numbers that are none") {
    const Bomb bomb;
    const std::string deep = std::string(100000, '[') + std::string(100000, ']');
    std::string objects;
    for (int i = 0; i < 100000; i++) objects += "{\"a\":";
    objects += "1" + std::string(100000, '}');
    std::string sound = tiny_config().dump();
    for (const std::string& level : {deep, objects}) {
        std::string inside = sound;
        inside.insert(inside.find("\"filters\""), "\"more\":" + level + ",");
        for (const std::string& text : {level, inside, std::string(1000000, '[')}) {
            check_says(complaint([&] { model_from_config(text, "2.4.0"); }), "nested too deeply");
            write_model(bomb.file, text, tiny_weights());
            check_says(bomb.refusal(), "nested too deeply");
        }
    }
    write_model(bomb.file, sound, tiny_weights());
    write_file(bomb.path / "deep.json", deep);
    check_says(bomb.refusal((bomb.path / "deep.json").string()), "nested too deeply");

    for (const char* number :
         {"1e999", "-1e999", "1e-999", "99999999999999999999999999", "-1", "0", "0.5", "1e18", "NaN", "9223372036854775807"}) {
        std::string config = sound;
        config.replace(config.find("\"filters\":6"), 11, "\"filters\":" + std::string(number));
        CAPTURE(config);
        CHECK(complaint([&] { model_from_config(config, "2.4.0"); }) != "");
    }
}

TEST_CASE("models within models that call each other: sixteen levels of ten calls are not run through") {
    Json inner = sequential_json(
        {layer_json("InputLayer", "in", {{"batch_input_shape", {nullptr, 4}}}), layer_json("Activation", "a", {{"activation", "relu"}})});
    for (int level = 0; level < 12; level++) {
        Json calls = Json::array();
        for (int i = 0; i < 10; i++) calls.push_back(Json::array({Json::array({"in", 0, 0, Json::object()})}));
        inner["name"] = "inner", inner["config"]["name"] = "inner", inner["inbound_nodes"] = calls;
        Json input = layer_json("InputLayer", "in", {{"batch_input_shape", {nullptr, 4}}});
        input["name"] = "in", input["inbound_nodes"] = Json::array();
        inner = {{"class_name", "Functional"},
                 {"config",
                  {{"name", "outer"},
                   {"layers", {input, inner}},
                   {"input_layers", Json::array({Json::array({"in", 0, 0})})},
                   {"output_layers", Json::array({Json::array({"inner", 0, 0})})}}}};
    }
    check_says(complaint([&] { model_from_config(inner.dump(), "2.4.0"); }), "more than 16384 layers: refused");
}

TEST_CASE("an image that is too small for a network of open size is refused by the layer for which nothing is left") {
    Json config = sequential_json({layer_json("InputLayer", "in", {{"batch_input_shape", {nullptr, nullptr, nullptr, 3}}}),
                                   layer_json("DepthwiseConv2D", "wide", {{"kernel_size", {33, 33}}}),
                                   layer_json("Activation", "a", {{"activation", "relu"}})});
    Model model = model_from_config(config.dump(), "2.4.0");
    for (Layer* layer : model.weighted_layers())
        for (Weight& w : layer->weights) w.value = Tensor::full(w.shape, 1);
    const auto run = [&](Index h, Index w) {
        Tape tape(cpu_backend());
        model.forward(tape, {Tensor::full({1, h, w, 3}, 1)}, model.inputs);
    };
    run(33, 40);
    check_says(complaint([&] { run(32, 40); }), "layer 'wide' (DepthwiseConv2D): nothing is left of an input of (1,32,40,3)");
    check_says(complaint([&] { (void)model.with_input_size(9, 7); }),
               "layer 'wide' (DepthwiseConv2D): nothing is left of an input of (?,9,7,3)");
}

TEST_CASE("many layers of one name get names of their own, in time") {
    Json layers = Json::array({layer_json("InputLayer", "in", {{"batch_input_shape", {nullptr, 4}}})});
    for (int i = 0; i < 5000; i++) layers.push_back(layer_json("Activation", "a", {{"activation", "linear"}}));
    const Model model = model_from_config(sequential_json(layers).dump(), "2.4.0");
    CHECK(model.nodes()[1].name == "a");
    CHECK(model.nodes()[2].name == "a#2");
    CHECK(model.nodes()[5000].name == "a#5000");
}

TEST_CASE("weights that are NaN or infinite: said at load with the layer's name, unless somebody wants to look at them") {
    const Bomb bomb;
    for (float bad : {float(NAN), -float(NAN), float(INFINITY), -float(INFINITY)}) {
        auto arrays = tiny_weights();
        arrays[2].values.data()[5] = bad;
        write_model(bomb.file, tiny_config().dump(), arrays);
        check_says(bomb.refusal(),
                   "bomb.h5: layer 'scores': 1 of the 18 numbers of 'kernel' are NaN or infinite: its training went astray");
        const LoadedModel loaded = load_model({.model = bomb.file, .config = "", .architecture = "", .any_numbers = true});
        CHECK(broken_weights(loaded.model) ==
              std::vector<std::string>{"layer 'scores': 1 of the 18 numbers of 'kernel' are NaN or infinite"});
    }
    auto arrays = tiny_weights();  // the largest and smallest numbers there are are numbers
    arrays[2].values.data()[5] = 3.4028235e38f, arrays[2].values.data()[6] = -1e-45f;
    write_model(bomb.file, tiny_config().dump(), arrays);
    CHECK(bomb.refusal() == "");
}

TEST_CASE("a layer that is called again with other channels or axes is refused: its kernel would read past them") {
    for (const char* kind : {"Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense", "BatchNormalization"}) {
        CAPTURE(kind);
        Model model;
        const int six = model.add_input("six", {-1, 8, 8, 6}), two = model.add_input("two", {-1, 8, 8, 2});
        const LayerPtr shared =
            make_layer({kind, "shared", {{"filters", 3.0}, {"units", 3.0}, {"kernel_size", List{3.0, 3.0}}, {"strides", List{1.0, 1.0}}}});
        model.add("shared", shared, {six});
        CHECK(complaint([&] { model.add("again", shared, {two}); }).find("it is called with (?,8,8,2), but made for (?,8,8,6)") !=
              std::string::npos);
        CHECK(complaint([&] { model.add("again", shared, {six}); }).empty());
    }
    for (const char* kind :
         {"GlobalMaxPooling2D", "MaxPooling2D", "ZeroPadding2D", "UpSampling2D", "Permute", "Dot"}) {  // ... or other axes
        CAPTURE(kind);
        Model model;
        const int image = model.add_input("image", {-1, 8, 8, 6}), list = model.add_input("list", {-1, 6});
        const LayerPtr shared = make_layer({kind, "shared", {{"dims", List{1.0, 2.0, 3.0}}, {"axes", -1.0}}});
        const bool two = kind == std::string("Dot");
        const auto call = [&](int x) { model.add("call", shared, two ? std::vector<int>{x, x} : std::vector<int>{x}); };
        call(image);
        CHECK(complaint([&] { call(list); }).find("it is called with (?,6), but made for (?,8,8,6)") != std::string::npos);
        CHECK(complaint([&] { call(image); }).empty());
        if (two) CHECK(complaint([&] { model.add("one", shared, {image}); }).find("it needs two inputs") != std::string::npos);
    }
    for (const char* kind : {"ReLU", "Dropout", "Flatten", "Add", "Concatenate"}) {  // these do not mind
        CAPTURE(kind);
        Model model;
        const int image = model.add_input("image", {-1, 8, 8, 6}), list = model.add_input("list", {-1, 6});
        const LayerPtr shared = make_layer({kind, "shared", {{"rate", 0.5}}});
        model.add("a", shared, {image, image});
        CHECK(complaint([&] { model.add("b", shared, {list, list}); }).empty());
    }
    // a sentence may have another length
    Model model;
    const int five = model.add_input("five", {-1, 5}), seven = model.add_input("seven", {-1, 7});
    const LayerPtr words = make_layer({"Embedding", "words", {{"input_dim", 9.0}, {"output_dim", 3.0}}});
    model.add("a", words, {five});
    CHECK(complaint([&] { model.add("b", words, {seven}); }).empty());
}
