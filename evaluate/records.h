// What is known of each photo, in a file that grows by one line a photo: photos.jsonl.
//
//     {"limn": "...", "settings": {...}}       what everything below was made with
//     {"photo": "cats/1.jpg", ...}             one a photo, written as soon as its numbers are there
//
// A process may be killed at any moment: a last line that was not finished is cut off and its photo is done again. What is printed and
// written at the end is made from the lines of this file alone, so that a run that was stopped ends as one that was not.
#pragma once

#include <filesystem>
#include <set>

#include "evaluate/rating.h"

namespace limn {

struct PhotoRecord {
    std::string photo;    // its path below the folder
    std::string problem;  // why it could not be rated; then there is nothing else
    std::string label, target, predicted;
    double score = 0;                                  // of the target: its probability
    std::vector<std::pair<std::string, Rating>> maps;  // by method or baseline
};

// Names and values, in an order that stays.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

class PhotoRecords {
public:
    // Opens or begins it. An Error if it was made with other settings, or is damaged.
    PhotoRecords(std::filesystem::path path, const NamedTexts& settings);
    ~PhotoRecords();
    PhotoRecords(const PhotoRecords&) = delete;

    const std::set<std::string>& photos() const { return photos_; }
    void append(const PhotoRecord& record);
    std::vector<PhotoRecord> read() const;  // all, sorted by the photos' names

private:
    void write(const std::string& line);
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::set<std::string> photos_;
};

}  // namespace limn
