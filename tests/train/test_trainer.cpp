// Whole runs on small folders of photos: they learn, repeat exactly, resume exactly, and survive what goes wrong.
#include <sys/resource.h>

#include <csignal>
#include <numeric>

#include "engine/file.h"
#include "engine/threads.h"
#include "tests/engine/backends.h"
#include "tests/support.h"
#include "tests/train/photos.h"
#include "train/cam_logger.h"
#include "train/initialise.h"
#include "train/trainer.h"
#include "weights/keras_config.h"
#include "weights/model_file.h"

using namespace limn;
namespace fs = std::filesystem;

namespace {

// conv - batch norm - relu - conv: a base, or with a head a network to train from scratch
Model small_base(Index size = -1) {
    Model model;
    model.name = "small";
    int x = model.add_input("photo", {-1, size, size, 3});
    for (const Config& config :
         {Config{"Conv2D", "conv1", {{"filters", 6.0}, {"kernel_size", 3.0}, {"use_bias", false}}},
          Config{"BatchNormalization", "bn1", {{"momentum", 0.8}}}, Config{"Activation", "relu1", {{"activation", "relu"}}},
          Config{"Conv2D", "conv2", {{"filters", 8.0}, {"kernel_size", 3.0}, {"activation", "relu"}}}})
        x = model.add(config.name, make_layer(config), {x});
    model.outputs = {x};
    return model;
}
Model small_network(const std::string& head = "gap", double dropout = 0, Index classes = 2) {
    Model model = small_base(head.starts_with("flatten") ? 12 : -1);
    add_head(model, head, classes, dropout);
    initialise_for_training(model, 5);
    return model;
}

// reddish and greyish photos
struct Photos {
    TemporaryFolder folder;
    Dataset data;
    explicit Photos(int count = 30) {
        write_photos(folder.path / "photos" / "grey", count, 1, 128);
        write_photos(folder.path / "photos" / "red", count, 2, 190);
        data = open_dataset(folder.path / "photos", {});
    }
};

TrainSettings settings_for(int epochs) {
    TrainSettings s;
    s.epochs = epochs;
    s.schedule = {.name = "cosine", .learning_rate = 0.02, .warmup = 0.5};
    s.loader = {.input = {Preprocess::unit, 12, 12, Resampling::bilinear, 3}, .augmentation = {}, .batch = 8};
    s.validation_input = s.loader.input;
    return s;
}
Run run_in(const fs::path& folder, int epochs = 0) {
    fs::create_directories(folder);
    return {"test", folder, {"grey", "red"}, {{"epochs", std::to_string(epochs)}}, "limn train", epochs, 1, 0};
}

// Keeps what it is told.
struct Recorder : Callback {
    struct Told {
        std::vector<std::vector<std::pair<std::string, double>>> epochs;
        std::vector<std::string> keys;
        std::optional<Outcome> outcome;
        int first_epoch = 0;
    };
    std::shared_ptr<Told> told = std::make_shared<Told>();
    std::string name() const override { return "recorder"; }
    void on_train_begin(const Run& run) override { told->first_epoch = run.first_epoch; }
    void on_epoch_end(Epoch& epoch) override {
        auto scalars = epoch.scalars;
        std::erase_if(scalars, [](const auto& s) { return s.first == "seconds" || s.first == "images_per_second"; });
        told->epochs.push_back(scalars);
        for (const auto& [key, list] : epoch.pictures) told->keys.push_back(key);
    }
    void on_train_end(const Outcome& outcome) override { told->outcome = outcome; }
};

struct Result {
    std::shared_ptr<Recorder::Told> told;
    std::vector<Tensor> weights;  // of best.h5
    Outcome outcome;
};
Result train(const Photos& photos, TrainSettings settings, const fs::path& folder, Model model = small_network(),
             const Backend& backend = cpu_backend(), std::unique_ptr<Callback> also = nullptr) {
    Trainer trainer(backend, model, photos.data, settings, {photos.data.labels, "unit", "12x12", "bilinear"},
                    run_in(folder, settings.epochs));
    auto recorder = std::make_unique<Recorder>();
    Result result{recorder->told, {}, {}};
    if (also) trainer.add(std::move(also));
    trainer.add(std::move(recorder));
    result.outcome = trainer.train();
    const LoadedModel best = load_model({(folder / "best.h5").string(), "", ""});
    for (Layer* layer : best.model.weighted_layers())
        for (const Weight& w : layer->weights) result.weights.push_back(w.value.clone());
    return result;
}

bool same_weights(const Result& a, const Result& b) {
    return a.weights.size() == b.weights.size() && std::equal(a.weights.begin(), a.weights.end(), b.weights.begin(), same_bits);
}

}  // namespace

