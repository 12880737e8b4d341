// Checksums of 32 bits, bit-reversed as in zlib: crc32 (zip, PNG, W&B) and crc32c (Castagnoli: TensorBoard, iSCSI). They
// differ in the polynomial only. One table of 256 entries each, made by the compiler: 0.5 GB/s, ample for a log.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limn {

template <std::uint32_t polynomial> constexpr std::array<std::uint32_t, 256> crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; byte++) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++) remainder = (remainder >> 1) ^ (remainder & 1 ? polynomial : 0);
        table[byte] = remainder;
    }
    return table;
}

template <std::uint32_t polynomial> constexpr std::uint32_t crc(std::string_view bytes) {
    constexpr std::array<std::uint32_t, 256> table = crc_table<polynomial>();
    std::uint32_t value = ~0u;
    for (const char c : bytes) value = (value >> 8) ^ table[(value ^ static_cast<unsigned char>(c)) & 255];
    return ~value;
}

constexpr std::uint32_t crc32(std::string_view bytes) { return crc<0xedb88320>(bytes); }
constexpr std::uint32_t crc32c(std::string_view bytes) { return crc<0x82f63b78>(bytes); }

}  // namespace limn
