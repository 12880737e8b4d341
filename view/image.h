// Photos in and pictures out, in 8-bit RGB. image.cpp is the only file that knows stb's decoders and writers.
//
// The way of a photo: read_image (file -> Image, upright) -> resize (resize.cpp) -> to_tensor. What a network expects of the
// numbers (scale, order of the channels) is not known here: see weights/preprocessing.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace limn {

struct Image {
    Index height = 0, width = 0;
    std::vector<std::uint8_t> rgb;  // (h,w,3)
    std::uint8_t* pixel(Index row, Index column) { return rgb.data() + (row * width + column) * 3; }
    const std::uint8_t* pixel(Index row, Index column) const { return rgb.data() + (row * width + column) * 3; }
};

// JPEG, PNG or BMP. Grey becomes RGB, alpha is dropped (as Keras's load_img does), JPEGs are turned upright as their EXIF
// orientation says (which load_img does not). Files that are damaged, cut short or of another kind, CMYK JPEGs, images one
// pixel wide or high or over 16384 a side are Errors; sizes are looked at before any pixel is decoded.
Image read_image(const std::filesystem::path& path);
Image decode_image(const std::vector<std::byte>& bytes, const std::string& name);  // name: for the Error

std::vector<std::byte> encode_png(const Image& image);
std::vector<std::byte> encode_jpeg(const Image& image, int quality = 85);
void write_png(const std::filesystem::path& path, const Image& image);

// nearest: the pixel under the centre of the new one (Keras's load_img by default). bilinear: a triangle that widens when the
// image shrinks, so that no pixel is left out; rows first, then columns. bicubic: the same with Keys's cubic filter, which overshoots.
// All equal Pillow's to the bit, with one exception:
// Pillow 13 takes the columns first where the height loses over twice as many pixels as the width, which moves some values by 1.
enum class Resampling { nearest, bilinear, bicubic };
Image resize(const Image& image, Index height, Index width, Resampling resampling);

// (h,w,channels), 0 to 255, of 3 channels or 1: Pillow's grey (ITU-R 601: .299 R + .587 G + .114 B).
Tensor to_tensor(const Image& image, int channels);

// (h,w,3) bytes, as they are, and back
Tensor bytes_of(const Image& image);
Image image_of(const Tensor& bytes);

}  // namespace limn