TEST_CASE("a small network learns to tell red from grey, and its file knows how it wants its photos") {
    const Photos photos;
    const Result result = train(photos, settings_for(8), photos.folder / "out");
    CHECK(result.outcome.scalars[0].second >= 0.9);
    CHECK(result.told->epochs.size() == 8);
    CHECK(result.told->epochs.back()[0].second < result.told->epochs.front()[0].second);  // loss
    const LoadedModel best = load_model({(photos.folder / "out" / "best.h5").string(), "", ""});
    CHECK(best.labels == std::vector<std::string>{"grey", "red"});
    CHECK(best.preprocess == "unit");
    CHECK(best.size == "12x12");
    CHECK(best.resize == "bilinear");
    std::int64_t sum = 0;
    for (const auto& row : result.outcome.confusion) sum += std::accumulate(row.begin(), row.end(), std::int64_t(0));
    CHECK(sum == std::int64_t(photos.data.validation.size()));
}

TEST_CASE("the same seed gives the same run, with any number of threads; another seed another one") {
    const Photos photos;
    TrainSettings settings = settings_for(3);
    settings.loader.augmentation = augmentation_named("strong");
    settings.averaging = 0.9;
    const auto network = [] { return small_network("gap-dense8", 0.3); };
    const Result one = train(photos, settings, photos.folder / "1", network());
    settings.loader.workers = 3;
    set_thread_count(1);
    const Result two = train(photos, settings, photos.folder / "2", network());
    set_thread_count(0);
    CHECK(same_weights(one, two));
    CHECK(one.told->epochs == two.told->epochs);
    settings.seed = 2;
    CHECK_FALSE(same_weights(one, train(photos, settings, photos.folder / "3", network())));
}

TEST_CASE("a run that is stopped in any epoch and resumed ends with the same weights as one that is not") {
    const Photos photos;
    for (const char* optimizer : {"sgd", "adamw"}) {
        CAPTURE(optimizer);
        TrainSettings settings = settings_for(5);
        settings.optimizer = {.name = optimizer, .momentum = 0.9, .weight_decay = 0.01};
        settings.loader.augmentation = augmentation_named("standard");
        settings.averaging = 0.9;
        const auto network = [] { return small_network("gap", 0.2); };
        const Result whole = train(photos, settings, photos.folder / (std::string("whole-") + optimizer), network());

        struct StopAfter : Callback {  // as a signal would
            std::atomic<int>& signal;
            int epoch;
            StopAfter(std::atomic<int>& s, int e) : signal(s), epoch(e) {}
            std::string name() const override { return "stop"; }
            void on_epoch_end(Epoch& e) override {
                if (e.number == epoch) signal = SIGTERM;
            }
        };
        const fs::path folder = photos.folder / (std::string("parts-") + optimizer);
        for (int stop_after : {2, 3}) {
            std::atomic<int> signal{0};
            settings.signal = &signal;
            settings.resume = stop_after > 2;
            Model model = network();
            Trainer trainer(cpu_backend(), model, photos.data, settings, {photos.data.labels, "unit", "12x12", "bilinear"},
                            run_in(folder, 5));
            trainer.add(std::make_unique<StopAfter>(signal, stop_after));
            CHECK(trainer.train().exit_code == 128 + SIGTERM);
        }
        settings.signal = nullptr;
        settings.resume = true;
        const Result resumed = train(photos, settings, folder, network());
        CHECK(resumed.told->first_epoch == 4);
        CHECK(same_weights(whole, resumed));
        CHECK(whole.outcome.best_epoch == resumed.outcome.best_epoch);
        CHECK(std::equal(resumed.told->epochs.begin(), resumed.told->epochs.end(), whole.told->epochs.begin() + 3));
        // a finished run that is resumed has nothing left to do, and says the same
        const Result again = train(photos, settings, folder, network());
        CHECK(again.told->epochs.empty());
        CHECK(same_weights(whole, again));
    }
}

