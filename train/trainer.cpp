#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "engine/file.h"
#include "train/cam_logger.h"
#include "train/loss.h"
#include "train/step.h"
#include "view/terminal.h"
#include "view/utf8.h"

namespace limn {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<int> labels_of(const std::vector<Sample>& samples) {
    std::vector<int> labels;
    for (const Sample& sample : samples) labels.push_back(sample.label);
    return labels;
}

// All answers of a model, batch by batch: logits and outputs, (N,K).
struct Answers {
    Tensor logits, outputs;
};
void append(Answers& all, Index first, const Head& head, const std::vector<Var>& values) {
    const auto put = [&](Tensor& to, int node) {
        const Tensor from = values[std::size_t(node)].value.host();
        std::memcpy(to.data() + first * head.classes, from.data(), std::size_t(from.size()) * sizeof(float));
    };
    put(all.logits, head.logits), put(all.outputs, head.output);
}

}  // namespace

Trainer::Trainer(const Backend& backend, Model& model, const Dataset& data, const TrainSettings& settings, const ModelNotes& notes, Run run)
    : backend_(backend), model_(model), data_(data), settings_(settings), notes_(notes), run_(std::move(run)),
      head_(find_classifier(model)), optimizer_(settings.optimizer) {
    // names of files and folders can be any bytes; logs, pages and checkpoints hold texts
    run_.name = valid_utf8(run_.name), run_.command = valid_utf8(run_.command);
    for (std::string& label : run_.labels) label = valid_utf8(label);
    for (auto& [key, value] : run_.config) value = valid_utf8(value);
    model_.move_to(backend_.device());
    settings_.schedule.check();
    settings_.loader.seed = settings_.seed, settings_.loader.stop = settings_.signal;
    const Index classes = Index(data.labels.size());
    LIMN_CHECK(head_.classes == classes || (head_.classes == 1 && classes == 2),
               "the network tells {} classes apart, the folder has {} ({}...)", head_.classes == 1 ? 2 : head_.classes, classes,
               data.labels[0]);
    LIMN_CHECK(!trainable_weights(model).empty(), "every layer is frozen: there is nothing to train");
    LIMN_CHECK(settings_.epochs >= 1 && settings_.loader.batch >= 1, "at least one epoch and one photo a batch are needed");
    LIMN_CHECK(settings_.label_smoothing >= 0 && settings_.label_smoothing < 1, "a label smoothing of {} makes no sense: 0 to below 1",
               settings_.label_smoothing);
    LIMN_CHECK(settings_.averaging >= 0 && settings_.averaging < 1, "averaging by {} makes no sense: 0 to below 1", settings_.averaging);
    LIMN_CHECK(!settings_.teacher || settings_.loader.input.mode == Preprocess::raw,
               "a teacher needs a student that takes raw pixels (its first layer a Rescaling), since both see the same picture");
    LIMN_CHECK(head_.kind != Head::Kind::linear || head_.classes > 1,
               "the network ends in one number without an activation: a sigmoid is needed to tell two classes apart");
    if (!settings_.teacher) return;
    teacher_head_ = find_classifier(*settings_.teacher->model);
    LIMN_CHECK(teacher_head_.classes == head_.classes, "the teacher answers with {} numbers, the student with {}", teacher_head_.classes,
               head_.classes);
    LIMN_CHECK(teacher_head_.kind != Head::Kind::linear, "the teacher ends without a softmax or sigmoid: its answers are no probabilities");
    LIMN_CHECK(settings_.teacher->weight >= 0 && settings_.teacher->weight <= 1, "a teacher's share of {} makes no sense: 0 to 1",
               settings_.teacher->weight);
}

void Trainer::tell(const std::function<void(Callback&)>& what) {
    std::erase_if(callbacks_, [&](const std::unique_ptr<Callback>& callback) {
        try {
            what(*callback);
            return false;
        } catch (const std::exception& e) {
            std::fprintf(stderr, "limn: warning: %s is left out from here on: %s\n", callback->name().c_str(), e.what());
            return true;
        }
    });
}

