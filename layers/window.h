// Where a sliding window starts and how many places it has: Keras's "same" and "valid" padding.
#pragma once

#include "layers/config.h"

namespace limn {

enum class Padding { valid, same };

// The settings of a convolution or a pool, before the image's size is known.
struct WindowConfig {
    Index r = 1, s = 1;
    Index stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
    Padding padding = Padding::valid;
    Index top = 0, bottom = 0, left = 0, right = 0;  // zeros around the plane besides, of a ZeroPadding2D before

    // size_key: "kernel_size" or "pool_size"; pools stride by their size unless told otherwise
    static WindowConfig read(const Config& config, const std::string& size_key, bool stride_is_size);
    Index rows(Index h) const;  // number of places along an axis of this size; -1 stays -1
    Index columns(Index w) const;
    Window on(Index h, Index w) const;  // with the padding for this plane
};

// Output places along one axis (TensorFlow's rule) and how much zero padding lies before it.
Index window_places(Index size, Index taps, Index stride, Index dilation, Padding padding);
Index window_padding(Index size, Index taps, Index stride, Index dilation, Padding padding);

// A window seen the other way round, by a transposed convolution: the size of the axis it leads to, and the padding there.
struct TransposedAxis {
    Index taps, stride, dilation;
    Padding padding;
    std::optional<Index> output_padding;
    Index size(Index in) const;  // -1 stays -1
    Index pad(Index in) const;
};

}  // namespace limn
