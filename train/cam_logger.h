// The article's CAMLogger and GRADCamLogger: each epoch the same validation photos with their scores, and where the network
// looked. It makes pictures only; other callbacks write them down.
#pragma once

#include "train/callback.h"
#include "train/dataset.h"
#include "train/trainer.h"
#include "view/photo.h"

namespace limn {

// A photo as the network sees it: who it takes it for, and why.
struct Seen {
    std::string predicted;
    double score;              // of the predicted class
    std::optional<Image> cam;  // none where CAM does not apply
    Image grad_cam;
};
Seen look(const Backend& backend, const Model& model, const PhotoInput& input, const std::vector<std::string>& labels, const Image& photo);

class CamLogger : public Callback {
public:
    // every: show the photos after every so many epochs, and after the first and the last
    CamLogger(const Backend& backend, const PhotoInput& input, std::vector<const Sample*> photos, int every);
    std::string name() const override { return "CAM logger"; }
    void on_train_begin(const Run& run) override { run_ = run; }
    void on_epoch_end(Epoch& epoch) override;

private:
    const Backend& backend_;
    PhotoInput input_;
    std::vector<const Sample*> photos_;
    int every_;
    Run run_;
};

// `count` validation photos, as many of each class as can be, the same in every run.
std::vector<const Sample*> chosen_photos(const std::vector<Sample>& samples, std::size_t classes, std::size_t count);

// Confusion matrix and the surest mistakes, at most `count`, by the model as it is.
void add_mistakes(Outcome& outcome, const Evaluation& evaluation, const std::vector<Sample>& samples,
                  const std::vector<std::string>& labels, const Backend& backend, const Model& model, const PhotoInput& input,
                  std::size_t count);

}  // namespace limn