TEST_CASE("resuming with other options, other photos or a broken checkpoint is refused; so is overwriting a run") {
    const Photos photos, others(25);
    const fs::path folder = photos.folder / "out";
    TrainSettings settings = settings_for(1);
    train(photos, settings, folder);
    CHECK_THROWS_WITH_AS(train(photos, settings, folder), doctest::Contains("--resume"), Error);
    settings.resume = true;
    CHECK_THROWS_WITH_AS(train(others, settings, folder), doctest::Contains("other photos"), Error);
    CHECK_THROWS_WITH_AS(train(photos, settings, folder, small_network("gap-dense4")), doctest::Contains("another network"), Error);
    settings.epochs = 2;
    CHECK_THROWS_WITH_AS(train(photos, settings, folder), doctest::Contains("was started with epochs = 1, not 2"), Error);
    settings.epochs = 1;
    fs::resize_file(folder / "checkpoint.h5", fs::file_size(folder / "checkpoint.h5") / 2);
    CHECK_THROWS_AS(train(photos, settings, folder), Error);
}

TEST_CASE("a frozen base: its kept features give what running it each time gives, also from a file") {
    const Photos photos;
    const auto network = [](const char* head) {
        Model model = small_base(12);
        initialise_for_training(model, 3);
        freeze_below(model, -1);
        add_head(model, head, 2, 0);
        initialise_for_training(model, 4);
        return model;
    };
    for (const char* head : {"gap", "gap-dense4", "flatten-dense4"}) {
        CAPTURE(head);
        TrainSettings settings = settings_for(2);
        const Result kept = train(photos, settings, photos.folder / head, network(head));
        settings.feature_memory = 0;  // into a file
        const Result filed = train(photos, settings, photos.folder / (std::string(head) + "-file"), network(head));
        settings.feature_memory = 1 << 30;
        settings.loader.augmentation = {.aspect = 1 + 1e-12};  // changes nothing, but must be applied to each photo anew
        const Result direct = train(photos, settings, photos.folder / (std::string(head) + "-direct"), network(head));
        CHECK(same_weights(kept, filed));
        REQUIRE(kept.weights.size() == direct.weights.size());
        for (std::size_t i = 0; i < kept.weights.size(); i++) CHECK(relative_error(direct.weights[i], kept.weights[i]) <= 1e-5);
        for (const fs::directory_entry& entry : fs::directory_iterator(photos.folder / (std::string(head) + "-file")))
            CHECK(entry.path().filename().string().find("features") == std::string::npos);  // nothing is left of it
    }
}

TEST_CASE("what can be kept of a network below its head: everything up to the last frozen value that is read alone") {
    Model model = small_base();
    freeze_below(model, -1);
    add_head(model, "gap", 2, 0.5);
    CHECK(model.node(model.frozen_below()).name == "global_average_pooling2d");
    Model half = small_base();
    freeze_below(half, half.find("conv2"));
    add_head(half, "gap", 2, 0);
    CHECK(half.node(half.frozen_below()).name == "relu1");
    Model none = small_network();
    CHECK(none.frozen_below() == none.inputs[0]);

    Model branches;  // two convolutions read the same frozen value, a third reads beside it
    const int x = branches.add_input("x", {-1, 8, 8, 3});
    const auto conv = [&](const char* name, int from) {
        return branches.add(name, make_layer({"Conv2D", name, {{"filters", 3.0}, {"kernel_size", 1.0}}}), {from});
    };
    const int a = conv("a", x), b = conv("b", a), c = conv("c", a);
    branches.outputs = {branches.add("sum", make_layer({"Add", "sum", {}}), {b, c})};
    freeze_below(branches, c);
    CHECK(branches.node(branches.frozen_below()).name == "a");
    const Model upper = branches.above(a);
    CHECK(upper.nodes().size() == 4);
    CHECK_THROWS_WITH_AS(branches.above(b), doctest::Contains("also reads"), Error);
    CHECK(branches.up_to(b).nodes().size() == 3);
}

