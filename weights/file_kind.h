// What a file that is no HDF5 file looks like, so that the one line about it can say what to do.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace limn {

// Of its first bytes: "a PyTorch checkpoint: limn reads what Keras saves", and so on; empty where nobody knows.
std::string file_kind(std::string_view head);
constexpr std::size_t file_kind_head = 512;  // so many bytes are enough

std::string folder_kind(const std::filesystem::path& folder);

}  // namespace limn