void Trainer::add_teacher(const Tensor& images, Tensor& targets) const {
    const Teacher& teacher = *settings_.teacher;
    Tensor pixels = images;
    const Index h = teacher.input.height, w = teacher.input.width;
    if (h && (h != images.shape()[1] || w != images.shape()[2])) {
        pixels = Tensor(images.shape().with(1, h).with(2, w));
        backend_.resize(Interpolation::bilinear, images, pixels);
    }
    pixels = pixels.clone();
    preprocess(teacher.input.mode, pixels);
    Tape tape(backend_);
    const Tensor answers = teacher.model->forward(tape, {pixels})[std::size_t(teacher_head_.output)].value.host();
    LIMN_CHECK(answers.shape() == targets.shape(), "the teacher answers {}, the student {}", answers.shape().str(), targets.shape().str());
    const float own = float(1 - teacher.weight), its = float(teacher.weight);
    for (Index i = 0; i < targets.size(); i++) targets.data()[i] = own * targets.data()[i] + its * answers.data()[i];
}

// average = average * d + weight * (1 - d); d is smaller at first, when the average still holds the start
void Trainer::follow_average() {
    const std::vector<Weight*> weights = trained_weights(model_);
    if (state_.averaged.empty())
        for (const Weight* w : weights) state_.averaged.push_back(w->value);
    const double t = double(optimizer_.iterations);
    const float d = float(std::min(settings_.averaging, (1 + t) / (10 + t)));
    for (std::size_t i = 0; i < weights.size(); i++)
        state_.averaged[i] = blended(backend_, state_.averaged[i].on(backend_.device()), weights[i]->value, double(d));
}

Trainer::EpochResult Trainer::train_epoch(int epoch) {
    const auto start = std::chrono::steady_clock::now();
    LoaderSettings settings = settings_.loader;
    settings.shuffle = settings.drop_rest = true;
    const std::size_t photos = data_.train.size(), size = std::size_t(settings.batch);
    std::unique_ptr<Loader> loader;
    std::vector<std::size_t> order;
    std::size_t batches;
    if (keeps_features_) {
        order = shuffled(photos, settings_.seed, epoch);
        batches = photos >= size ? photos / size : 1;
    } else {
        loader = std::make_unique<Loader>(data_.train, settings, epoch);
        batches = loader->batches();
    }
    Model& model = keeps_features_ ? upper_ : model_;
    const Head& head = keeps_features_ ? upper_head_ : head_;

    ProgressBar bar(batches * size, fmt::format("epoch {}/{}", epoch, settings_.epochs), stderr);
    double loss = 0, learning_rate = 0;
    Index seen = 0, correct = 0;
    for (std::size_t b = 0; b < batches && !interrupted(); b++) {
        Batch batch;
        if (loader) {
            if (!loader->next(batch)) break;
        } else {
            const std::size_t count = std::min(size, photos - b * size);
            batch.images = gathered(train_features_, order, b * size, count);
            for (std::size_t i = 0; i < count; i++) batch.labels.push_back(data_.train[order[b * size + i]].label);
        }
        Tensor targets = targets_of(head_, batch.labels, settings_.label_smoothing);
        if (settings_.teacher) add_teacher(batch.images, targets);
        learning_rate = settings_.schedule.at(epoch - 1 + double(b) / double(batches), settings_.epochs);
        const std::uint64_t seed = settings_.seed ^ std::uint64_t(optimizer_.iterations + 1) << 20;
        const StepResult step = train_step(backend_, model, head, optimizer_, learning_rate, batch.images, targets, seed);
        if (settings_.averaging > 0) follow_average();
        const Index n = Index(batch.labels.size());
        loss += step.loss * double(n), seen += n, correct += count_correct(head_, step.logits, batch.labels);
        check_loss(loss, epoch);
        bar.update(std::uint64_t(seen), fmt::format("loss {:.4f}  accuracy {:.4f}", loss / double(seen), double(correct) / double(seen)));
    }
    const double n = double(std::max<Index>(seen, 1));
    return {loss / n, double(correct) / n, learning_rate, n / seconds_since(start)};
}

void Trainer::check_loss(double loss, int epoch) const {
    LIMN_CHECK(std::isfinite(loss), "the loss is no number any more in epoch {}: try a smaller --lr ({} now)", epoch,
               settings_.schedule.learning_rate);
}

