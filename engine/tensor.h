// Tensor: a dense block of numbers and its shape. Images are NHWC: (images, height, width, channels).
//
// A Tensor is a cheap handle: copying it shares the numbers, `clone()` copies them. It may view memory that
// somebody else owns (weights inside a mapped file). There are no strides: element (n,h,w,c) always lies at
// ((n*H + h)*W + w)*C + c, so every kernel may walk memory in order.
// Its numbers lie in the host's memory or in a device's (engine/device.h); only the host's can be looked at.
// It never computes: see engine/backend.h for the verbs, which is the file to read next.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/device.h"
#include "engine/error.h"
#include "engine/verbs.h"

namespace limn {

// Sizes of up to six axes, outermost first. A scalar has rank 0 and size 1.
class Shape {
public:
    static constexpr int max_rank = 6;

    Shape() = default;
    Shape(std::initializer_list<Index> sizes);
    explicit Shape(std::span<const Index> sizes);

    int rank() const { return rank_; }
    Index size() const;  // number of elements
    Index operator[](int axis) const { return sizes_[axis < 0 ? axis + rank_ : axis]; }
    Index& operator[](int axis) { return sizes_[axis < 0 ? axis + rank_ : axis]; }
    const Index* begin() const { return sizes_.data(); }
    const Index* end() const { return sizes_.data() + rank_; }
    bool operator==(const Shape& other) const;

    Shape with(int axis, Index size) const;  // the same, one axis changed
    Shape without(int axis) const;           // the same, one axis left out
    std::string str() const;                 // "(2,30,41,3)"; unknown sizes (-1) print as "?"

private:
    std::array<Index, max_rank> sizes_{};
    int rank_ = 0;
};

// float is what limn computes with; double exists for the reference backend, so that gradients can be checked by
// finite differences; whole numbers are places (which value of a window was the largest); bytes are pictures.
enum class DType { f32, f64, i32, u8 };
template <class T> constexpr DType dtype_of = std::is_same_v<T, float>    ? DType::f32
                                              : std::is_same_v<T, double> ? DType::f64
                                              : sizeof(T) == 1            ? DType::u8
                                                                          : DType::i32;

class Tensor {
public:
    Tensor() = default;  // empty: no numbers, shape ()
    // Uninitialised, 64-byte aligned; in the host's memory unless a device is named.
    explicit Tensor(Shape shape, DType dtype = DType::f32, Device* device = nullptr);
    static Tensor zeros(Shape shape, DType dtype = DType::f32, Device* device = nullptr);
    static Tensor full(Shape shape, double value, DType dtype = DType::f32);
    static Tensor from(Shape shape, std::span<const float> values);
    // Looks at memory of `owner` (kept alive as long as the tensor). The numbers must not be written.
    static Tensor view(Shape shape, const float* data, std::shared_ptr<const void> owner);

    bool empty() const { return !data_; }
    const Shape& shape() const { return shape_; }
    DType dtype() const { return dtype_; }
    Index size() const { return shape_.size(); }
    std::size_t bytes() const;

    // Where the numbers lie: null for the host's memory.
    Device* device() const { return device_; }
    Tensor on(Device* device) const;  // itself if it is there, else a copy
    Tensor host() const { return on(nullptr); }
    void assign(const Tensor& from);  // takes over the numbers of another tensor of this size and type, wherever either lies

    template <class T = float> const T* data() const {
        check_type<T>();
        return static_cast<const T*>(data_.get());
    }
    template <class T = float> T* data() {
        check_type<T>();
        return static_cast<T*>(data_.get());
    }
    template <class T = float> std::span<const T> values() const { return {data<T>(), static_cast<std::size_t>(size())}; }
    template <class T = float> std::span<T> values() { return {data<T>(), static_cast<std::size_t>(size())}; }
    double at(std::initializer_list<Index> index) const;  // one element; for tests and messages
    double at_flat(Index i) const;

    Tensor like(Shape shape) const { return Tensor(shape, dtype_, device_); }  // uninitialised, of the same number type, in the same memory
    Tensor like() const { return like(shape_); }
    Tensor zeros_like(Shape shape) const { return zeros(shape, dtype_, device_); }
    Tensor clone() const;
    Tensor to(DType dtype) const;                             // itself if it already is
    Tensor reshaped(Shape shape) const;                       // the same numbers, another shape of the same size
    Tensor rows(Index first, Index count) const;              // part of the first axis; shares the numbers
    Tensor part(Index byte, Shape shape, DType dtype) const;  // what lies from this byte on, as another tensor; shares the numbers
    const void* id() const { return data_.get(); }            // equal for tensors that start at the same number
    void* address() const { return data_.get(); }             // for backends: of the first number, in whichever memory

private:
    template <class T> void check_type() const {
        if ((dtype_ != dtype_of<T> && !empty()) || device_) refuse_numbers();
    }
    [[noreturn]] void refuse_numbers() const;
    Shape shape_;
    DType dtype_ = DType::f32;
    Device* device_ = nullptr;
    std::shared_ptr<void> data_;
};

// Calls f with a value of the tensor's number type, float or double: with_type(t, [&](auto zero) { using T = decltype(zero); ... }).
template <class F> decltype(auto) with_type(DType dtype, F&& f) { return dtype == DType::f32 ? f(float{}) : f(double{}); }

}  // namespace limn
