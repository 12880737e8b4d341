// EinsumDense: y = a product of x and a kernel, axes named by letters ("abc,cd->abd"), plus a bias.
#include "autograd/ops.h"
#include "layers/core.h"

namespace limn {

namespace {

class EinsumDense : public Layer {
public:
    explicit EinsumDense(const Config& config)
        : Layer(config), equation_(config.text("equation", "")), bias_axes_(config.text("bias_axes", "")) {
        std::erase(equation_, ' ');
        split_activation(config.activation("activation"));
    }
    void build(const std::vector<Shape>& inputs) override {
        // "...x,xy->...y": the dots stand for as many axes as are left
        const auto parts = [&](const std::string& e) {
            const auto comma = e.find(','), arrow = e.find("->");
            if (comma == e.npos || arrow == e.npos || arrow < comma) reject(fmt::format("'{}' is no equation of two tensors", e));
            return std::array{e.substr(0, comma), e.substr(comma + 1, arrow - comma - 1), e.substr(arrow + 2)};
        };
        if (const auto dots = equation_.find("..."); dots != equation_.npos) {
            const int left = inputs[0].rank() - int(parts(equation_)[0].size()) + 3;
            const std::string axes = std::string("ABCDEF").substr(0, std::size_t(std::clamp(left, 0, 6)));
            for (auto at = dots; at != equation_.npos; at = equation_.find("...")) equation_.replace(at, 3, axes);
        }
        const auto [in, kernel, out] = parts(equation_);
        if (int(in.size()) != inputs[0].rank() || kernel.empty() || kernel.size() > Shape::max_rank || out.empty() || out[0] != in[0])
            reject(fmt::format("'{}' does not fit an input of {}", equation_, inputs[0].str()));

        std::map<char, Index> sizes;  // of the letters: from the input, else from output_shape, which leaves out the images
        const Value* list = keras_config.find("output_shape");
        const List given = list && list->as<List>() ? *list->as<List>() : list ? List{*list} : List{};
        for (std::size_t i = 0; i < given.size() && i < out.size(); i++)
            if (const double* size = given[given.size() - 1 - i].as<double>()) sizes[out[out.size() - 1 - i]] = Index(*size);
        for (std::size_t i = 0; i < in.size(); i++) sizes[in[i]] = inputs[0][int(i)];
        const auto size_of = [&](char c) {
            const Index size = sizes.contains(c) ? sizes[c] : -1;
            if (size < 1 || size > 1 << 24) reject(fmt::format("the size of axis '{}' of '{}' is not known", c, equation_));
            return size;
        };
        std::vector<Index> kernel_sizes, bias_sizes;
        for (char c : kernel) kernel_sizes.push_back(size_of(c));
        weights.push_back({"kernel", Shape(std::span<const Index>(kernel_sizes)), {}});
        if (!bias_axes_.empty()) {
            const auto first = out.find_first_of(bias_axes_);
            if (first == out.npos) reject(fmt::format("its bias has the axes '{}', its output '{}'", bias_axes_, out));
            for (char c : out.substr(first)) bias_sizes.push_back(bias_axes_.find(c) == bias_axes_.npos ? 1 : size_of(c));
            weights.push_back({"bias", Shape(std::span<const Index>(bias_sizes)), {}});
        }
        for (char c : out) output_.push_back(in.find(c) == in.npos ? size_of(c) : -Index(in.find(c)) - 1);
    }
    Shape output_shape(const std::vector<Shape>& in) const override {
        std::vector<Index> sizes;
        for (Index size : output_) sizes.push_back(size < 0 ? in[0][int(-size - 1)] : size);
        return Shape(std::span<const Index>(sizes));
    }
    Var forward(Tape& tape, const std::vector<Var>& in) const override {
        Var y = einsum(tape, equation_, in[0], tape.parameter(weights[0].value));
        if (!bias_axes_.empty()) y = add(tape, y, tape.parameter(weight("bias")));
        return fused_relu ? relu(tape, y) : y;
    }

private:
    std::string equation_, bias_axes_;
    std::vector<Index> output_;  // for each axis its size, or -1 - the axis of the input that it is
};

}  // namespace

LayerPtr make_einsum_dense(const Config& config) { return std::make_shared<EinsumDense>(config); }

}  // namespace limn
