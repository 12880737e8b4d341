// A Pascal VOC file: XML.
#include "evaluate/annotations.h"
#include "fuzz/target.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const FuzzedFile file(data, size);
    try_to([&] { read_voc(file.path()); });
    return 0;
}
