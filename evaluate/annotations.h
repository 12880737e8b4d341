// What people say a photo shows and where: boxes, masks and labels beside a folder of photos, found by the photos' names.
//
//     boxes   a folder of Pascal VOC files, NAME.xml (several objects each), or one table: image,label,xmin,ymin,xmax,ymax
//     masks   a folder of pictures, NAME.png (or .jpg, .bmp): 1 = object; without a 1, and among grey levels, all that is not 0
//             (in a JPEG, whose pixels are not exact, from 128 on).
//             Trimaps of the Oxford-IIIT Pet data set: 1 = animal, 2 = background, 3 = border (left out)
//     labels  a table: image,label; else the boxes' table, else the object's name in the VOC file, else the photo's sub-folder
//
// Coordinates are taken as they stand: pixels from 0, both ends included, cut to the photo (VOC's count from 1: one pixel off, as in
// wsolevaluation). Files that are damaged or contradict the photo are Errors; a photo without a file has no truth.
#pragma once

#include <filesystem>
#include <map>
#include <optional>

#include "evaluate/localisation.h"

namespace limn {

// Right answers, as classes of a model: one, or several of which any will do (all dogs of ImageNet: 151-268).
struct Label {
    std::string text;
    std::vector<std::pair<Index, Index>> classes;  // first and last
    bool holds(Index index) const;
    // As `limn explain --target` takes it. binary: of a network with a single sigmoid; where both its sides are right, auto.
    std::string target(bool binary = false) const;
};
// A class name, an index, a range 281-285, or several with commas; none if the text is nothing of that.
std::optional<Label> label_named(const std::string& text, const std::vector<std::string>& names, Index classes);

struct NamedBox {
    std::string name;  // of the object; empty if nobody says
    Rectangle box;
};

struct Truth {
    std::vector<Rectangle> boxes;  // as given; of several kinds those that are named like the label, if there are any (as in ILSVRC and
                                   // the pointing game). Where no boxes are asked for, the one around the mask
    Tensor mask;                   // (H,W) bytes (localisation.h), or empty; where no masks are asked for, the boxes filled
    bool drawn = false;            // is the mask one that people drew, pixel by pixel?
    std::string label;             // as it is written; empty if nobody says
};

class Annotations {
public:
    struct Sources {
        std::filesystem::path boxes, masks, labels;  // empty: none
        int mask_value = -1;                         // of the object's pixels; -1: as above
    };
    explicit Annotations(Sources sources);

    // photo: its path below the folder of photos. An Error if what is there cannot be used.
    Truth of(const std::filesystem::path& photo, Index height, Index width) const;
    std::string label_of(const std::filesystem::path& photo) const;             // empty if nobody says
    std::filesystem::path mask_file(const std::filesystem::path& photo) const;  // empty if there is none
    std::filesystem::path box_file(const std::filesystem::path& photo) const;   // its own, no table; empty if there is none

private:
    void read_table(const std::filesystem::path& path, bool with_boxes);
    std::vector<NamedBox> objects_of(const std::filesystem::path& photo) const;

    Sources sources_;
    std::map<std::string, std::vector<NamedBox>> boxes_;  // by the name in the table
    std::map<std::string, std::string> labels_;
};

// Objects of a Pascal VOC file.
std::vector<NamedBox> read_voc(const std::filesystem::path& path);

// (H,W) bytes from a picture whose pixels are numbers (or grey levels).
Tensor read_mask(const std::filesystem::path& path, int object_value = -1);

// Lines of a table; fields may stand in quotes, and hold commas, line ends and doubled quotes there. (RFC 4180)
std::vector<std::vector<std::string>> read_csv(const std::filesystem::path& path);

}  // namespace limn
