#include "engine/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace limn {

namespace fs = std::filesystem;

namespace {

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) close(fd);
    }
};

const char* reason() { return std::strerror(errno); }

}  // namespace

std::vector<std::byte> read_file(const fs::path& path, std::size_t limit) {
    Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    LIMN_CHECK(file.fd >= 0, "{}: cannot be opened: {}", path.string(), reason());
    struct stat info {};
    LIMN_CHECK(fstat(file.fd, &info) == 0, "{}: {}", path.string(), reason());
    LIMN_CHECK(!S_ISDIR(info.st_mode), "{}: is a directory, a file was expected", path.string());
    LIMN_CHECK(S_ISREG(info.st_mode), "{}: is not a regular file", path.string());
    LIMN_CHECK(static_cast<std::size_t>(info.st_size) <= limit, "{}: {} bytes, more than the {} read here", path.string(), info.st_size,
               limit);
    std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = read(file.fd, bytes.data() + done, bytes.size() - done);
        LIMN_CHECK(n >= 0 || errno == EINTR, "{}: cannot be read: {}", path.string(), reason());
        if (n == 0) break;  // the file became shorter meanwhile
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
}

PendingFile::PendingFile(fs::path final_path)
    : final_(std::move(final_path)), temporary_(final_.string() + fmt::format(".{}.tmp", getpid())) {}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : final_(std::exchange(other.final_, {})), temporary_(std::exchange(other.temporary_, {})) {}

PendingFile::~PendingFile() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void PendingFile::commit() {
    Descriptor file{open(temporary_.c_str(), O_RDONLY | O_CLOEXEC)};
    LIMN_CHECK(file.fd >= 0 && fsync(file.fd) == 0, "{}: cannot be written: {}", final_.string(), reason());
    std::error_code error;
    fs::rename(temporary_, final_, error);
    LIMN_CHECK(!error, "{}: cannot be written: {}", final_.string(), error.message());
    temporary_.clear();
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
    // A device or a pipe (/dev/null, /dev/full, /dev/stdout) cannot be replaced by renaming: write to it directly.
    std::error_code ignored;
    const bool direct = fs::exists(path, ignored) && !fs::is_regular_file(path, ignored);
    PendingFile pending(path);
    Descriptor file{
        open((direct ? path : pending.temporary_path()).c_str(), O_WRONLY | O_CLOEXEC | (direct ? 0 : O_CREAT | O_TRUNC), 0644)};
    LIMN_CHECK(file.fd >= 0, "{}: cannot be written: {}", path.string(), reason());
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t n = write(file.fd, bytes.data() + done, bytes.size() - done);
        LIMN_CHECK(n >= 0 || errno == EINTR, "{}: cannot be written: {}", path.string(), reason());
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    if (!direct) pending.commit();
}

void write_file(const fs::path& path, std::string_view text) { write_file(path, std::as_bytes(std::span(text))); }

FolderLock::FolderLock(const fs::path& folder) : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    LIMN_CHECK(descriptor_ >= 0, "{}: cannot be opened: {}", folder.string(), reason());
    if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;  // some file systems know no locks
    close(descriptor_);
    fail("{}: another process is working there", folder.string());
}
FolderLock::~FolderLock() { close(descriptor_); }

void remove_temporary_files(const fs::path& folder) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        const fs::path name = it->path().filename(), pid = name.stem().extension();  // NAME.PID.tmp
        const std::string digits = pid.string();
        std::error_code ignored;
        if (name.extension() == ".tmp" && digits.size() > 1 && digits.find_first_not_of("0123456789", 1) == std::string::npos)
            fs::remove(it->path(), ignored);
    }
}

void make_folder(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    LIMN_CHECK(!error && fs::is_directory(path), "{}: the folder cannot be made: {}", path.string(),
               error ? error.message() : "a file is in the way");
}

}  // namespace limn
