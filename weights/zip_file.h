// Zip archives, in and out: Keras 3's `.keras` files. The only file that knows libzip.
//
// Archives come from anywhere and are not trusted: a member that would unpack to far more than it holds is refused, and so
// is one larger than its reader can want. Members may be stored or deflated.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limn {

class ZipFile {
public:
    explicit ZipFile(const std::filesystem::path& path);
    ~ZipFile();
    ZipFile(const ZipFile&) = delete;
    static bool looks_like_one(const std::filesystem::path& path);  // by its first bytes

    bool has(const std::string& member) const;
    std::vector<std::string> members() const;
    std::vector<std::byte> read(const std::string& member, std::size_t limit) const;  // checked against the archive's CRC
    std::string text(const std::string& member, std::size_t limit) const;

private:
    std::filesystem::path path_;
    void* archive_ = nullptr;
};

// A new archive of stored members (nothing is compressed, as Keras writes them) that appears under its name when it is complete.
struct ZipMember {
    std::string name;
    std::span<const std::byte> bytes;
};
void write_zip(const std::filesystem::path& path, std::span<const ZipMember> members);

}  // namespace limn
