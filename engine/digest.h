// Fingerprints of bytes and files, in hexadecimal. OpenSSL does the sums.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace limn {

// algorithm: "sha256", "md5"
std::string digest_of(const char* algorithm, std::span<const std::byte> bytes);
std::string digest_of_file(const char* algorithm, const std::filesystem::path& path);  // block by block, whatever its size

}  // namespace limn
