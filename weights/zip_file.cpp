#include "weights/zip_file.h"

#include <zip.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "engine/error.h"
#include "engine/file.h"

namespace limn {

namespace {

// Weights hardly shrink: what unpacks to more than this and so many times its size was made to fill the memory.
constexpr zip_uint64_t suspicious_size = zip_uint64_t(256) << 20, suspicious_growth = 100;

zip_t* as_zip(void* archive) { return static_cast<zip_t*>(archive); }

std::string reason(int code) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    return text;
}

}  // namespace

bool ZipFile::looks_like_one(const std::filesystem::path& path) {
    std::error_code unknown;
    if (!std::filesystem::is_regular_file(path, unknown)) return false;  // opening a pipe would wait for a writer
    std::ifstream file(path, std::ios::binary);
    char head[4] = {};
    return file.read(head, 4) && std::string_view(head, 4) == "PK\x03\x04";
}

ZipFile::ZipFile(const std::filesystem::path& path) : path_(path) {
    int code = 0;
    archive_ = zip_open(path.c_str(), ZIP_RDONLY, &code);
    LIMN_CHECK(archive_, "{}: cannot be opened as a zip archive: {}", path.string(), reason(code));
}

ZipFile::~ZipFile() { zip_discard(as_zip(archive_)); }

bool ZipFile::has(const std::string& member) const { return zip_name_locate(as_zip(archive_), member.c_str(), 0) >= 0; }

std::vector<std::string> ZipFile::members() const {
    std::vector<std::string> names;
    for (zip_int64_t i = 0; i < zip_get_num_entries(as_zip(archive_), 0); i++)
        if (const char* name = zip_get_name(as_zip(archive_), zip_uint64_t(i), 0)) names.push_back(name);
    return names;
}

std::vector<std::byte> ZipFile::read(const std::string& member, std::size_t limit) const {
    zip_stat_t info;
    zip_stat_init(&info);
    LIMN_CHECK(zip_stat(as_zip(archive_), member.c_str(), 0, &info) == 0, "{}: the archive holds no '{}'", path_.string(), member);
    LIMN_CHECK((info.valid & ZIP_STAT_SIZE) && (info.valid & ZIP_STAT_COMP_SIZE), "{}: '{}' does not say how large it is", path_.string(),
               member);
    LIMN_CHECK(info.size <= limit, "{}: '{}' unpacks to {} bytes, more than the {} that make sense", path_.string(), member, info.size,
               limit);
    LIMN_CHECK(info.size <= suspicious_size || info.size / suspicious_growth <= info.comp_size,
               "{}: '{}' would unpack from {} to {} bytes; a file like that is made to fill the memory", path_.string(), member,
               info.comp_size, info.size);
    LIMN_CHECK(!(info.valid & ZIP_STAT_ENCRYPTION_METHOD) || info.encryption_method == ZIP_EM_NONE,
               "{}: '{}' is encrypted: unpack the archive with its password and zip it again without", path_.string(), member);
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen(as_zip(archive_), member.c_str(), 0), zip_fclose);
    LIMN_CHECK(file, "{}: '{}' cannot be unpacked: {}", path_.string(), member, zip_strerror(as_zip(archive_)));
    std::vector<std::byte> bytes(info.size);
    for (std::size_t done = 0; done < bytes.size();) {
        const zip_int64_t n = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
        LIMN_CHECK(n > 0, "{}: '{}' is damaged or cut short", path_.string(), member);
        done += std::size_t(n);
    }
    std::byte beyond;  // reading to the end compares the checksum
    LIMN_CHECK(zip_fread(file.get(), &beyond, 1) == 0, "{}: '{}' is damaged: its checksum is wrong", path_.string(), member);
    return bytes;
}

std::string ZipFile::text(const std::string& member, std::size_t limit) const {
    const std::vector<std::byte> bytes = read(member, limit);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void write_zip(const std::filesystem::path& path, std::span<const ZipMember> members) {
    PendingFile pending(path);
    int code = 0;
    zip_t* archive = zip_open(pending.temporary_path().c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
    LIMN_CHECK(archive, "{}: cannot be written: {}", path.string(), reason(code));
    for (const ZipMember& member : members) {
        zip_source_t* source = zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0);
        const zip_int64_t at = source ? zip_file_add(archive, member.name.c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
        if (at < 0 && source) zip_source_free(source);
        if (at < 0 || zip_set_file_compression(archive, zip_uint64_t(at), ZIP_CM_STORE, 0) != 0) {
            const std::string why = zip_strerror(archive);
            zip_discard(archive);
            fail("{}: '{}' cannot be written: {}", path.string(), member.name, why);
        }
    }
    if (zip_close(archive) != 0) {
        const std::string why = zip_strerror(archive);
        zip_discard(archive);
        fail("{}: cannot be written: {}", path.string(), why);
    }
    pending.commit();
}

}  // namespace limn
