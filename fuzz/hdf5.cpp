// A model as one HDF5 file: weights/hdf5_file, keras_legacy, keras3_weights, keras_config.
#include "fuzz/model_file.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { return limn::load_if_hdf5_survives(data, size); }
