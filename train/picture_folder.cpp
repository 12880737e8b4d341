#include "train/picture_folder.h"

#include <cctype>

#include "engine/file.h"

namespace limn {

static std::string file_part(const std::string& caption) {
    std::string out;
    for (char c : caption.substr(0, 60)) out += std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ? c : '-';
    return out;
}

void PictureFolder::on_epoch_end(Epoch& epoch) {
    for (const auto& [key, pictures] : epoch.pictures) {
        const std::filesystem::path folder = folder_ / file_part(key) / fmt::format("epoch-{:04}", epoch.number);
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
        make_folder(folder);
        for (std::size_t i = 0; i < pictures.size(); i++)
            write_png(folder / fmt::format("{:02}-{}.png", i, file_part(pictures[i].caption)), pictures[i].image);
    }
}

}  // namespace limn