Evaluation Trainer::evaluate() const {
    const std::vector<Sample>& samples = data_.validation;
    const Index N = Index(samples.size());
    Answers all{Tensor({N, head_.classes}), Tensor({N, head_.classes})};
    if (keeps_features_) {
        const Index together = validation_features_.shape().rank() == 2 ? 256 : settings_.loader.batch;  // of maps, no more than fit
        for (Index first = 0; first < N && !interrupted(); first += together) {
            Tape tape(backend_);
            append(all, first, upper_head_,
                   upper_.forward(tape, {validation_features_.rows(first, std::min(together, N - first))}, {},
                                  std::array{upper_head_.logits, upper_head_.output}));
        }
    } else {
        Loader loader(samples, settings_.loader.plain(settings_.validation_input), 0);
        Batch batch;
        for (Index first = 0; loader.next(batch); first += Index(batch.labels.size())) {
            Tape tape(backend_);
            append(all, first, head_, model_.forward(tape, {batch.images}, {}, std::array{head_.logits, head_.output}));
        }
    }
    Tape tape(backend_);
    const std::vector<int> labels = labels_of(samples);
    return {loss_of(head_, tape, all.logits, targets_of(head_, labels, 0)).value.at_flat(0),
            double(count_correct(head_, all.logits, labels)) / double(N), all.outputs};
}

// Runs the body with other weights in the model; afterwards, also after an Error, it has its own again. No weights: its own.
void Trainer::with_weights(const std::vector<Tensor>& weights, const std::function<void()>& body) {
    struct Exchange {
        std::vector<Weight*> places;
        std::vector<Tensor> own;
        ~Exchange() {
            for (std::size_t i = 0; i < own.size(); i++) places[i]->value = own[i];
        }
    } exchange{trained_weights(model_), {}};
    for (std::size_t i = 0; i < weights.size(); i++)
        exchange.own.push_back(std::exchange(exchange.places[i]->value, weights[i].on(backend_.device())));
    body();
}

// Saving that fails (a full disk) ends no training: what was saved before is still there, and the next epoch tries again.
void Trainer::attempt(const std::function<void()>& save) {
    try {
        save();
    } catch (const std::exception& e) {
        unsaved_ = e.what();
        std::fprintf(stderr, "limn: warning: epoch %d is not saved: %s\n", state_.epoch, e.what());
    }
}

void Trainer::save_best() {
    with_weights(state_.best, [&] { save_model(run_.folder / "best.h5", model_, notes_, settings_.precision); });
}

// The Keras files; the model holds what belongs into last.h5.
void Trainer::save_models() {
    save_model(run_.folder / "last.h5", model_, notes_, settings_.precision);
    save_best();
    saved_ = std::chrono::steady_clock::now();
}

// What could not be saved in the end should be known at the start.
void Trainer::check_that_it_can_be_saved() const {
    (void)saved_form(model_);
    const std::filesystem::path probe = run_.folder / ".limn-can-write";
    write_file(probe, std::string_view());
    std::filesystem::remove(probe);
}

std::vector<std::string> Trainer::hints() const {
    std::vector<std::string> list;
    for (const auto& callback : callbacks_)
        if (std::string hint = callback->hint(); !hint.empty()) list.push_back(std::move(hint));
    return list;
}

// The state of the run that is to be gone on with, or a fresh one.
void Trainer::open_run(const std::filesystem::path& checkpoint) {
    if (settings_.resume && std::filesystem::exists(checkpoint)) {
        state_ = load_checkpoint(checkpoint, model_, optimizer_);
        model_.move_to(backend_.device());
        LIMN_CHECK(state_.data == data_.fingerprint, "{}: was trained on other photos: start anew in another folder (--out)",
                   checkpoint.string());
        for (std::size_t i = 0; i < std::min(state_.settings.size(), run_.config.size()); i++)
            LIMN_CHECK(state_.settings[i] == run_.config[i], "{}: was started with {} = {}, not {}: resume with the same options",
                       checkpoint.string(), state_.settings[i].first, state_.settings[i].second, run_.config[i].second);
    } else {
        LIMN_CHECK(settings_.resume || !std::filesystem::exists(checkpoint),
                   "{}: holds a run already: go on with --resume, or choose another --out", run_.folder.string());
    }
    state_.data = data_.fingerprint, state_.settings = run_.config;
    run_.first_epoch = state_.epoch + 1, run_.epochs = settings_.epochs;
    if (state_.best_epoch > 0)
        run_.best_epoch = state_.best_epoch, run_.best_accuracy = state_.best_accuracy, run_.best_loss = state_.best_loss;
}

