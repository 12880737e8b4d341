#include "train/loss.h"

#include <algorithm>
#include <cmath>

namespace limn {

// The losses are computed on the host: a few numbers an image. dz: d loss / d logits
static Var recorded(Tape& tape, const char* name, const Var& logits, const Tensor& loss, const Tensor& dz) {
    return tape.record(name, {logits}, loss, [dz = dz.on(logits.value.device())](const Tensor& dy, Walk& walk) {
        Tensor dx = dz.like();
        walk.backend.binary(Binary::multiply, dz, dy, dx);
        walk.give(0, dx);
    });
}

Var binary_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets) {
    LIMN_CHECK(logits.shape() == targets.shape(), "scores {} and targets {} differ in shape", logits.shape().str(), targets.shape().str());
    const Tensor scores = logits.value.host();
    Tensor loss = scores.like({1}), dz = scores.like();
    with_type(loss.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const double n = double(targets.size());
        double sum = 0;
        for (Index i = 0; i < targets.size(); i++) {
            const double z = double(scores.data<T>()[i]), t = targets.at_flat(i);
            sum += std::max(z, 0.0) - z * t + std::log1p(std::exp(-std::abs(z)));  // never overflows
            dz.data<T>()[i] = T((logistic(z) - t) / n);
        }
        loss.data<T>()[0] = T(sum / n);
    });
    return recorded(tape, "binary_cross_entropy", logits, loss, dz);
}

Var categorical_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets) {
    LIMN_CHECK(logits.shape() == targets.shape(), "scores {} and targets {} differ in shape", logits.shape().str(), targets.shape().str());
    const Index N = logits.shape()[0], K = logits.shape()[1];
    const Tensor scores = logits.value.host();
    Tensor loss = scores.like({1}), dz = scores.like();
    with_type(loss.dtype(), [&](auto zero) {
        using T = decltype(zero);
        double total = 0;
        for (Index n = 0; n < N; n++) {
            const T* z = scores.data<T>() + n * K;
            const double top = double(*std::max_element(z, z + K));
            double sum = 0, mass = 0;
            for (Index k = 0; k < K; k++) sum += std::exp(double(z[k]) - top), mass += targets.at_flat(n * K + k);
            for (Index k = 0; k < K; k++) {
                const double t = targets.at_flat(n * K + k), log_p = double(z[k]) - top - std::log(sum);
                total -= t * log_p;
                dz.data<T>()[n * K + k] = T((std::exp(log_p) * mass - t) / double(N));
            }
        }
        loss.data<T>()[0] = T(total / double(N));
    });
    return recorded(tape, "categorical_cross_entropy", logits, loss, dz);
}

bool is_binary(const Head& head) { return head.kind == Head::Kind::sigmoid || head.classes == 1; }

Var loss_of(const Head& head, Tape& tape, const Var& logits, const Tensor& targets) {
    return is_binary(head) ? binary_cross_entropy(tape, logits, targets) : categorical_cross_entropy(tape, logits, targets);
}

Tensor targets_of(const Head& head, const std::vector<int>& classes, double smoothing) {
    const Index N = Index(classes.size()), K = head.classes;
    const double rest = smoothing / (is_binary(head) ? 2.0 : double(K));
    Tensor targets = Tensor::full({N, K}, rest);
    for (Index n = 0; n < N; n++) {
        const int label = classes[std::size_t(n)];
        if (K == 1)
            targets.data()[n] = float(label * (1 - smoothing) + rest);
        else
            targets.data()[n * K + label] = float(1 - smoothing + rest);
    }
    return targets;
}

Index answer_of(const float* scores, Index K, float least) {
    return K == 1 ? Index(scores[0] >= least) : Index(std::max_element(scores, scores + K) - scores);
}

Index count_correct(const Head& head, const Tensor& logits, const std::vector<int>& classes) {
    const Index K = head.classes;
    Index correct = 0;
    for (std::size_t n = 0; n < classes.size(); n++) correct += answer_of(logits.data() + Index(n) * K, K, 0) == classes[n];
    return correct;
}

}  // namespace limn
