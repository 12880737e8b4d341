// limn as a library: where did the network look? From a photo and a Keras file to a picture.
//
// usage: grad_cam PHOTO MODEL OUT.png
#include <cstdio>

#include "cam/explain.h"
#include "view/colormap.h"
#include "view/image.h"
#include "view/photo.h"
#include "weights/model_file.h"

using namespace limn;

int main(int argc, char** argv) try {
    LIMN_CHECK(argc == 4, "usage: grad_cam PHOTO MODEL OUT.png");
    const Backend& backend = backend_named("cpu");
    const LoadedModel loaded = load_model({argv[2]});
    const Model& model = loaded.model;

    // the photo as the network wants it: size, order of the channels, scale
    const Image photo = read_image(argv[1]);
    const Shape shape = model.node(model.inputs[0]).shape;
    const PhotoInput prepare{preprocess_of(loaded).mode, shape[1] > 0 ? shape[1] : 224, shape[2] > 0 ? shape[2] : 224};

    Request request;
    request.methods = {method_named("grad-cam")};
    request.layers = {default_layer(model)};
    request.labels = loaded.labels;
    request.drawing = {Normalize::max, Paint{}, colour_table(Colormap::jet)};
    const Explained found = Explainer(backend, model, request)(prepare(photo), {bytes_of(photo)})[0];

    const Map& map = found.maps[0];
    std::printf("%s %.3f, seen by layer %s\n", found.predictions[0].label.c_str(), double(found.predictions[0].score),
                model.node(map.layer).name.c_str());
    for (const std::string& warning : map.diagnostics) std::printf("%s\n", warning.c_str());
    if (map.drawn) write_png(argv[3], image_of(map.drawn->picture));
    return 0;
} catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
}
