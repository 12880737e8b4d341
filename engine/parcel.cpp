#include "engine/parcel.h"

namespace limn {

static Index room_for(const Tensor& t) { return Index((t.bytes() + 255) / 256 * 256); }

Parcel::Parcel(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {
    Device* device = tensors_.empty() ? nullptr : tensors_[0].device();
    if (!device) return;
    Index total = 0;
    for (const Tensor& t : tensors_) total += room_for(t);
    together_ = Tensor({total}, DType::u8, device);
    Index at = 0;
    for (const Tensor& t : tensors_) {
        together_.part(at, t.shape(), t.dtype()).assign(t);
        at += room_for(t);
    }
}

std::vector<Tensor> Parcel::open() const {
    if (together_.empty()) return tensors_;
    const Tensor here = together_.host();
    std::vector<Tensor> out;
    Index at = 0;
    for (const Tensor& t : tensors_) {
        out.push_back(here.part(at, t.shape(), t.dtype()));
        at += room_for(t);
    }
    return out;
}

}  // namespace limn
