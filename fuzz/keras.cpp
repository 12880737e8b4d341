// A .keras archive: weights/zip_file, and what it holds. libzip checks sums, so that most changes end there: the parts are
// fuzzed by the targets config and hdf5.
#include "fuzz/model_file.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { return limn::load_if_hdf5_survives(data, size); }