TEST_CASE("training stops early when nothing gets better, and when a callback asks") {
    const Photos photos;
    TrainSettings settings = settings_for(30);
    settings.patience = 2;
    settings.schedule = {.name = "constant", .learning_rate = 1e-9};
    const Result early = train(photos, settings, photos.folder / "early");
    CHECK(early.told->epochs.size() < 30);
    CHECK(int(early.told->epochs.size()) == early.outcome.best_epoch + 2);
    settings.resume = true;  // it is finished: nothing is done again
    const Result again = train(photos, settings, photos.folder / "early");
    CHECK(again.told->epochs.empty());
    CHECK(same_weights(early, again));
}

TEST_CASE("a callback that fails is left out, and the training goes on") {
    const Photos photos;
    struct Broken : Callback {
        std::string name() const override { return "broken log"; }
        void on_epoch_end(Epoch&) override { fail("the disk is full"); }
    };
    Model model = small_network();
    Trainer trainer(cpu_backend(), model, photos.data, settings_for(3), {photos.data.labels, "unit", "12x12", "bilinear"},
                    run_in(photos.folder / "out", 3));
    auto recorder = std::make_unique<Recorder>();
    const auto told = recorder->told;
    trainer.add(std::make_unique<Broken>());
    trainer.add(std::move(recorder));
    CHECK(trainer.train().exit_code == 0);
    CHECK(told->epochs.size() == 3);
}

TEST_CASE("a full disk ends no training and loses nothing that was saved; at the end it is an Error") {
    const Photos photos;
    const fs::path folder = photos.folder / "out";
    TrainSettings settings = settings_for(2);
    train(photos, settings, folder);
    const auto before = read_file(folder / "best.h5"), checkpoint = read_file(folder / "checkpoint.h5");

    // files may hold 1000 bytes from here on
    fs::remove(folder / "checkpoint.h5");
    write_file(folder / "checkpoint.h5", checkpoint);
    Model model = small_network();
    settings.epochs = 4;
    Run run = run_in(folder, 2);
    settings.resume = true;
    Trainer trainer(cpu_backend(), model, photos.data, settings, {photos.data.labels, "unit", "12x12", "bilinear"}, run);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    std::string message;
    try {
        trainer.train();
    } catch (const Error& e) {
        message = e.what();
    }
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, old_handler);
    CHECK(message.find("is not saved") != std::string::npos);
    CHECK(read_file(folder / "best.h5") == before);
    CHECK(read_file(folder / "checkpoint.h5") == checkpoint);
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) CHECK(entry.path().extension() == ".h5");  // no rest of a file
}

TEST_CASE("a loss that is no number ends the training with what to try") {
    const Photos photos;
    TrainSettings settings = settings_for(5);
    settings.optimizer = {.name = "sgd", .momentum = 0.99};
    settings.schedule = {.name = "constant", .learning_rate = 1e30};
    CHECK_THROWS_WITH_AS(train(photos, settings, photos.folder / "out"), doctest::Contains("smaller --lr"), Error);
}

