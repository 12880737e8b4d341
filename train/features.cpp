#include "train/features.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "view/terminal.h"

namespace limn {

namespace {

// Memory of a file without a name: its space is given back when it is unmapped, also after a crash.
std::shared_ptr<void> mapped_file(const std::filesystem::path& folder, std::size_t bytes) {
    std::string name = (folder / "features-XXXXXX").string();
    const int file = mkstemp(name.data());
    LIMN_CHECK(file >= 0, "{}: a file for the features cannot be made: {}", folder.string(), std::strerror(errno));
    unlink(name.c_str());
    const int error = posix_fallocate(file, 0, off_t(bytes));
    void* memory = error ? MAP_FAILED : mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    LIMN_CHECK(memory != MAP_FAILED, "{}: {} MB of features do not fit there: {}", folder.string(), bytes >> 20,
               std::strerror(error ? error : errno));
    return {memory, [bytes](void* m) { munmap(m, bytes); }};
}

}  // namespace

Tensor compute_features(const Backend& backend, const Model& model, int node, const std::vector<Sample>& samples,
                        const LoaderSettings& settings, std::uint64_t memory, const std::filesystem::path& folder,
                        const std::string& label) {
    Loader loader(samples, settings, 0);
    ProgressBar bar(samples.size(), label, stderr);
    const Model base = model.up_to(node);
    Tensor features;
    float* out = nullptr;
    Batch batch;
    for (Index done = 0; loader.next(batch); done += Index(batch.samples.size())) {
        Tape tape(backend);
        const Tensor y = base.forward(tape, {batch.images})[std::size_t(base.outputs[0])].value.host();
        if (features.empty()) {
            const Shape shape = y.shape().with(0, Index(samples.size()));
            if (std::uint64_t(shape.size()) * sizeof(float) <= memory) {
                features = Tensor(shape);
                out = features.data();
            } else {
                const std::shared_ptr<void> map = mapped_file(folder, std::size_t(shape.size()) * sizeof(float));
                out = static_cast<float*>(map.get());
                features = Tensor::view(shape, out, map);
            }
        }
        std::memcpy(out + done * (y.size() / y.shape()[0]), y.data(), std::size_t(y.size()) * sizeof(float));
        bar.update(std::uint64_t(done) + batch.samples.size());
    }
    return features;
}

Tensor gathered(const Tensor& rows, const std::vector<std::size_t>& order, std::size_t first, std::size_t count) {
    const Index size = rows.size() / rows.shape()[0];
    Tensor batch(rows.shape().with(0, Index(count)));
    for (std::size_t i = 0; i < count; i++)
        std::memcpy(batch.data() + Index(i) * size, rows.data() + Index(order[first + i]) * size, std::size_t(size) * sizeof(float));
    return batch;
}

}  // namespace limn
