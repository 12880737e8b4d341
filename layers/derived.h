// Numbers that follow from others and do not change from image to image: computed once, and kept where the values beside them lie.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/tensor.h"

namespace limn {

class Derived {
public:
    // make() computes them on the host. It is called again for other sources, another number type or another device than last time.
    template <class Make> const Tensor& of(const std::vector<Tensor>& sources, const Tensor& beside, Make make) const {
        const auto same = [](const Tensor& a, const Tensor& b) { return a.id() == b.id(); };
        if (numbers_.empty() || numbers_.dtype() != beside.dtype() || numbers_.device() != beside.device() ||
            !std::ranges::equal(sources_, sources, same)) {
            numbers_ = make().to(beside.dtype()).on(beside.device());
            sources_ = sources;  // kept alive, so that no new ones can lie where they lie
        }
        return numbers_;
    }

private:
    mutable std::vector<Tensor> sources_;
    mutable Tensor numbers_;
};

}  // namespace limn
