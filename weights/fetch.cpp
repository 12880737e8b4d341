#include "weights/fetch.h"

#include <curl/curl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/digest.h"
#include "engine/error.h"
#include "engine/file.h"

namespace limn {

namespace fs = std::filesystem;

// Addresses and checksums as keras.applications states them (vgg16.py, vgg19.py of Keras 3.15).
std::span<const Published> published() {
    static const std::string base = "https://storage.googleapis.com/tensorflow/keras-applications/";
    static const Published table[] = {
        {"vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels.h5", base + "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
         "64373286793e3c8b2b4e3219cbf3544b"},
        {"vgg16-notop", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
         base + "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"},
        {"vgg19", "vgg19_weights_tf_dim_ordering_tf_kernels.h5", base + "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",
         "cbe5617147190e668d6c5d5026f83318"},
        {"vgg19-notop", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
         base + "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6"},
    };
    return table;
}

const Published* find_published(std::string_view name) {
    for (const Published& p : published())
        if (p.name == name) return &p;
    return nullptr;
}

fs::path cache_folder() {
    const auto set = [](const char* name) {
        const char* value = std::getenv(name);
        return value && *value ? value : nullptr;
    };
    if (const char* own = set("LIMN_CACHE")) return own;
    if (const char* xdg = set("XDG_CACHE_HOME")) return fs::path(xdg) / "limn";
    const char* home = set("HOME");
    LIMN_CHECK(home, "no folder to keep downloads in is known: set HOME or LIMN_CACHE");
    return fs::path(home) / ".cache" / "limn";
}

fs::path cached_file(const Published& weights) { return cache_folder() / weights.file; }

namespace {

struct CloseFile {
    void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

std::string md5_of(const fs::path& path) { return digest_of_file("md5", path); }

namespace {

struct Transfer {
    std::FILE* file;
    std::uint64_t had;  // bytes from an earlier attempt
    const FetchOptions& options;
    int write_error = 0;
};

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
    auto& t = *static_cast<Transfer*>(user);
    const std::size_t written = std::fwrite(data, size, count, t.file);
    if (written != count) t.write_error = errno;
    return written * size;
}

int on_progress(void* user, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
    const auto& t = *static_cast<Transfer*>(user);
    if (t.options.progress && total > 0) t.options.progress(t.had + std::uint64_t(done), t.had + std::uint64_t(total));
    return 0;
}

// Appends the rest of `url` to the file; the HTTP status (0 for file://) and curl's code say how it went.
std::pair<CURLcode, long> transfer(const std::string& url, Transfer& t, std::string& message) {
    const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
    LIMN_CHECK(curl, "libcurl cannot be used");
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, 10L);  // curl before 8.3 has no limit of its own
    curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl.get(), CURLOPT_RESUME_FROM_LARGE, curl_off_t(t.had));
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &t);
    curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, text);
    const CURLcode code = curl_easy_perform(curl.get());
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    message = *text ? text : curl_easy_strerror(code);
    return {code, status};
}

std::string address_of(const Published& weights, const FetchOptions& options) {
    std::string mirror = options.mirror;
    if (mirror.empty())
        if (const char* value = std::getenv("LIMN_MIRROR")) mirror = value;
    if (mirror.empty()) return weights.url;
    return mirror + (mirror.back() == '/' ? "" : "/") + weights.file;
}

}  // namespace

fs::path fetch(const Published& weights, const FetchOptions& options) {
    const fs::path final_path = cached_file(weights), part = final_path.string() + ".part";
    std::error_code ignored;
    if (fs::exists(final_path, ignored)) {
        LIMN_CHECK(fs::is_regular_file(final_path, ignored), "{}: is not a file, and in the way of the download: remove it",
                   final_path.string());
        return final_path;
    }
    make_folder(final_path.parent_path());
    const std::string url = address_of(weights, options);

    for (bool again : {true, false}) {
        const File file(std::fopen(part.c_str(), "ab"));
        LIMN_CHECK(file, "{}: cannot be written: {}", part.string(), std::strerror(errno));
        // A second download would go on writing into the file that the first one has already verified and named.
        LIMN_CHECK(flock(fileno(file.get()), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
                   "{}: another limn is fetching {}: wait until it is done", part.string(), weights.name);
        if (fs::is_regular_file(final_path, ignored)) {  // the other one finished just before the lock
            fs::remove(part, ignored);
            return final_path;
        }
        std::fseek(file.get(), 0, SEEK_END);
        const auto had = static_cast<std::uint64_t>(ftello(file.get()));
        Transfer t{file.get(), had, options};
        std::string message;
        const auto [code, status] = transfer(url, t, message);
        if (std::fflush(file.get()) != 0 && !t.write_error) t.write_error = errno;
        LIMN_CHECK(!t.write_error, "{}: cannot be written: {} (what is there is kept; a later `limn fetch {}` goes on from it)",
                   part.string(), std::strerror(t.write_error), weights.name);
        // Nothing is left to resume (416), or the server cannot resume: what we have is whole, or has to start over.
        const bool cannot_resume = had > 0 && (status == 416 || code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME);
        LIMN_CHECK(code == CURLE_OK || cannot_resume,
                   "{} cannot be fetched from {}: {} (another address: limn fetch {} --mirror URL; or put the file into {} by hand)",
                   weights.name, url, message, weights.name, final_path.parent_path().string());
        const std::string found = md5_of(part);
        if (found == weights.md5) {
            std::error_code error;
            if (fsync(fileno(file.get())) != 0) error.assign(errno, std::generic_category());
            if (!error) fs::rename(part, final_path, error);
            LIMN_CHECK(!error, "{}: cannot be written: {}", final_path.string(), error.message());
            return final_path;
        }
        fs::remove(part, ignored);
        // A part of some other file, or one the server would not resume, gets one fresh start.
        LIMN_CHECK(had > 0 && again,
                   "{}: the file from {} has the checksum {}, {} was expected: it was removed; try again or another --mirror", weights.name,
                   url, found, weights.md5);
    }
    fail("{} cannot be fetched", weights.name);
}

}  // namespace limn
