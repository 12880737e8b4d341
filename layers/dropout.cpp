// Layers that forget some of what they see, in training only: Dropout (Srivastava et al. 2014), SpatialDropout (whole channels,
// Tompson et al. 2015), StochasticDepth (whole images, Huang et al. 2016). In use they do nothing.
#include "autograd/ops.h"
#include "autograd/training.h"
#include "layers/core.h"

namespace limn {

namespace {

// y = x * mask / (1 - rate), mask 0 with probability `rate` and else 1
class Dropout : public Layer {
public:
    explicit Dropout(const Config& config) : Layer(config), rate_(config.number("rate", config.number("drop_path_rate", 0))) {
        if (!(rate_ >= 0 && rate_ < 1)) reject(fmt::format("a rate of {} makes no sense: 0 to below 1", rate_));
        const Value* noise_shape = config.find("noise_shape");
        if (const List* sizes = noise_shape ? noise_shape->as<List>() : nullptr)
            for (const Value& size : *sizes) together_.push_back(size.as<double>() && *size.as<double>() == 1);
    }
    Shape output_shape(const std::vector<Shape>& in) const override { return in[0]; }
    MaskUse mask_use(const std::vector<int>&) const override { return {.passes = 0}; }
    bool random_in_training() const override { return rate_ > 0; }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        if (!tape.training || !trainable || rate_ == 0) return in[0];
        Shape shape = in[0].shape();  // of the mask
        for (int i = 1; i < shape.rank(); i++)
            if (class_name == "StochasticDepth" || (class_name.starts_with("Spatial") && i < shape.rank() - 1)) shape[i] = 1;
        for (std::size_t i = 0; i < together_.size() && int(i) < shape.rank(); i++)
            if (together_[i]) shape[keras_config.file_order(shape.rank())[i]] = 1;
        Random random(tape.training->seed, name);
        Tensor mask(shape, in[0].value.dtype());
        with_type(mask.dtype(), [&](auto zero) {
            using T = decltype(zero);
            for (T& m : mask.values<T>()) m = random.uniform() < rate_ ? T(0) : T(1 / (1 - rate_));
        });
        return multiply(tape, in[0], mask.on(in[0].value.device()));
    }

private:
    double rate_;
    std::vector<bool> together_;  // noise_shape: along these axes, as the file counts them, all or nothing is forgotten
};

}  // namespace

LayerPtr make_dropout(const Config& config) { return std::make_shared<Dropout>(config); }

}  // namespace limn
