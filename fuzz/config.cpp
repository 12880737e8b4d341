// A model_config: JSON -> network, without weights.
#include "fuzz/target.h"
#include "weights/keras_config.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of(data, size));
    try_to([&] { model_from_config(text, size % 2 ? "3.0.0" : "2.4.0").parameters(); });
    return 0;
}
