// A photo: PNG, JPEG or BMP, decoded by stb.
#include "view/image.h"

#include "fuzz/target.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    try_to([&] { decode_image({bytes.begin(), bytes.end()}, "photo"); });
    return 0;
}
