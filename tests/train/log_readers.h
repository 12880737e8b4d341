// Readers of what the logs write: protobuf messages, TensorBoard's event files, W&B's .wandb files. Written after the formats,
// not after the writers; strict, where the real readers forgive much.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/file.h"
#include "train/crc32.h"

namespace limn {

namespace fs = std::filesystem;

inline std::string content(const fs::path& path) {
    const std::vector<std::byte> bytes = read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::uint64_t little_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

inline std::string take(std::string_view& bytes, std::size_t size) {
    REQUIRE(bytes.size() >= size);
    const std::string taken(bytes.substr(0, size));
    bytes.remove_prefix(size);
    return taken;
}

// A message as it was read: the values of a field, by its number. Numbers are kept in `integers`, all else in `texts`.
struct Read {
    std::multimap<int, std::uint64_t> integers;
    std::multimap<int, std::string> texts;

    explicit Read(std::string_view bytes) {
        while (!bytes.empty()) {
            const std::uint64_t tag = varint(bytes);
            const int field = int(tag >> 3), kind = int(tag & 7);
            if (kind == 0) integers.emplace(field, varint(bytes));
            if (kind == 1) integers.emplace(field, little_endian(take(bytes, 8)));
            if (kind == 2) texts.emplace(field, take(bytes, varint(bytes)));
            REQUIRE(kind <= 2);
        }
    }
    static std::uint64_t varint(std::string_view& bytes) {
        std::uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            const auto byte = static_cast<unsigned char>(take(bytes, 1)[0]);
            value |= std::uint64_t(byte & 127) << shift;
            if (byte < 128) return value;
        }
    }
    std::int64_t integer(int field) const { return integers.count(field) ? std::int64_t(integers.find(field)->second) : 0; }
    std::string text(int field) const { return texts.count(field) ? texts.find(field)->second : ""; }
    Read message(int field) const { return Read(text(field)); }
    std::vector<std::string> all(int field) const {
        std::vector<std::string> found;
        for (auto [i, end] = texts.equal_range(field); i != end; i++) found.push_back(i->second);
        return found;
    }
};

inline std::vector<fs::path> files_in(const fs::path& folder) {
    std::vector<fs::path> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

inline std::vector<Read> events(const fs::path& path) {
    const auto masked = [](std::string_view bytes) {
        const std::uint32_t sum = crc32c(bytes);
        return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
    };
    const std::string bytes = content(path);
    std::vector<Read> found;
    for (std::string_view left = bytes; !left.empty();) {
        const std::string length = take(left, 8);
        REQUIRE(little_endian(take(left, 4)) == masked(length));
        const std::string data = take(left, little_endian(length));
        REQUIRE(little_endian(take(left, 4)) == masked(data));
        found.emplace_back(data);
    }
    return found;
}

// tag -> the value, of one event
inline std::map<std::string, Read> values(const Read& event) {
    std::map<std::string, Read> found;
    for (const std::string& value : event.message(5).all(1)) found.emplace(Read(value).text(1), Read(value));
    return found;
}

inline float number(const Read& value) { return std::bit_cast<float>(std::uint32_t(little_endian(value.message(8).text(4)))); }

// The records of a .wandb file; checks chunks, blocks and the numbers of the records.
inline std::vector<Read> records(const fs::path& path) {
    const std::string bytes = content(path);
    REQUIRE(bytes.substr(0, 7) == std::string(":W&B\xe1\xbe\0", 7));
    std::vector<Read> found;
    std::string record;
    bool inside = false;
    for (std::string_view left = std::string_view(bytes).substr(7); !left.empty();) {
        const std::size_t in_block = 32768 - (bytes.size() - left.size()) % 32768;
        if (in_block < 7) {
            REQUIRE(take(left, in_block) == std::string(in_block, '\0'));
            continue;
        }
        const std::uint64_t sum = little_endian(take(left, 4)), size = little_endian(take(left, 2));
        REQUIRE(size + 7 <= in_block);
        const std::string body = take(left, size + 1);
        REQUIRE(crc32(body) == sum);
        REQUIRE(inside == (body[0] == 3 || body[0] == 4));  // a middle or a last one goes on
        inside = body[0] == 2 || body[0] == 3;
        record += body.substr(1);
        if (inside) continue;
        found.emplace_back(record);
        REQUIRE(found.back().integer(1) == std::int64_t(found.size()));
        record.clear();
    }
    REQUIRE(!inside);
    return found;
}

inline std::vector<Read> of_kind(const std::vector<Read>& all, int kind) {
    std::vector<Read> found;
    for (const Read& record : all)
        if (record.texts.count(kind)) found.push_back(record.message(kind));
    return found;
}

// name -> JSON, of a configuration, a history line or a summary; parts of a value as "images.count"
inline std::map<std::string, std::string> items(const Read& message) {
    std::map<std::string, std::string> found;
    for (const std::string& bytes : message.all(1)) {
        const Read item(bytes);
        std::string name = item.text(1);
        for (const std::string& part : item.all(2)) name += (name.empty() ? "" : ".") + part;
        found[name] = item.text(16);
    }
    return found;
}

inline std::vector<fs::path> wandb_runs(const fs::path& folder) {
    std::vector<fs::path> found;
    for (const fs::path& path : files_in(folder / "wandb"))
        if (path.filename().string().starts_with("offline-run-")) found.push_back(path);
    return found;
}

inline std::vector<Read> wandb_records(const fs::path& run) {
    for (const fs::path& path : files_in(run))
        if (path.extension() == ".wandb") return records(path);
    FAIL("no .wandb file in ", run.string());
    return {};
}

}  // namespace limn
