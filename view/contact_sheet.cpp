#include "view/contact_sheet.h"

#include <algorithm>

#include "view/text.h"

namespace limn {

Image contact_sheet(const std::vector<Labelled>& pictures, Index columns, Index width, LabelPlace where) {
    constexpr Index gap = 8, line = 12;
    const Index count = Index(pictures.size());
    if (columns <= 0) columns = std::clamp<Index>(count <= 4 ? count : count <= 9 ? (count + 1) / 2 : 6, 1, 6);
    const Index rows = (count + columns - 1) / columns;
    const auto height_of = [&](const Image& image) {
        return std::clamp<Index>(image.height * width / std::max<Index>(1, image.width), 1, 2 * width);
    };

    std::vector<Index> heights(static_cast<std::size_t>(rows));  // of the rows
    for (Index i = 0; i < count; i++)
        heights[std::size_t(i / columns)] = std::max(heights[std::size_t(i / columns)], height_of(pictures[std::size_t(i)].picture));
    Image sheet;
    sheet.width = gap + columns * (width + gap), sheet.height = gap;
    for (Index height : heights) sheet.height += line + height + gap;
    sheet.rgb.assign(std::size_t(sheet.height * sheet.width * 3), 255);

    Index top = gap;
    for (Index i = 0; i < count; i++) {
        const Labelled& one = pictures[std::size_t(i)];
        const Index left = gap + i % columns * (width + gap);
        const Image small = resize(one.picture, height_of(one.picture), width, Resampling::bilinear);
        std::string label = one.label;
        while (!label.empty() && text_width(label) > width) label.pop_back();
        const bool above = where == LabelPlace::above;
        const Index first = above ? top + line : top;  // row of the picture
        draw_text(sheet, above ? top : top + small.height + 3, left, label, {20, 20, 20});
        for (Index r = 0; r < small.height; r++) std::copy_n(small.pixel(r, 0), small.width * 3, sheet.pixel(first + r, left));
        if (i % columns == columns - 1) top += line + heights[std::size_t(i / columns)] + gap;
    }
    return sheet;
}

}  // namespace limn
