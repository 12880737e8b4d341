#include <algorithm>

#include "cam/target.h"
#include "cam/target_text.h"

namespace limn {

Tensor seed_of(const std::vector<std::vector<Target>>& targets, const Shape& scores, DType dtype) {
    const Index N = Index(targets.size()), T = N ? Index(targets[0].size()) : 0, size = scores.size() / std::max<Index>(1, scores[0]);
    Tensor seed = Tensor::zeros(scores.with(0, T * N), dtype);
    for (Index n = 0; n < N; n++) {
        LIMN_CHECK(Index(targets[std::size_t(n)].size()) == T, "every image of a batch needs the same number of targets");
        for (Index t = 0; t < T; t++) {
            const Target& target = targets[std::size_t(n)][std::size_t(t)];
            // what is picked along the axes from `axis` on, in the block at `place`
            const auto add = [&](auto&& rest, const std::vector<Slice>& at, double weight, std::size_t axis, Index place) -> void {
                if (axis == at.size())
                    return with_type(dtype,
                                     [&](auto zero) { seed.data<decltype(zero)>()[(t * N + n) * size + place] += decltype(zero)(weight); });
                const Index side = scores[int(axis) + 1], last = at[axis].last < 0 ? side : at[axis].last;
                LIMN_CHECK(at[axis].first < last && last <= side, "target '{}': the output is {} for this image", target.label,
                           scores.without(0).str());
                for (Index i = at[axis].first; i < last; i++) rest(rest, at, weight, axis + 1, place * side + i);
            };
            if (target.terms.empty()) add(add, {{target.index, target.index + 1}}, target.sign, 0, 0);
            for (const Term& term : target.terms) add(add, term.at, term.weight, 0, 0);
        }
    }
    return seed;
}

bool depends_on_scores(const std::string& given, const Head& head) {
    if (const std::vector<std::string> list = listed(given); list.size() > 1)
        return std::ranges::any_of(list, [&](const std::string& one) { return depends_on_scores(one, head); });
    const std::string spec = bare(given);
    if (spec == "auto" || spec.starts_with("top:") || spec.starts_with("best:")) return true;
    return head.per_pixel && spec.find("output[") == spec.npos;  // the pixels that a class wins
}

namespace {

struct Verbs {
    const Backend& backend;
    Tensor operator()(Binary op, const Tensor& a, const Tensor& b, const Shape& shape) const {
        Tensor y = a.like(shape);
        backend.binary(op, a, b, y);
        return y;
    }
    Tensor operator()(Binary op, const Tensor& a, double b) const { return (*this)(op, a, Tensor::full({1}, b, a.dtype()), a.shape()); }
};

// 1 for class k, or 0 for the classes that compete and -infinity for the others
Tensor class_mask(Index classes, const std::vector<Index>& chosen, double in, double out, DType dtype) {
    Tensor mask = Tensor::full({classes}, out, dtype);
    with_type(dtype, [&](auto zero) {
        for (Index k : chosen) mask.data<decltype(zero)>()[k] = decltype(zero)(in);
    });
    return mask;
}

// The T best classes of each row (N,K), one after another: (T*N,K).
Tensor best_of(const Verbs& verbs, const TargetText& text, const Tensor& scores) {
    const Index N = scores.shape()[0], K = scores.shape()[1];
    Tensor seed = scores.like({text.count * N, K});
    Tensor competing = scores;
    if (!text.among.empty())
        competing = verbs(Binary::add, scores, class_mask(K, text.among, 0, -HUGE_VAL, scores.dtype()), scores.shape());
    verbs.backend.one_hot_largest(competing, seed);
    return seed;
}

// +1 where a single sigmoid says yes and -1 where it says no; then the other side.
Tensor sides(const Verbs& verbs, Index count, const Tensor& outputs) {
    const Index N = outputs.shape()[0];
    Tensor seed = outputs.like(outputs.shape().with(0, count * N));
    const Tensor side = verbs(Binary::subtract, verbs(Binary::multiply, verbs(Binary::greater_equal, outputs, 0.5), 2), 1);
    for (Index t = 0; t < count; t++) {
        Tensor part = seed.rows(t * N, N);
        verbs.backend.binary(Binary::multiply, side, Tensor::full({1}, t ? -1 : 1, side.dtype()), part);
    }
    return seed;
}

}  // namespace

Tensor scored_seed(const Backend& backend, const std::string& spec, const Head& head, const Tensor& logits, const Tensor& outputs,
                   const std::vector<std::string>& labels) {
    if (const std::vector<std::string> list = listed(spec); list.size() > 1) {  // of each the first, as choose_targets does
        const Index N = logits.shape()[0];
        Tensor all = logits.like(logits.shape().with(0, Index(list.size()) * N));
        for (std::size_t t = 0; t < list.size(); t++) {
            Tensor rows = all.rows(Index(t) * N, N);
            if (depends_on_scores(list[t], head))
                rows.assign(scored_seed(backend, list[t], head, logits, outputs, labels).rows(0, N));
            else
                rows.assign(
                    seed_of(std::vector(std::size_t(N), choose_targets(list[t], head, {}, {}, labels)), logits.shape(), logits.dtype()));
        }
        return all;
    }
    const TargetText text = understand(spec, head, labels);
    const Verbs verbs{backend};
    if (!head.per_pixel) return head.binary() ? sides(verbs, text.count, outputs) : best_of(verbs, text, logits);

    const Shape& shape = logits.shape();
    const Index N = shape[0], K = head.classes, pixels = shape[1] * shape[2], T = text.count;
    if (head.binary()) {  // 1: the sum over the pixels that say yes; 0: minus the sum over the others
        Tensor seed = logits.like(shape.with(0, T * N));
        const Tensor yes = verbs(Binary::greater_equal, outputs, 0.5);
        for (Index t = 0; t < T; t++) {
            Tensor part = seed.rows(t * N, N);
            backend.binary(Binary::subtract, yes, Tensor::full({1}, (text.best ? t == 0 : text.side == 1) ? 0 : 1, yes.dtype()), part);
        }
        return seed;
    }
    Tensor wins = logits.like({N * pixels, K});
    backend.one_hot_largest(logits.reshaped({N * pixels, K}), wins);
    wins = wins.reshaped({N, pixels, K});
    Tensor chosen;
    if (!text.best) {
        chosen = class_mask(K, {text.side}, 1, 0, logits.dtype());
    } else {
        Tensor votes = logits.like({N, 1, K});
        backend.reduce(Reduction::sum, wins, votes);
        chosen = best_of(verbs, text, votes.reshaped({N, K})).reshaped({T, N, 1, K});
    }
    return verbs(Binary::multiply, wins, chosen, {T, N, pixels, K}).reshaped(shape.with(0, T * N));
}

}  // namespace limn