TEST_CASE("an Error in an epoch ends the run in order: the best so far is saved, callbacks hear of the end") {
    const Photos photos;
    TrainSettings settings = settings_for(6);
    settings.schedule = {.name = "step", .learning_rate = 0.02, .step_epochs = 3, .step_factor = 1e32};
    const fs::path folder = photos.folder / "out";
    Model model = small_network();
    Trainer trainer(cpu_backend(), model, photos.data, settings, {photos.data.labels, "unit", "12x12", "bilinear"}, run_in(folder, 6));
    auto recorder = std::make_unique<Recorder>();
    const auto told = recorder->told;
    trainer.add(std::move(recorder));
    CHECK_THROWS_WITH_AS(trainer.train(), doctest::Contains("smaller --lr"), Error);
    REQUIRE(told->outcome);
    CHECK(told->outcome->exit_code == 2);
    CHECK(told->outcome->best_epoch >= 1);
    CHECK(told->epochs.size() == 3);
    settings.epochs = 3;  // the same three epochs, and no more
    settings.schedule.step_factor = 1;
    const Result good = train(photos, settings, photos.folder / "good");
    const LoadedModel best = load_model({(folder / "best.h5").string(), "", ""});
    std::size_t i = 0;
    for (Layer* layer : best.model.weighted_layers())
        for (const Weight& w : layer->weights) CHECK(same_bits(w.value, good.weights.at(i++)));
}

TEST_CASE("a network of NaN is never the best, also where the last step of an epoch made it one") {
    const Photos photos;
    TrainSettings settings = settings_for(1);
    settings.loader.batch = 1000;  // one step an epoch
    settings.optimizer = {.name = "sgd", .momentum = 0};
    settings.schedule = {.name = "constant", .learning_rate = 1e38};
    CHECK_THROWS_WITH_AS(train(photos, settings, photos.folder / "out"), doctest::Contains("smaller --lr"), Error);
    CHECK_FALSE(fs::exists(photos.folder / "out" / "best.h5"));
}

TEST_CASE("a network without maps is trained, too; its mistakes are counted, not shown") {
    const Photos photos;
    Model model;
    int x = model.add_input("photo", {-1, 12, 12, 3});
    for (const Config& config : {Config{"Flatten", "flatten", {}}, Config{"Dense", "scores", {{"units", 1.0}, {"activation", "sigmoid"}}}})
        x = model.add(config.name, make_layer(config), {x});
    model.outputs = {x};
    initialise_for_training(model, 3);
    TrainSettings settings = settings_for(1);
    settings.schedule.learning_rate = 1e-9;
    const Result result = train(photos, settings, photos.folder / "out", model);
    CHECK(result.outcome.exit_code == 0);
    CHECK(result.outcome.mistakes.empty());
    CHECK(result.outcome.confusion[0][1] + result.outcome.confusion[1][0] > 0);
}

TEST_CASE("one run a folder at a time; what killed runs left of files goes") {
    const Photos photos;
    const fs::path folder = photos.folder / "out";
    make_folder(folder);
    for (const char* name : {"best.h5.4321.tmp", "my.tmp", "a.b.tmp"}) write_file(folder / name, std::string_view("x"));
    {
        const FolderLock other(folder);
        CHECK_THROWS_WITH_AS(train(photos, settings_for(1), folder), doctest::Contains("another process is working there"), Error);
    }
    train(photos, settings_for(1), folder);
    CHECK_FALSE(fs::exists(folder / "best.h5.4321.tmp"));
    CHECK(fs::exists(folder / "my.tmp"));
    CHECK(fs::exists(folder / "a.b.tmp"));
}

TEST_CASE("a signal before the first epoch ends the run at once, with nothing written") {
    const Photos photos;
    const std::atomic<int> signal{SIGTERM};
    TrainSettings settings = settings_for(1);
    settings.signal = &signal;
    Model model = small_base();
    freeze_below(model, -1);
    add_head(model, "gap", 2, 0);
    initialise_for_training(model, 5);
    Trainer trainer(cpu_backend(), model, photos.data, settings, {}, run_in(photos.folder / "out", 1));
    CHECK(trainer.train().exit_code == 128 + SIGTERM);
    CHECK(fs::is_empty(photos.folder / "out"));
}

