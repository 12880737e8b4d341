#include "train/cam_logger.h"

#include <algorithm>

#include "cam/explain.h"
#include "train/loss.h"
#include "view/colormap.h"

namespace limn {

Seen look(const Backend& backend, const Model& model, const PhotoInput& input, const std::vector<std::string>& labels, const Image& photo) {
    std::string reason;
    Request request{{method_named("grad-cam")}, {default_layer(model)}, "auto", Score::logit, labels};
    const bool has_cam = find_cam_head(model, find_head(model), reason).has_value();
    if (has_cam) request.methods.push_back(method_named("cam"));
    request.drawing = {Normalize::max, Paint{}, colour_table(Colormap::jet)};
    const Explained explained = Explainer(backend, model, request, 1)(input(photo), {bytes_of(photo)})[0];

    const auto picture = [&](std::size_t map) { return image_of(explained.maps[map].drawn->picture); };
    Seen seen{explained.predictions[0].label, double(explained.predictions[0].score), {}, picture(0)};
    if (has_cam) seen.cam = picture(1);
    return seen;
}

CamLogger::CamLogger(const Backend& backend, const PhotoInput& input, std::vector<const Sample*> photos, int every)
    : backend_(backend), input_(input), photos_(std::move(photos)), every_(std::max(1, every)) {}

void CamLogger::on_epoch_end(Epoch& epoch) {
    if (epoch.number % every_ != 0 && epoch.number != run_.first_epoch && epoch.number != run_.epochs) return;
    std::vector<Picture> images, cam, grad_cam;
    for (const Sample* sample : photos_) {
        const Image photo = sample->decoded();
        Seen seen = look(backend_, epoch.model, input_, run_.labels, photo);
        const std::string caption = fmt::format("{} {:.3f}", seen.predicted, seen.score);
        images.push_back({caption, photo});
        if (seen.cam) cam.push_back({caption, std::move(*seen.cam)});
        grad_cam.push_back({caption, std::move(seen.grad_cam)});
    }
    epoch.pictures.emplace_back("images", std::move(images));
    if (!cam.empty()) epoch.pictures.emplace_back("cam", std::move(cam));
    epoch.pictures.emplace_back("gradcam", std::move(grad_cam));
}

std::vector<const Sample*> chosen_photos(const std::vector<Sample>& samples, std::size_t classes, std::size_t count) {
    std::vector<std::vector<const Sample*>> by_label(classes);
    for (const Sample& sample : samples) by_label[std::size_t(sample.label)].push_back(&sample);
    std::vector<const Sample*> chosen;
    const std::size_t share = std::max<std::size_t>(1, (count + classes - 1) / classes);
    for (std::size_t round = 0; round < share; round++)
        for (const auto& own : by_label)  // spread over the folder, not its first files
            if (round < own.size() && chosen.size() < count)
                chosen.push_back(own[own.size() <= share ? round : round * own.size() / share]);
    return chosen;
}

void add_mistakes(Outcome& outcome, const Evaluation& evaluation, const std::vector<Sample>& samples,
                  const std::vector<std::string>& labels, const Backend& backend, const Model& model, const PhotoInput& input,
                  std::size_t count) {
    const Index K = evaluation.outputs.shape()[1];
    outcome.confusion.assign(labels.size(), std::vector<std::int64_t>(labels.size()));
    std::vector<std::pair<float, std::size_t>> wrong;  // score of the predicted class, photo
    for (std::size_t i = 0; i < samples.size(); i++) {
        const float* p = evaluation.outputs.data() + Index(i) * K;
        const auto answer = std::size_t(answer_of(p, K, 0.5f));
        outcome.confusion[std::size_t(samples[i].label)][answer]++;
        const float score = K > 1 ? p[answer] : answer == 1 ? p[0] : 1 - p[0];
        if (answer != std::size_t(samples[i].label)) wrong.emplace_back(score, i);
    }
    std::stable_sort(wrong.begin(), wrong.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    wrong.resize(std::min(wrong.size(), count));
    for (const auto& [score, i] : wrong) {
        try {
            const Image photo = samples[i].decoded();
            Seen seen = look(backend, model, input, labels, photo);
            Mistake mistake{samples[i].path.string(), labels[std::size_t(samples[i].label)], seen.predicted, seen.score, photo, {}};
            if (seen.cam) mistake.maps.push_back({"cam", std::move(*seen.cam)});
            mistake.maps.push_back({"gradcam", std::move(seen.grad_cam)});
            outcome.mistakes.push_back(std::move(mistake));
        } catch (const Error& e) {  // a network without maps, a photo that is gone: the training was good all the same
            std::fprintf(stderr, "limn: warning: a mistake is not shown: %s\n", e.what());
        }
    }
}

}  // namespace limn
