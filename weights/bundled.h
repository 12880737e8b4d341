// The models that come with limn (weights/models): `paws`, which tells cats from dogs and is the default of every command.
#pragma once

#include <filesystem>
#include <string_view>

namespace limn {

// The model's file, or an empty path if no such model comes with limn. Looked for in $LIMN_MODELS, in share/limn/models beside
// the command's bin folder (an installed limn), and in the source tree it was built from.
std::filesystem::path bundled_model(std::string_view name);

}  // namespace limn
