#include "autograd/training.h"
#include "cam/colours.h"
#include "cam/methods.h"

namespace limn {

Tensor smooth_grad(const Question& q) {
    const Backend& backend = q.backend();
    const Tensor image = q.image().host();
    const Shape& x = image.shape();
    const auto values = image.values();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double deviation = 0.15 * double(*high - *low);
    const Index count = q.samples(50), T = q.targets();
    Random random(q.seed());

    Tensor sum = q.image().zeros_like(x.with(0, T));
    for (Index first = 0; first < count; first += q.batch) {
        const Index n = std::min(q.batch, count - first);
        Tensor noisy(x.with(0, n));
        for (Index i = 0; i < noisy.size(); i++)
            noisy.data()[i] = values[std::size_t(i % image.size())] + float(deviation * random.normal());
        const Tensor g = q.input_gradient(noisy.on(backend.device())).reshaped({T, n, 1, image.size()});
        backend.binary(Binary::add, sum, over_pixels(backend, Reduction::sum, g).reshaped(sum.shape()), sum);
        q.tell(first + n, count);
    }
    backend.binary(Binary::divide, sum, Tensor::full({1}, double(count)), sum);
    return largest_magnitude(backend, sum);
}

}  // namespace limn
