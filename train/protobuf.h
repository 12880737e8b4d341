// Writing protobuf by hand: a message is a list of fields, a field is a tag (number and kind) and a value. The two logs need
// some ten shapes of message; the whole encoder is shorter than setting up the library.
//
//     Message event;
//     event.real(1, seconds).integer(2, step).text(3, "brain.Event:2");
//
// The format: https://protobuf.dev/programming-guides/encoding
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "view/utf8.h"

namespace limn {

// Little-endian, whatever the machine.
template <class Unsigned> std::string fixed(Unsigned value) {
    std::string bytes;
    for (std::size_t i = 0; i < sizeof(Unsigned); i++) bytes += char((value >> 8 * i) & 255);
    return bytes;
}

// Seven bits a byte, the lowest first; the top bit says that more follow.
inline std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value > 127; value >>= 7) bytes += char((value & 127) | 128);
    return bytes + char(value);
}

class Message {
public:
    Message& integer(int field, std::int64_t value) { return add(field, 0, varint(static_cast<std::uint64_t>(value))); }
    Message& real(int field, double value) { return add(field, 1, fixed(std::bit_cast<std::uint64_t>(value))); }
    Message& bytes(int field, std::string_view value) { return add(field, 2, varint(value.size())).append(value); }
    Message& text(int field, std::string_view value) { return bytes(field, valid_utf8(value)); }
    Message& message(int field, const Message& value) { return bytes(field, value.encoded_); }
    const std::string& encoded() const { return encoded_; }

private:
    Message& add(int field, int kind, std::string_view value) {
        return append(varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(kind))).append(value);
    }
    Message& append(std::string_view value) {
        encoded_ += value;
        return *this;
    }
    std::string encoded_;
};

}  // namespace limn
