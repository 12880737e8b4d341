#include "train/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace limn {

double system_clock_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

RecordFile::RecordFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) {
    LIMN_CHECK(fd_ >= 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

RecordFile::~RecordFile() { close(fd_); }

void RecordFile::append(std::string_view record) {
    for (std::size_t done = 0; done < record.size();) {
        const ssize_t n = write(fd_, record.data() + done, record.size() - done);
        if (n > 0) done += static_cast<std::size_t>(n);
        if (n >= 0 || errno == EINTR) continue;
        const int reason = errno;
        const bool whole = ftruncate(fd_, static_cast<off_t>(size_)) == 0 && lseek(fd_, static_cast<off_t>(size_), SEEK_SET) >= 0;
        fail("{}: cannot be written: {}; {}", path_.string(), std::strerror(reason),
             whole ? "what was logged before is kept" : "its last record is incomplete");
    }
    size_ += record.size();
}

}  // namespace limn
