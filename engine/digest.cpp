#include "engine/digest.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/error.h"

namespace limn {

namespace {

class Digest {
public:
    explicit Digest(const char* algorithm) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        const EVP_MD* type = EVP_get_digestbyname(algorithm);
        LIMN_CHECK(context_ && type && EVP_DigestInit_ex(context_.get(), type, nullptr) == 1, "{} is not available in this OpenSSL",
                   algorithm);
    }
    void add(const void* bytes, std::size_t count) { EVP_DigestUpdate(context_.get(), bytes, count); }
    std::string text() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest, &size);
        std::string hexadecimal;
        for (unsigned i = 0; i < size; i++) hexadecimal += fmt::format("{:02x}", digest[i]);
        return hexadecimal;
    }

private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string digest_of(const char* algorithm, std::span<const std::byte> bytes) {
    Digest digest(algorithm);
    digest.add(bytes.data(), bytes.size());
    return digest.text();
}

std::string digest_of_file(const char* algorithm, const std::filesystem::path& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    LIMN_CHECK(file, "{}: cannot be read: {}", path.string(), std::strerror(errno));
    Digest digest(algorithm);
    std::vector<std::byte> block(1 << 20);
    while (const std::size_t n = std::fread(block.data(), 1, block.size(), file.get())) digest.add(block.data(), n);
    LIMN_CHECK(!std::ferror(file.get()), "{}: cannot be read", path.string());
    return digest.text();
}

}  // namespace limn
