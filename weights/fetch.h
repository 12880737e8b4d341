// Published weights by name: where they are, and how they get into the user's cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace limn {

struct Published {
    std::string name, file, url, md5;
};
std::span<const Published> published();
const Published* find_published(std::string_view name);

std::filesystem::path cache_folder();                         // $LIMN_CACHE, else $XDG_CACHE_HOME/limn, else ~/.cache/limn
std::filesystem::path cached_file(const Published& weights);  // where it lies, or would lie

struct FetchOptions {
    std::string mirror;  // replaces everything before the file's name; also from $LIMN_MIRROR
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// Downloads into the cache unless it is there, and returns the file. Bytes go to FILE.part, which a later call resumes;
// the file gets its name only when its checksum is right, so a file under its name is whole and is not checked again.
std::filesystem::path fetch(const Published& weights, const FetchOptions& options = {});

std::string md5_of(const std::filesystem::path& file);  // of its bytes, in hexadecimal

}  // namespace limn
