#include "train/picture_folder.h"

#include <cctype>
#include <charconv>

#include "engine/file.h"

namespace limn {

namespace fs = std::filesystem;

static std::string file_part(const std::string& caption) {
    std::string out;
    for (char c : caption.substr(0, 60)) out += std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ? c : '-';
    return out;
}

// 7 of "epoch-0007"; 0 of any other name, so that nothing else is ever removed
static int epoch_of(const std::string& name) {
    constexpr std::size_t prefix = 6;
    if (!name.starts_with("epoch-")) return 0;
    int number = 0;
    const auto [end, error] = std::from_chars(name.data() + prefix, name.data() + name.size(), number);
    return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

void PictureFolder::on_train_begin(const Run& run) {
    if (!run.resumed()) return;
    std::error_code ignored;
    std::vector<fs::path> later;
    for (const fs::directory_entry& key : fs::directory_iterator(folder_, ignored))
        for (const fs::directory_entry& epoch : fs::directory_iterator(key, ignored))
            if (epoch_of(epoch.path().filename().string()) >= run.first_epoch) later.push_back(epoch);
    for (const fs::path& folder : later) fs::remove_all(folder, ignored);
}

void PictureFolder::on_epoch_end(Epoch& epoch) {
    for (const auto& [key, pictures] : epoch.pictures) {
        const fs::path folder = folder_ / file_part(key) / fmt::format("epoch-{:04}", epoch.number);
        std::error_code ignored;
        fs::remove_all(folder, ignored);
        make_folder(folder);
        for (std::size_t i = 0; i < pictures.size(); i++)
            write_png(folder / fmt::format("{:02}-{}.png", i, file_part(pictures[i].caption)), pictures[i].image);
    }
}

}  // namespace limn
