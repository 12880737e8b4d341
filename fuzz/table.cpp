// A table of boxes or labels beside a folder of photos: CSV.
#include "evaluate/annotations.h"
#include "fuzz/target.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const FuzzedFile file(data, size);
    try_to([&] { Annotations({.boxes = file.path(), .masks = {}, .labels = {}}).of("a.jpg", 24, 32); });
    try_to([&] { label_named(Annotations({.boxes = {}, .masks = {}, .labels = file.path()}).label_of("a.jpg"), {"cat", "dog"}, 300); });
    return 0;
}
