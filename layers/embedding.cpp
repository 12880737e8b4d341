// Where sequences begin: Embedding looks words up, Masking marks the steps that hold no data. Both say which steps count.
#include <cmath>

#include "autograd/ops.h"
#include "layers/core.h"
#include "layers/mask.h"

namespace limn {

namespace {

Shape with_last_axis(const Shape& shape, Index size) {
    std::vector<Index> sizes(shape.begin(), shape.end());
    sizes.push_back(size);
    return Shape(std::span<const Index>(sizes));
}

// y[n,t] = embeddings[ids[n,t]]. The ids are constants, of any number type.
class Embedding : public Layer {
public:
    explicit Embedding(const Config& config)
        : Layer(config), rows_(config.integer("input_dim", 0)), size_(config.integer("output_dim", 0)),
          mask_zero_(config.flag("mask_zero", false)) {
        for (Index size : {rows_, size_})
            if (size < 1 || size > 1 << 24) reject(fmt::format("a table of {} rows of {} numbers makes no sense", rows_, size_));
    }
    void build(const std::vector<Shape>& inputs) override {
        if (inputs[0].rank() >= Shape::max_rank) reject(fmt::format("its ids have too many axes: {}", inputs[0].str()));
        weights.push_back({"embeddings", {rows_, size_}, {}});
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return with_last_axis(in[0], size_); }

    MaskUse mask_use(const std::vector<int>&) const override {
        if (!mask_zero_) return {};
        const auto shape = [](const std::vector<Shape>& in) { return with_last_axis(in[0], 1); };
        const auto value = [](const Backend& backend, const std::vector<Var>& in) {
            const Tensor ids = in[0].value.host();
            Tensor mask(with_last_axis(ids.shape(), 1));
            for (Index i = 0; i < ids.size(); i++) mask.data()[i] = ids.at_flat(i) != 0;  // id 0 stands for no word
            return mask.on(backend.device());
        };
        return {.makes = std::make_shared<Mask>(name, shape, value)};
    }

    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        const Tensor ids = in[0].value.host();
        std::vector<Index> rows;
        for (Index i = 0; i < ids.size(); i++) {
            const double id = std::trunc(ids.at_flat(i));
            if (!(id >= 0 && id < double(rows_)))
                reject(fmt::format("the id {} is not in its table: ids are 0 to {}", ids.at_flat(i), rows_ - 1));
            rows.push_back(Index(id));
        }
        return reshape(tape, gather(tape, tape.parameter(weights[0].value), rows), output_shape({ids.shape()}));
    }

private:
    Index rows_, size_;
    bool mask_zero_;
};

// A step whose numbers all are mask_value does not count, and becomes 0.
class Masking : public Layer {
public:
    explicit Masking(const Config& config) : Layer(config), value_(config.number("mask_value", 0)) {
        if (!std::isfinite(value_)) reject(fmt::format("a mask_value of {} makes no sense", value_));
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override {
        const auto shape = [](const std::vector<Shape>& in) { return in[0].with(-1, 1); };
        const auto value = [wanted = value_](const Backend& backend, const std::vector<Var>& in) {
            return mask_of(backend, in[0].value, wanted).to(DType::f32);
        };
        return {.makes = std::make_shared<Mask>(name, shape, value)};
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        return multiply(tape, in[0], mask_of(tape.backend(), in[0].value, value_));
    }

private:
    // 1 where any number of a step differs from `value`
    static Tensor mask_of(const Backend& backend, const Tensor& x, double value) {
        Tensor equal = x.like(), differs = x.like(), any = x.like(x.shape().with(-1, 1));
        backend.binary(Binary::equal, x, Tensor::full({1}, value, x.dtype()), equal);
        backend.binary(Binary::subtract, Tensor::full({1}, 1, x.dtype()), equal, differs);
        backend.reduce(Reduction::maximum, differs, any);
        return any;
    }
    double value_;
};

}  // namespace

LayerPtr make_embedding(const Config& config) { return std::make_shared<Embedding>(config); }
LayerPtr make_masking(const Config& config) { return std::make_shared<Masking>(config); }

}  // namespace limn
