// What is known of each photo, in a file that grows by one line a photo: photos.jsonl.
//
//     {"limn": "...", "settings": {...}}       what everything below was made with
//     {"photo": "cats/1.jpg", ...}             one a photo, written as soon as its numbers are there
//
// A photo that was changed since, or whose annotations were, is rated again, and its last line counts.
// A process may be killed at any moment: a last line that was not finished is cut off and its photo is done again. What is printed and
// written at the end is made from the lines of this file alone, so that a run that was stopped ends as one that was not.
#pragma once

#include <filesystem>
#include <map>

#include "evaluate/rating.h"

namespace limn {

struct PhotoRecord {
    std::string photo;    // its path below the folder
    std::string problem;  // why it could not be rated; then there is nothing else
    std::string label, target, predicted;
    double score = 0;                                  // of the target: its probability
    std::vector<std::pair<std::string, Rating>> maps;  // by method or baseline
    std::string files;                                 // what it was made of, as state_of() says
};

// Of files, those that exist: how large each is and when it was last changed. Another text when they are others.
std::string state_of(const std::vector<std::filesystem::path>& files);

// Names and values, in an order that stays.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

class PhotoRecords {
public:
    // Opens or begins it. An Error if it was made with other settings, or is damaged.
    PhotoRecords(std::filesystem::path path, const NamedTexts& settings);
    ~PhotoRecords();
    PhotoRecords(const PhotoRecords&) = delete;

    std::size_t size() const { return photos_.size(); }
    bool holds(const std::string& photo) const { return photos_.contains(photo); }
    bool holds(const std::string& photo, const std::string& files) const;  // of these files in this state
    void append(const PhotoRecord& record);
    std::vector<PhotoRecord> read() const;  // the last one of each photo, sorted by their names

private:
    void write(const std::string& line);
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::map<std::string, std::string> photos_;  // and the state of the files each was made of
};

}  // namespace limn
