#include "engine/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "engine/memory.h"

namespace limn {

Shape::Shape(std::initializer_list<Index> sizes) : Shape(std::span<const Index>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const Index> sizes) : rank_(static_cast<int>(sizes.size())) {
    LIMN_CHECK(sizes.size() <= max_rank, "{} axes, but limn knows at most {}", sizes.size(), int(max_rank));
    std::copy(sizes.begin(), sizes.end(), sizes_.begin());
}

Index Shape::size() const {
    Index n = 1;
    for (Index s : *this) LIMN_CHECK(!__builtin_mul_overflow(n, s, &n), "shape {} has too many elements", str());
    return n;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

Shape Shape::with(int axis, Index size) const {
    Shape s = *this;
    s[axis] = size;
    return s;
}

Shape Shape::without(int axis) const {
    if (axis < 0) axis += rank_;
    Shape s = *this;
    std::copy(begin() + axis + 1, end(), s.sizes_.begin() + axis);
    s.rank_--;
    return s;
}

std::string Shape::str() const {
    std::string text = "(";
    for (int i = 0; i < rank_; i++) {
        if (i) text += ',';
        text += sizes_[std::size_t(i)] < 0 ? "?" : std::to_string(sizes_[std::size_t(i)]);
    }
    return text += ')';
}

static std::size_t element_size(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::u8 ? 1 : 4; }

Tensor::Tensor(Shape shape, DType dtype, Device* device) : shape_(shape), dtype_(dtype), device_(device) {
    const Index n = shape.size();
    LIMN_CHECK(n >= 0 && n <= std::numeric_limits<Index>::max() / 16, "a tensor of shape {} cannot exist", shape.str());
    data_ = device ? device->allocate(bytes()) : allocate(bytes());
    LIMN_CHECK(data_, "out of memory: {} MB for a tensor of shape {}", bytes() >> 20, shape.str());
}

std::size_t Tensor::bytes() const { return static_cast<std::size_t>(size()) * element_size(dtype_); }

void Tensor::refuse_numbers() const {
    LIMN_CHECK(!device_, "the numbers of a tensor {} lie on {}: host() brings them here", shape_.str(), device_->name());
    fail("a tensor of another number type was expected");
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device* device) {
    Tensor t(shape, dtype, device);
    device ? device->zero(t.address(), t.bytes()) : void(std::memset(t.address(), 0, t.bytes()));
    return t;
}

Tensor Tensor::on(Device* device) const {
    if (device == device_ || empty()) return *this;
    Tensor t(shape_, dtype_, device);
    t.assign(*this);
    return t;
}

void Tensor::assign(const Tensor& from) {
    LIMN_CHECK(!from.empty() && from.size() == size() && from.dtype_ == dtype_, "the numbers of {} do not fit into {}", from.shape().str(),
               shape_.str());
    LIMN_CHECK(!device_ || !from.device_ || device_ == from.device_, "tensors of two devices meet");
    if (device_)
        from.device_ ? device_->copy(address(), from.address(), bytes()) : device_->from_host(address(), from.address(), bytes());
    else if (from.device_)
        from.device_->to_host(address(), from.address(), bytes());
    else
        std::memcpy(address(), from.address(), bytes());
}

Tensor Tensor::full(Shape shape, double value, DType dtype) {
    Tensor t(shape, dtype);
    with_type(dtype, [&](auto zero) {
        auto v = t.values<decltype(zero)>();
        std::fill(v.begin(), v.end(), static_cast<decltype(zero)>(value));
    });
    return t;
}

Tensor Tensor::from(Shape shape, std::span<const float> values) {
    LIMN_CHECK(shape.size() == static_cast<Index>(values.size()), "{} numbers do not fill the shape {}", values.size(), shape.str());
    Tensor t(shape);
    std::copy(values.begin(), values.end(), t.values().begin());
    return t;
}

Tensor Tensor::view(Shape shape, const float* data, std::shared_ptr<const void> owner) {
    Tensor t;
    t.shape_ = shape;
    t.data_ = std::shared_ptr<void>(std::const_pointer_cast<void>(std::move(owner)), const_cast<float*>(data));
    return t;
}

double Tensor::at_flat(Index i) const {
    if (dtype_ == DType::i32) return data<std::int32_t>()[i];
    if (dtype_ == DType::u8) return data<std::uint8_t>()[i];
    return with_type(dtype_, [&](auto zero) { return static_cast<double>(data<decltype(zero)>()[i]); });
}

double Tensor::at(std::initializer_list<Index> index) const {
    LIMN_CHECK(static_cast<int>(index.size()) == shape_.rank(), "{} indices for the shape {}", index.size(), shape_.str());
    Index flat = 0;
    int axis = 0;
    for (Index i : index) {
        LIMN_CHECK(i >= 0 && i < shape_[axis], "index {} is outside axis {} of {}", i, axis, shape_.str());
        flat = flat * shape_[axis++] + i;
    }
    return at_flat(flat);
}

Tensor Tensor::clone() const {
    if (empty()) return {};
    Tensor t = like();
    t.assign(*this);
    return t;
}

Tensor Tensor::to(DType dtype) const {
    if (dtype == dtype_ || empty()) return *this;
    if (device_) return host().to(dtype).on(device_);
    Tensor t(shape_, dtype);
    with_type(dtype_, [&](auto from) {
        with_type(dtype, [&](auto to) {
            std::transform(values<decltype(from)>().begin(), values<decltype(from)>().end(), t.values<decltype(to)>().begin(),
                           [](auto v) { return static_cast<decltype(to)>(v); });
        });
    });
    return t;
}

Tensor Tensor::reshaped(Shape shape) const {
    LIMN_CHECK(shape.size() == size(), "{} cannot be reshaped to {}", shape_.str(), shape.str());
    Tensor t = *this;
    t.shape_ = shape;
    return t;
}

Tensor Tensor::rows(Index first, Index count) const {
    LIMN_CHECK(shape_.rank() > 0 && first >= 0 && count >= 0 && first + count <= shape_[0], "rows {}..{} are outside {}", first,
               first + count, shape_.str());
    Tensor t = *this;
    const Index row = shape_[0] ? size() / shape_[0] : 0;
    t.shape_[0] = count;
    t.data_ = std::shared_ptr<void>(data_, static_cast<char*>(data_.get()) + static_cast<std::size_t>(first * row) * element_size(dtype_));
    return t;
}

Tensor Tensor::part(Index byte, Shape shape, DType dtype) const {
    Tensor t = *this;
    t.shape_ = shape, t.dtype_ = dtype;
    LIMN_CHECK(byte >= 0 && byte % Index(element_size(dtype)) == 0 && std::size_t(byte) + t.bytes() <= bytes(),
               "there is no {} from byte {} on in a tensor of {} bytes", shape.str(), byte, bytes());
    t.data_ = std::shared_ptr<void>(data_, static_cast<char*>(data_.get()) + byte);
    return t;
}

}  // namespace limn