TEST_CASE("what cannot be saved is known before anything is computed") {
    const Photos photos;
    Model model = model_from_config(R"({"class_name": "Sequential", "config": {"name": "net", "layers": [
        {"class_name": "InputLayer", "config": {"name": "photo", "batch_shape": [null, 3, 12, 12]}},
        {"class_name": "Conv2D", "config": {"name": "conv", "filters": 6, "kernel_size": [3, 3], "data_format": "channels_first"}},
        {"class_name": "Flatten", "config": {"name": "flatten"}},
        {"class_name": "Dense", "config": {"name": "scores", "units": 1, "activation": "sigmoid"}}]}})",
                                    "3.0.0");
    initialise_for_training(model, 3);
    CHECK_THROWS_WITH_AS(train(photos, settings_for(1), photos.folder / "out", model), doctest::Contains("cannot be written yet"), Error);
    CHECK(fs::is_empty(photos.folder / "out"));
}

TEST_CASE("a teacher's answers are mixed into the targets: the student follows it against the labels") {
    const Photos photos;
    struct Opposite {  // a teacher that has learnt the labels the wrong way round
        static Model model(const Photos& p) {
            Dataset swapped = open_dataset(p.folder.path / "photos", {});
            for (auto* list : {&swapped.train, &swapped.validation})
                for (Sample& s : *list) s.label = 1 - s.label;
            Model m = small_network();
            TrainSettings s = settings_for(8);
            s.loader.input.mode = Preprocess::raw;
            s.validation_input = s.loader.input;
            s.loader.input.mode = s.validation_input.mode = Preprocess::unit;
            Trainer(cpu_backend(), m, swapped, s, {swapped.labels, "unit", "12x12", "bilinear"}, run_in(p.folder / "teacher", 8)).train();
            return m;
        }
    };
    const Model teacher = Opposite::model(photos);
    TrainSettings settings = settings_for(8);
    settings.loader.input.mode = settings.validation_input.mode = Preprocess::raw;
    settings.schedule.learning_rate = 0.01;
    PhotoInput input = settings.loader.input;
    input.mode = Preprocess::unit;
    settings.teacher = Teacher{&teacher, input, 1.0};
    const Result result = train(photos, settings, photos.folder / "student");
    CHECK(result.told->epochs.back()[3].second <= 0.2);  // validation accuracy, against the true labels
}

TEST_CASE("each epoch shows the same photos with their scores, their CAM and their Grad-CAM") {
    const Photos photos;
    Model model = small_network();
    const TrainSettings settings = settings_for(3);
    Trainer trainer(cpu_backend(), model, photos.data, settings, {photos.data.labels, "unit", "12x12", "bilinear"},
                    run_in(photos.folder / "out", 3));
    const std::vector<const Sample*> chosen = chosen_photos(photos.data.validation, 2, 4);
    CHECK(chosen.size() == 4);
    CHECK(std::count_if(chosen.begin(), chosen.end(), [](const Sample* s) { return s->label == 0; }) == 2);
    trainer.add(std::make_unique<CamLogger>(cpu_backend(), settings.validation_input, chosen, 1));
    auto recorder = std::make_unique<Recorder>();
    const auto told = recorder->told;
    trainer.add(std::move(recorder));
    trainer.train();
    CHECK(told->keys == std::vector<std::string>{"images", "cam", "gradcam", "images", "cam", "gradcam", "images", "cam", "gradcam"});

    const Seen seen = look(cpu_backend(), model, settings.validation_input, photos.data.labels, chosen[0]->decoded());
    CHECK(seen.grad_cam.width == chosen[0]->decoded().width);
    CHECK(seen.score >= 0.5);
    CHECK(chosen_photos(photos.data.validation, 2, 1000).size() == photos.data.validation.size());
}

