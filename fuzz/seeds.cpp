// Small sound inputs for each target, made by limn itself: where the corpora in fuzz/corpus/ were grown from.
// usage: fuzz_seeds DIR     writes DIR/TARGET/NAME
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "fuzz/target.h"
#include "view/image.h"
#include "weights/hdf5_file.h"
#include "weights/keras_config.h"
#include "weights/keras_writer.h"
#include "weights/model_file.h"
#include "weights/npy.h"
#include "weights/zip_file.h"

using namespace limn;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

Json layer(const std::string& class_name, const std::string& name, Json config = Json::object()) {
    config["name"] = name;
    return {{"class_name", class_name}, {"config", config}};
}
Json input(Json shape) { return layer("InputLayer", "in", {{"batch_input_shape", shape}}); }

Json sequential(const std::vector<Json>& layers) { return {{"class_name", "Sequential"}, {"config", {{"name", "s"}, {"layers", layers}}}}; }

Json reading(Json made, const std::vector<std::string>& from) {  // as Keras 2 writes it
    Json node = Json::array();
    for (const std::string& name : from) node.push_back({name, 0, 0, Json::object()});
    made["name"] = made["config"]["name"];
    made["inbound_nodes"] = from.empty() ? Json::array() : Json::array({node});
    return made;
}
Json reading3(Json made, const std::vector<std::string>& from) {  // as Keras 3 does
    Json list = Json::array();
    for (const std::string& name : from)
        list.push_back({{"class_name", "__keras_tensor__"}, {"config", {{"shape", {nullptr, 8, 8, 3}}, {"keras_history", {name, 0, 0}}}}});
    made["name"] = made["config"]["name"];
    made["config"]["trainable"] = true;  // what tells a layer from a function
    made["inbound_nodes"] = Json::array({{{"args", Json::array({list})}, {"kwargs", Json::object()}}});
    return made;
}
Json functional(const std::vector<Json>& layers, const std::string& in, const std::string& out) {
    return {{"class_name", "Functional"},
            {"config",
             {{"name", "f"},
              {"layers", layers},
              {"input_layers", Json::array({Json::array({in, 0, 0})})},
              {"output_layers", Json::array({Json::array({out, 0, 0})})}}}};
}

std::vector<std::pair<std::string, Json>> configs() {
    const Json three = {3, 3};
    std::vector<std::pair<std::string, Json>> all;
    all.emplace_back(
        "cam", sequential({input({nullptr, 8, 8, 3}),
                           layer("Conv2D", "c", {{"filters", 4}, {"kernel_size", three}, {"padding", "same"}, {"activation", "relu"}}),
                           layer("GlobalAveragePooling2D", "g"), layer("Dense", "d", {{"units", 3}, {"activation", "softmax"}})}));
    all.emplace_back(
        "mobile",
        sequential({input({nullptr, nullptr, nullptr, 3}),
                    layer("ZeroPadding2D", "z", {{"padding", Json::array({Json::array({0, 1}), Json::array({0, 1})})}}),
                    layer("DepthwiseConv2D", "dw", {{"kernel_size", three}, {"strides", {2, 2}}, {"use_bias", false}}),
                    layer("BatchNormalization", "bn", {{"axis", 3}, {"epsilon", 0.001}}), layer("ReLU", "r", {{"max_value", 6.0}}),
                    layer("SeparableConv2D", "sc", {{"filters", 4}, {"kernel_size", three}, {"depth_multiplier", 2}}),
                    layer("GlobalMaxPooling2D", "g", {{"keepdims", true}}), layer("Dropout", "do", {{"rate", 0.5}}),
                    layer("Reshape", "rs", {{"target_shape", {-1}}}), layer("Activation", "a", {{"activation", "sigmoid"}})}));
    all.emplace_back(
        "geometry",
        sequential(
            {input({nullptr, 9, 7, 2}),
             layer("Conv2D", "c", {{"filters", 4}, {"kernel_size", {3, 2}}, {"dilation_rate", {2, 1}}, {"groups", 2}, {"padding", "same"}}),
             layer("Conv2DTranspose", "t",
                   {{"filters", 2}, {"kernel_size", three}, {"strides", {2, 2}}, {"output_padding", {1, 1}}, {"padding", "same"}}),
             layer("MaxPooling2D", "m", {{"pool_size", {2, 2}}, {"strides", {1, 1}}, {"padding", "same"}}),
             layer("AveragePooling2D", "v", {{"pool_size", {3, 3}}}),
             layer("UpSampling2D", "u", {{"size", {2, 2}}, {"interpolation", "bilinear"}}),
             layer("Cropping2D", "cr", {{"cropping", {1, 0}}}), layer("Permute", "p", {{"dims", {2, 1, 3}}}), layer("Flatten", "fl"),
             layer("Dense", "d", {{"units", 1}, {"activation", "sigmoid"}})}));
    all.emplace_back("norms", sequential({input({nullptr, 4, 4, 3}), layer("Rescaling", "r", {{"scale", 0.5}, {"offset", {1.0, 2.0, 3.0}}}),
                                          layer("Normalization", "n", {{"mean", {1.0, 2.0, 3.0}}, {"variance", {1.0, 1.0, 4.0}}}),
                                          layer("LayerNormalization", "l", {{"axis", {-1}}}), layer("LeakyReLU", "lr", {{"alpha", 0.1}}),
                                          layer("PReLU", "pr", {{"shared_axes", {1, 2}}}), layer("ELU", "e"),
                                          layer("ThresholdedReLU", "t", {{"theta", 1.0}}), layer("Softmax", "sm", {{"axis", -1}})}));
    all.emplace_back("first", sequential({input({nullptr, 3, 6, 6}),
                                          layer("Conv2D", "c", {{"filters", 2}, {"kernel_size", three}, {"data_format", "channels_first"}}),
                                          layer("Flatten", "f", {{"data_format", "channels_first"}})}));
    const Json conv =
        layer("Conv2D", "c", {{"filters", 3}, {"kernel_size", {1, 1}}, {"activation", {{"class_name", "function"}, {"config", "swish"}}}});
    all.emplace_back("branches",
                     functional({reading(input({nullptr, 8, 8, 3}), {}), reading(conv, {"in"}), reading(layer("Add", "add"), {"in", "c"}),
                                 reading(layer("Concatenate", "cat", {{"axis", -1}}), {"add", "c"}),
                                 reading(layer("GlobalAveragePooling2D", "g"), {"cat"})},
                                "in", "g"));
    all.emplace_back("keras3",
                     functional({reading(layer("InputLayer", "in", {{"batch_shape", {nullptr, 8, 8, 3}}}), {}), reading3(conv, {"in"}),
                                 reading3(layer("Multiply", "m"), {"in", "c"}), reading3(layer("Maximum", "x"), {"m", "c"})},
                                "in", "x"));
    Json inner = all.back().second;
    inner["config"]["name"] = "inner";
    all.emplace_back("nested", sequential({inner, layer("Flatten", "fl"), layer("Dense", "d", {{"units", 2}})}));
    return all;
}

