// Each epoch's pictures as PNG files: FOLDER/gradcam/epoch-0001/00-cat-0.913.png
#pragma once

#include "train/callback.h"

namespace limn {

class PictureFolder : public Callback {
public:
    explicit PictureFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
    std::string name() const override { return "the folder of pictures"; }
    void on_train_begin(const Run& run) override;  // a resumed run keeps the pictures of the epochs before it, no later ones
    void on_epoch_end(Epoch& epoch) override;      // replaces what there is of this epoch
    std::string hint() const override { return folder_.string(); }

private:
    std::filesystem::path folder_;
};

}  // namespace limn
