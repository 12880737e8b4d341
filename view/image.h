// Photos in and pictures out. The only file that knows stb.
//
// The way of a photo: read_image (file -> 8-bit RGB, upright) -> resize -> to_tensor (-> weights/preprocessing.h).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/tensor.h"

namespace limn {

struct Image {
    Index height = 0, width = 0;
    std::vector<std::uint8_t> rgb;                         // (h,w,3)
    std::uint8_t* pixel(Index row, Index column) { return rgb.data() + (row * width + column) * 3; }
    const std::uint8_t* pixel(Index row, Index column) const { return rgb.data() + (row * width + column) * 3; }
};

// JPEG, PNG or BMP. Grey becomes RGB, alpha is dropped (as Keras's load_img does), JPEGs are turned upright as their EXIF
// orientation says. Damaged files, CMYK JPEGs, images of one pixel and of more than 16384 a side are Errors.
Image read_image(const std::filesystem::path& path);
Image decode_image(const std::vector<std::byte>& bytes, const std::string& name);

std::vector<std::byte> encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image);

// nearest: the pixel under the centre of the new one, as Pillow's NEAREST and so Keras's load_img by default.
// bilinear: Pillow's BILINEAR, a triangle that widens when the image shrinks (to within one grey level).
enum class Resampling { nearest, bilinear };
Image resize(const Image& image, Index height, Index width, Resampling resampling);

// (h,w,channels), 0 to 255; one channel is Pillow's grey (ITU-R 601: .299 R + .587 G + .114 B).
Tensor to_tensor(const Image& image, int channels);

}  // namespace limn