void write(const fs::path& path, std::string_view text) {
    make_folder(path.parent_path());
    write_file(path, text);
}
void write(const fs::path& path, const std::vector<std::byte>& bytes) {
    make_folder(path.parent_path());
    write_file(path, bytes);
}

// Does a target really open what it is given?
void check_opened_as_fuzzed(const fs::path& model) {
    const std::vector<std::byte> bytes = read_file(model, 1 << 20);
    load_model_unprobed({FuzzedFile(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()).path(), "", ""});
}

void write_models(const fs::path& folder) {
    for (const auto& [name, config] : configs()) {
        const std::string text = config.dump();
        for (const char* target : {"config", "network"}) write(folder / target / name, text);
        Model model = model_from_config(text, "2.4.0");
        for (Layer* l : model.weighted_layers())
            for (Weight& w : l->weights) w.value = Tensor::full(w.shape, 0.25);
        make_folder(folder / "hdf5");
        if (name == "first") continue;  // cannot be written
        save_model(folder / "hdf5" / name, model, {{"cat", "dog"}, "tf", "8x8", "bilinear"},
                   name == "cam" ? Precision::f16 : Precision::f32);
        check_opened_as_fuzzed(folder / "hdf5" / name);
        if (name == "cam") save_weights(folder / "hdf5" / "weights", model);
        if (name != "cam" && name != "branches") continue;
        make_folder(folder / "keras");
        const fs::path archive = folder / "keras" / (name + ".keras");
        convert_model(archive, load_model_unprobed({(folder / "hdf5" / name).string(), "", ""}));
        check_opened_as_fuzzed(archive);
        const auto inside = ZipFile(archive).read("model.weights.h5", 1 << 20);
        write(folder / "hdf5" / (name + ".weights"), inside);
    }
}

void write_images(const fs::path& folder) {
    Image image{5, 7, std::vector<std::uint8_t>(5 * 7 * 3)};
    for (std::size_t i = 0; i < image.rgb.size(); i++) image.rgb[i] = std::uint8_t(i * 7);
    write(folder / "png", encode_png(image));
    write(folder / "jpeg", encode_jpeg(image, 60));
    std::string bmp("BM\x6a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0\1\0\x18\0\0\0\0\0", 34);
    write(folder / "bmp", bmp.append(20 + 16, '\7'));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::cerr << "usage: fuzz_seeds DIR\n", 2;
    const fs::path folder = argv[1];
    write_models(folder);
    write_images(folder / "image");
    make_folder(folder / "npy");
    write_npy(folder / "npy" / "f32", Tensor::full({2, 3}, 0.5));
    write_npy(folder / "npy" / "scalar", Tensor::full({}, 1));
    write_npy(folder / "npy" / "f64", Tensor::full({1, 2, 1, 2}, 2, DType::f64));
    write(folder / "table" / "boxes", "image,label,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,10,12\n\"b,c.jpg\",\"a \"\"dog\"\"\",0,0,1,1\r\n");
    write(folder / "table" / "labels", "a.jpg,dog\nb.jpg,1-2\n");
    write(folder / "table" / "ranges",
          "\xef\xbb\xbf"
          "filename,class\na,\"1,3-5\"\n");
    write(folder / "voc" / "two",
          "<?xml version=\"1.0\"?><annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>4.5"
          "</ymax></bndbox></object><object><name>&lt;dog&#65;</name><bndbox><ymin>2</ymin><xmin>0</xmin><xmax>3</xmax><ymax>4</ymax></"
          "bndbox></object></annotation>");
    write(folder / "voc" / "doctype",
          "<!DOCTYPE annotation [<!ENTITY a \"b\">]><annotation><!-- c --><![CDATA[x]]><object><name>&a;</name></object></annotation>");
    int n = 0;
    for (const char* text :
         {"auto", "top:2", "tabby", "best:0-1,2", "output[0]", "output[0,1,2]", "2*tabby - 1 + 0.5*output[2]", "1-2", "-30"})
        write(folder / "target_text" / std::to_string(n++), text);
}
