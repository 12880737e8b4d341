// An array in NumPy's file format.
#include "weights/npy.h"

#include "fuzz/target.h"

using namespace limn;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const FuzzedFile file(data, size);
    try_to([&] { read_npy(file.path()); });
    return 0;
}
