#include "evaluate/contours.h"

#include <algorithm>
#include <cmath>

namespace limn {

namespace {

// The eight neighbours, clockwise on the screen, from the right-hand one.
constexpr Index row_step[8] = {0, 1, 1, 1, 0, -1, -1, -1}, column_step[8] = {1, 1, 0, -1, -1, -1, 0, 1};

// The image with a frame of zeros. 1: white, not walked yet; other numbers: walked. Negative: the pixel to its right is outside.
class Walker {
public:
    Walker(std::span<const std::uint8_t> pixels, Index height, Index width)
        : stride_(width + 2), marks_(std::size_t((height + 2) * stride_)) {
        for (Index r = 0; r < height; r++)
            std::transform(pixels.data() + r * width, pixels.data() + (r + 1) * width, row(r),
                           [](std::uint8_t pixel) { return std::int8_t(pixel != 0); });
        for (int d = 0; d < 8; d++) step_[d] = row_step[d] * stride_ + column_step[d];
    }

    std::int8_t* row(Index r) { return &marks_[std::size_t((r + 1) * stride_ + 1)]; }

    // Once around, from a pixel whose neighbour in direction `outside` is not white.
    Contour walk(Index row, Index column, int outside, bool hole) {
        const Index start = (row + 1) * stride_ + column + 1;
        Contour contour{column, row, column, row, 0, hole};
        int direction = outside;  // the first white neighbour clockwise from there is where the walk will end
        for (int turns = 0;; turns++, direction = (direction + 1) % 8) {
            if (turns == 8) {
                mark(start) = -walked;  // a pixel on its own
                return contour;
            }
            if (mark(start + step_[direction])) break;
        }
        const Index last = start + step_[direction];
        Index at = start, r = row, c = column;
        double doubled = 0;
        for (int from = direction;;) {  // from: the direction in which the walk came from, seen from `at`
            bool right_is_outside = false;
            int to = (from + 7) % 8;  // counterclockwise from there
            while (!mark(at + step_[to])) {
                right_is_outside |= to == 0;
                to = (to + 7) % 8;
            }
            if (right_is_outside)
                mark(at) = -walked;
            else if (mark(at) == 1)
                mark(at) = walked;
            const Index next = at + step_[to], next_r = r + row_step[to], next_c = c + column_step[to];
            doubled += double(c * next_r - next_c * r);
            if (next == start && at == last) break;
            at = next, r = next_r, c = next_c;
            from = (to + 4) % 8;
            contour.left = std::min(contour.left, c), contour.right = std::max(contour.right, c);
            contour.top = std::min(contour.top, r), contour.bottom = std::max(contour.bottom, r);
        }
        contour.area = std::abs(doubled) / 2;
        return contour;
    }

private:
    static constexpr std::int8_t walked = 2;
    Index stride_, step_[8];
    std::vector<std::int8_t> marks_;

    std::int8_t& mark(Index at) { return marks_[std::size_t(at)]; }
};

}  // namespace

std::vector<Contour> contours(std::span<const std::uint8_t> pixels, Index height, Index width) {
    LIMN_CHECK(Index(pixels.size()) == height * width, "contours of {} pixels, not {}x{}", pixels.size(), height, width);
    Walker walker(pixels, height, width);
    std::vector<Contour> found;
    for (Index r = 0; r < height; r++) {
        const std::int8_t* marks = walker.row(r);  // the frame at -1 and width
        for (Index c = 0; c < width; c++) {
            if (marks[c] <= 0) continue;
            if (marks[c] == 1 && !marks[c - 1])
                found.push_back(walker.walk(r, c, 4, false));
            else if (!marks[c + 1])
                found.push_back(walker.walk(r, c, 0, true));
        }
    }
    return found;
}

const Contour* largest(const std::vector<Contour>& list) {
    const Contour* best = nullptr;
    for (const Contour& contour : list)
        if (!best || contour.area >= best->area) best = &contour;
    return best;
}

}  // namespace limn