// If the values below the trained layers never change, they are computed once.
void Trainer::keep_features() {
    const int cut = model_.frozen_below();
    keeps_features_ = cut != model_.inputs[0] && !settings_.loader.augmentation.changes() && !settings_.teacher;
    if (!keeps_features_) return;
    const auto features_of = [&](const std::vector<Sample>& samples, const PhotoInput& input, const char* label) {
        const auto start = std::chrono::steady_clock::now();
        const Tensor features =
            compute_features(backend_, model_, cut, samples, settings_.loader.plain(input), settings_.feature_memory, run_.folder, label);
        if (!interrupted())
            std::fprintf(stderr, "limn: %s: %zu, %.4g photos/s\n", label, samples.size(), double(samples.size()) / seconds_since(start));
        return features;
    };
    train_features_ = features_of(data_.train, settings_.loader.input, "features of the training photos");
    if (interrupted()) return;
    validation_features_ = features_of(data_.validation, settings_.validation_input, "features of the validation photos");
    upper_ = model_.above(cut);
    upper_head_ = find_classifier(upper_);
}

void Trainer::run_epochs(const std::filesystem::path& checkpoint) {
    for (int number = run_.first_epoch; number <= settings_.epochs && !state_.finished; number++) {
        const auto start = std::chrono::steady_clock::now();
        const EpochResult result = train_epoch(number);
        if (interrupted()) return;
        unsaved_.clear();
        with_weights(state_.averaged, [&] {
            const Evaluation validation = evaluate();
            if (interrupted()) return;
            check_loss(validation.loss, number);
            state_.epoch = number;
            if (is_better(validation.accuracy, validation.loss, state_.best_accuracy, state_.best_loss)) {
                state_.best_epoch = number, state_.best_accuracy = validation.accuracy, state_.best_loss = validation.loss;
                state_.best.clear();
                for (const Weight* w : trained_weights(model_)) state_.best.push_back(w->value);
            }
            Epoch epoch{number,
                        model_,
                        {{"loss", result.loss},
                         {"accuracy", result.accuracy},
                         {"val_loss", validation.loss},
                         {"val_accuracy", validation.accuracy},
                         {"learning_rate", result.learning_rate},
                         {"images_per_second", result.images_per_second},
                         {"seconds", seconds_since(start)}},
                        {}};
            tell([&](Callback& callback) { callback.on_epoch_end(epoch); });
            state_.finished = epoch.stop || (settings_.patience > 0 && number - state_.best_epoch >= settings_.patience);
            if (seconds_since(saved_) > 10) attempt([&] { save_models(); });
        });
        if (state_.epoch == number) attempt([&] { save_checkpoint(checkpoint, state_, model_, optimizer_); });
    }
}

Outcome Trainer::train() {
    const std::filesystem::path checkpoint = run_.folder / "checkpoint.h5";
    const FolderLock lock(run_.folder);
    remove_temporary_files(run_.folder);
    check_that_it_can_be_saved();
    open_run(checkpoint);
    keep_features();
    if (interrupted()) return {state_.best_epoch, {}, {}, {}, 128 + *settings_.signal};

    tell([&](Callback& callback) { callback.on_train_begin(run_); });
    std::exception_ptr trouble;
    try {
        run_epochs(checkpoint);
    } catch (const std::exception&) {  // what was reached is kept and told before it goes on
        trouble = std::current_exception();
    }
    Outcome outcome{state_.best_epoch, {}, {}, {}, trouble ? 2 : interrupted() ? 128 + *settings_.signal : 0};
    if (state_.best_epoch > 0) outcome.scalars = {{"best_val_accuracy", state_.best_accuracy}, {"best_val_loss", state_.best_loss}};
    if (outcome.exit_code == 0) {
        with_weights(state_.averaged, [&] { attempt([&] { save_models(); }); });
        for (std::size_t i = 0; Weight * w : trained_weights(model_)) w->value = state_.best.at(i++).on(backend_.device());
        const Evaluation validation = evaluate();
        if (!interrupted())  // else its answers are not all there
            add_mistakes(outcome, validation, data_.validation, data_.labels, backend_, model_, settings_.validation_input, 24);
    } else if (!state_.best.empty()) {
        attempt([&] { save_best(); });
    }
    tell([&](Callback& callback) { callback.on_train_end(outcome); });
    if (trouble) std::rethrow_exception(trouble);
    LIMN_CHECK(unsaved_.empty(), "the end of the training is not saved: {}", unsaved_);
    return outcome;
}

}  // namespace limn