TEST_CASE("heads and networks that cannot be trained: one clear line") {
    const Photos photos;
    Model open = small_base();
    CHECK_THROWS_WITH_AS(add_head(open, "flatten-dense8", 2, 0), doctest::Contains("fixed image size"), Error);
    for (const char* kind : {"gap-dense", "gap-dense0", "gap-densex", "mean", "gap-dense99999999999999999999"})
        CHECK_THROWS_AS(add_head(open, kind, 2, 0), Error);
    Model headed = small_network();
    CHECK_THROWS_WITH_AS(add_head(headed, "gap", 2, 0), doctest::Contains("--base-layer"), Error);
    Model three = small_network("gap", 0, 3);
    CHECK_THROWS_WITH_AS(train(photos, settings_for(1), photos.folder / "a", three), doctest::Contains("3 classes apart"), Error);
    Model frozen = small_network();
    freeze_below(frozen, -1);
    CHECK_THROWS_WITH_AS(train(photos, settings_for(1), photos.folder / "b", frozen), doctest::Contains("every layer is frozen"), Error);
    Model linear = small_base();
    int x = linear.add("pool", make_layer({"GlobalAveragePooling2D", "pool", {}}), {linear.outputs[0]});
    linear.outputs = {linear.add("score", make_layer({"Dense", "score", {{"units", 1.0}}}), {x})};
    initialise_for_training(linear, 1);
    CHECK_THROWS_WITH_AS(train(photos, settings_for(1), photos.folder / "c", linear), doctest::Contains("a sigmoid is needed"), Error);
    TrainSettings taught = settings_for(1);
    taught.loader.input.mode = Preprocess::raw;
    taught.teacher = Teacher{&linear, taught.loader.input};
    CHECK_THROWS_WITH_AS(train(photos, taught, photos.folder / "d"), doctest::Contains("no probabilities"), Error);
}

TEST_CASE("on a device it trains as on the cpu: from scratch, with dropout and running averages, looked at, bit for bit again") {
    const Photos photos;
    TrainSettings settings = settings_for(4);
    settings.averaging = 0.9;
    for (const Backend* backend : network_backends()) {
        if (!backend->device()) continue;
        CAPTURE(backend->name());
        const auto losses_of = [](const Result& result) {
            std::vector<double> losses;
            for (const auto& epoch : result.told->epochs) losses.insert(losses.end(), {epoch[0].second, epoch[2].second});
            return losses;
        };
        const Result cpu = train(photos, settings, photos.folder / "cpu", small_network("gap", 0.2));
        const auto shown = chosen_photos(photos.data.validation, 2, 2);
        const Result gpu = train(photos, settings, photos.folder / "gpu", small_network("gap", 0.2), *backend,
                                 std::make_unique<CamLogger>(*backend, settings.validation_input, shown, 1));
        const auto expected = losses_of(cpu), found = losses_of(gpu);
        REQUIRE(found.size() == expected.size());
        for (std::size_t i = 0; i < found.size(); i++) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-3));
        CHECK(gpu.told->keys == std::vector<std::string>{"images", "cam", "gradcam", "images", "cam", "gradcam", "images", "cam", "gradcam",
                                                         "images", "cam", "gradcam"});
        for (std::size_t i = 0; i < gpu.weights.size(); i++) CHECK(relative_error(gpu.weights[i], cpu.weights[i]) <= 1e-2);

        const Result again = train(photos, settings, photos.folder / "whole", small_network("gap", 0.2), *backend);
        CHECK(same_weights(again, gpu));  // bit for bit
    }
}

TEST_CASE("on a device a head on a frozen base trains as on the cpu") {
    const Photos photos;
    const auto network = [] {
        Model model = small_network();
        for (Layer* layer : model.weighted_layers())
            if (layer->name.starts_with("conv") || layer->name.starts_with("bn")) layer->trainable = false;
        return model;
    };
    const Result cpu = train(photos, settings_for(3), photos.folder / "cpu", network());
    for (const Backend* backend : network_backends()) {
        if (!backend->device()) continue;
        CAPTURE(backend->name());
        const fs::path out = photos.folder / "gpu";
        fs::remove_all(out);
        const Result gpu = train(photos, settings_for(3), out, network(), *backend);
        REQUIRE(gpu.weights.size() == cpu.weights.size());
        for (std::size_t i = 0; i < gpu.weights.size(); i++) CHECK(relative_error(gpu.weights[i], cpu.weights[i]) <= 1e-3);
    }
}
