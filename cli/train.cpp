#include <CLI/CLI.hpp>
#include <csignal>
#include <ctime>
#include <set>

#include "cam/explain.h"
#include "cli/cli.h"
#include "engine/file.h"
#include "engine/threads.h"
#include "train/cam_logger.h"
#include "train/history.h"
#include "train/initialise.h"
#include "train/picture_folder.h"
#include "train/step.h"
#include "train/tensorboard.h"
#include "train/trainer.h"
#include "train/training_report.h"
#include "train/wandb.h"
#include "weights/architectures/architectures.h"
#include "weights/fetch.h"
#include "weights/keras_config.h"

namespace limn::cli {

namespace {

struct TrainOptions : DeviceOptions {
    std::string folder, validation, base, base_layer, head = "gap", unfreeze, architecture, model, out = "limn-train";
    std::string size, validation_size, store = "float32", resize = "bilinear", preprocess = "auto", augment = "auto", bad_photos = "skip";
    std::string teacher;
    std::vector<std::string> log{"html"};
    double dropout = 0, teacher_weight = 0.5, validation_share = 0.2, learning_rate = 0, warmup = -1, weight_decay = -1;
    Index batch = 32;
    int epochs = 0, workers = 1, show = 8, show_every = 1;
    TrainSettings settings;
};

std::atomic<int> caught_signal{0};
void on_signal(int signal) {
    if (caught_signal.exchange(signal)) std::_Exit(128 + signal);  // asked twice: at once
}

// A line an epoch, on stdout.
class EpochLine : public Callback {
public:
    std::string name() const override { return "the epoch's line"; }
    void on_train_begin(const Run& run) override { run_ = run; }
    void on_epoch_end(Epoch& epoch) override {
        const auto value = [&](const char* key) { return epoch.scalar(key).value_or(0); };
        const std::string line = fmt::format(
            "epoch {:>3}/{}  loss {:.4f}  accuracy {:.4f}  val_loss {:.4f}  val_accuracy {:.4f}  lr {:.2e}  {:.0f} photos/s  {:.1f} s\n",
            epoch.number, run_.epochs, value("loss"), value("accuracy"), value("val_loss"), value("val_accuracy"), value("learning_rate"),
            value("images_per_second"), value("seconds"));
        std::fputs(line.c_str(), stdout), std::fflush(stdout);  // nothing to throw when stdout is a file on a full disk
    }

private:
    Run run_;
};

// The network to train, with its weights, and how it wants its photos.
struct Network {
    Model model;
    PhotoInput input;
    bool from_scratch = false;
    std::filesystem::path file;  // where its weights come from
};

// A model without weights; the input's size as asked for.
Model unweighted(const TrainOptions& o) {
    if (const Architecture* a = find_architecture(o.architecture)) return a->build();
    LIMN_CHECK(o.architecture.ends_with(".json"), "--arch {}: is neither a name limn knows (paws, vgg16, squeezenet...) nor a .json file",
               o.architecture);
    const auto bytes = read_file(o.architecture, std::size_t(64) << 20);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size()), version = keras_version_in(text);
    return model_from_config(text, version.empty() ? "3.0.0" : version);
}

Network open_network(const TrainOptions& o, Index classes) {
    LIMN_CHECK(
        int(!o.base.empty()) + int(!o.architecture.empty()) + int(!o.model.empty()) == 1,
        "say what to train: --base FILE (a head on a frozen network), --arch NAME (from scratch) or --model FILE (all of a trained one)");
    Network network;
    std::string size = o.size, mode = o.preprocess == "auto" ? "" : o.preprocess;
    if (!o.architecture.empty()) {
        network.model = unweighted(o);
        network.from_scratch = true;
    } else {
        LoadedModel loaded = load_model({o.base.empty() ? o.model : o.base, "", ""});
        print_notes(loaded);
        network.model = std::move(loaded.model), network.file = loaded.file;
        if (size.empty()) size = loaded.size;
        if (mode.empty()) mode = loaded.preprocess;
        // What was frozen when the file was written is no choice for this run.
        for (int i = 0; i < int(network.model.nodes().size()); i++) network.model.node(i).layer->trainable = true;
    }
    Model& model = network.model;
    LIMN_CHECK(model.inputs.size() == 1, "model '{}' has {} inputs; photos go to models with one", model.name, model.inputs.size());
    const Shape input = model.node(model.inputs[0]).shape;
    LIMN_CHECK(input.rank() == 4 && (input[3] == 3 || input[3] == 1), "model '{}' takes {}, not photos", model.name, input.str());
    const auto [h, w] = !size.empty()                  ? parse_size(size)
                        : input[1] > 0 && input[2] > 0 ? std::pair(input[1], input[2])
                        : network.from_scratch         ? std::pair<Index, Index>(128, 128)
                                                       : std::pair<Index, Index>(224, 224);
    LIMN_CHECK((input[1] < 0 || input[1] == h) && (input[2] < 0 || input[2] == w), "--size {}x{}: model '{}' takes only {}x{}", h, w,
               model.name, input[1], input[2]);
    network.input = {mode.empty() ? choose_preprocess(model).mode : preprocess_named(mode), h, w, parse_resize(o.resize), int(input[3])};

    if (!o.base.empty()) {
        int top = model.outputs.at(0);
        if (!o.base_layer.empty())
            top = model.find(o.base_layer);
        else if (model.node(top).shape.rank() != 4)
            top = default_layer(model);  // a whole classifier: what lies below its head
        model = model.up_to(top);
        if (o.head.starts_with("flatten")) model = model.with_input_size(h, w);
        freeze_below(model, o.unfreeze.empty() ? -1 : model.find(o.unfreeze));
        add_head(model, o.head, classes, o.dropout);
    } else if (!o.unfreeze.empty()) {
        freeze_below(model, model.find(o.unfreeze));
    }
    initialise_for_training(model, o.settings.seed);
    return network;
}

// What Keras would add to the loss, or do to weights after a step; and what it will not open.
void note_differences(const Model& model) {
    std::set<std::string> kinds;
    for (const Node& node : model.nodes())
        for (const auto& [key, value] : node.layer->keras_config.settings)
            if (node.layer->trainable && node.layer->keras_config.has(key) &&
                (key.ends_with("_regularizer") || key.ends_with("_constraint")))
                kinds.insert(key);
    const auto called = std::ranges::find_if(model.nodes(), [](const Node& node) { return node.layer->class_name == "Operation"; });
    if (called != model.nodes().end())
        std::fprintf(stderr, "limn: note: '%s' is a function without a layer: limn opens what is saved, Keras does not\n",
                     called->name.c_str());
    if (!kinds.empty())
        std::fprintf(stderr, "limn: note: the network's %s are not applied; --weight-decay is what limn has\n",
                     fmt::format("{}", fmt::join(kinds, ", ")).c_str());
}

std::string text_of(double value) { return fmt::format("{}", value); }

// What writes the run down.
void add_logs(Trainer& trainer, const TrainOptions& o) {
    const std::filesystem::path out = o.out;
    trainer.add(std::make_unique<History>(out));
    for (const std::string& kind : o.log) {
        if (kind == "html")
            trainer.add(std::make_unique<TrainingReport>(out / "report.html"));
        else if (kind == "png")
            trainer.add(std::make_unique<PictureFolder>(out / "pictures"));
        else if (kind == "tensorboard")
            trainer.add(std::make_unique<TensorBoard>(out / "tensorboard"));
        else if (kind == "wandb")
            trainer.add(std::make_unique<WandbOffline>(out, "limn"));
        else
            LIMN_CHECK(kind == "none", "--log {}: html, tensorboard, wandb, png and none are known", kind);
    }
}

Index trainable_count(const Model& model) {
    Index count = 0;
    for (const Weight* w : trainable_weights(model)) count += w->shape.size();
    return count;
}

void train(TrainOptions o) {
    set_thread_count(o.threads);
    LIMN_CHECK(o.bad_photos == "skip" || o.bad_photos == "refuse", "--bad-photos {}: skip and refuse are known", o.bad_photos);

    const Dataset data = open_dataset(o.folder, {o.validation, o.validation_share, o.out, o.settings.seed});
    for (const std::string& problem : data.problems) std::fprintf(stderr, "limn: %s\n", problem.c_str());
    if (!data.problems.empty()) {
        LIMN_CHECK(o.bad_photos == "skip", "{} photos cannot be used (named above): repair or remove them, or give --bad-photos skip",
                   data.problems.size());
        std::fprintf(stderr, "limn: %zu files are left out\n", data.problems.size());
    }

    Network network = open_network(o, Index(data.labels.size()));
    TrainSettings& s = o.settings;
    if (o.weight_decay >= 0)
        s.optimizer.weight_decay = o.weight_decay;
    else if (s.optimizer.name == "adamw")
        s.optimizer.weight_decay = 0.004;  // as Keras
    s.epochs = o.epochs ? o.epochs : network.from_scratch ? 60 : 20;
    s.schedule.learning_rate = o.learning_rate ? o.learning_rate : s.optimizer.name == "sgd" ? 0.05 : 1e-3;
    s.schedule.warmup = o.warmup >= 0 ? o.warmup : network.from_scratch ? 2 : 0;
    if (o.augment == "auto") o.augment = network.from_scratch ? "standard" : "none";
    s.loader = {network.input, augmentation_named(o.augment), o.batch, s.seed, false, false, o.workers};
    LoadedModel teacher;
    if (!o.teacher.empty()) {
        teacher = load_model({o.teacher, "", ""});
        LIMN_CHECK(teacher.labels.empty() || teacher.labels.size() != data.labels.size() || teacher.labels == data.labels,
                   "--teacher {}: its classes are {}, the folder's {}", o.teacher, fmt::join(teacher.labels, ", "),
                   fmt::join(data.labels, ", "));
        PhotoInput input = network.input;
        input.mode = preprocess_of(teacher).mode;
        const Shape& fixed = teacher.model.node(teacher.model.inputs.at(0)).shape;
        if (!teacher.size.empty())
            std::tie(input.height, input.width) = parse_size(teacher.size);
        else if (fixed.rank() == 4 && fixed[1] > 0 && fixed[2] > 0)
            input.height = fixed[1], input.width = fixed[2];
        s.teacher = Teacher{&teacher.model, input, o.teacher_weight};
    }
    const Backend& backend = o.backend();
    teacher.model.move_to(backend.device());
    s.validation_input = network.input;
    if (!o.validation_size.empty()) {
        std::tie(s.validation_input.height, s.validation_input.width) = parse_size(o.validation_size, "--val-size");
        const Shape& fixed = network.model.node(network.model.inputs[0]).shape;
        LIMN_CHECK(fixed[1] < 0 || (fixed[1] == s.validation_input.height && fixed[2] == s.validation_input.width),
                   "--val-size {}: the network takes only {}x{}", o.validation_size, fixed[1], fixed[2]);
    }
    LIMN_CHECK(o.store == "float32" || o.store == "float16", "--store {}: float32 and float16 are known", o.store);
    s.precision = o.store == "float16" ? Precision::f16 : Precision::f32;
    s.signal = &caught_signal;

    for (const std::filesystem::path& file : {network.file, teacher.file})
        for (const char* own : {"best.h5", "last.h5"}) {
            std::error_code not_there;
            LIMN_CHECK(!std::filesystem::equivalent(file, std::filesystem::path(o.out) / own, not_there),
                       "{}: this run would write over the file that it starts from: choose another folder (--out)", file.string());
        }
    note_differences(network.model);
    make_folder(o.out);
    const std::time_t now = std::time(nullptr);
    const PhotoInput& input = s.validation_input;
    const auto size_of = [](const PhotoInput& p) { return fmt::format("{}x{}", p.height, p.width); };
    Run run{network.model.name, o.out, data.labels, {}, command_line(), s.epochs, 1, std::int64_t(now)};
    run.config = {{"data", o.folder},
                  {"training_photos", std::to_string(data.train.size())},
                  {"validation_photos", std::to_string(data.validation.size())},
                  {"base", o.base},
                  {"base_layer", o.base_layer},
                  {"head", o.base.empty() ? "" : o.head},
                  {"unfreeze", o.unfreeze},
                  {"architecture", o.architecture},
                  {"model", o.model},
                  {"size", size_of(network.input)},
                  {"validation_size", size_of(input)},
                  {"preprocess", std::string(name_of(input.mode))},
                  {"resize", o.resize},
                  {"augmentation", o.augment},
                  {"batch", std::to_string(o.batch)},
                  {"epochs", std::to_string(s.epochs)},
                  {"optimizer", s.optimizer.name},
                  {"learning_rate", text_of(s.schedule.learning_rate)},
                  {"momentum", text_of(s.optimizer.momentum)},
                  {"nesterov", s.optimizer.nesterov ? "yes" : "no"},
                  {"weight_decay", text_of(s.optimizer.weight_decay)},
                  {"schedule", s.schedule.name},
                  {"warmup", text_of(s.schedule.warmup)},
                  {"step_epochs", text_of(s.schedule.step_epochs)},
                  {"step_factor", text_of(s.schedule.step_factor)},
                  {"label_smoothing", text_of(s.label_smoothing)},
                  {"dropout", text_of(o.dropout)},
                  {"averaging", text_of(s.averaging)},
                  {"patience", std::to_string(s.patience)},
                  {"teacher", o.teacher},
                  {"teacher_weight", o.teacher.empty() ? "" : text_of(o.teacher_weight)},
                  {"seed", std::to_string(s.seed)},
                  {"device", std::string(backend.name().substr(0, backend.name().find(' ')))},
                  {"started_from", network.file.empty() ? "" : md5_of(network.file)},
                  {"taught_by", o.teacher.empty() ? "" : md5_of(teacher.file)},
                  {"limn", LIMN_VERSION},
                  {"precision", o.precision},
                  {"exact", o.exact ? "yes" : "no"},
                  {"autotune", o.autotune ? "yes" : "no"},
                  {"architecture_md5", o.architecture.ends_with(".json") ? md5_of(o.architecture) : ""}};
    fmt::print("{} classes ({}{}): {} training and {} validation photos\n{}: {} of {} weights are trained, photos of {}\n",
               data.labels.size(), fmt::join(std::span(data.labels).first(std::min<std::size_t>(5, data.labels.size())), ", "),
               data.labels.size() > 5 ? "..." : "", data.train.size(), data.validation.size(), network.model.name,
               trainable_count(network.model), network.model.parameters(), size_of(network.input));
    std::fflush(stdout);

    Trainer trainer(backend, network.model, data, s, {data.labels, std::string(name_of(input.mode)), size_of(input), o.resize}, run);
    trainer.add(
        std::make_unique<CamLogger>(backend, input, chosen_photos(data.validation, data.labels.size(), std::size_t(o.show)), o.show_every));
    trainer.add(std::make_unique<EpochLine>());
    add_logs(trainer, o);

    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    const Outcome outcome = trainer.train();
    if (outcome.exit_code) fail("stopped by signal {}: go on with the same command and --resume", outcome.exit_code - 128);
    fmt::print("best: epoch {}, validation accuracy {:.4f}; {} holds it\n", outcome.best_epoch, outcome.scalars[0].second,
               (std::filesystem::path(o.out) / "best.h5").string());
    for (const std::string& hint : trainer.hints()) fmt::print("see: {}\n", hint);
}

}  // namespace

void add_train(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("train", "Train a head on a frozen base, or a small network from scratch, and see where it looks each epoch");
    auto o = std::make_shared<TrainOptions>();
    TrainSettings& s = o->settings;
    command->add_option("folder", o->folder, "photos in class folders: DIR/cat, DIR/dog (or DIR/train/... and DIR/val/...)")->required();
    command->add_option("--val", o->validation, "a folder of validation photos (default: DIR/val, else a seeded share of each class)");
    command->add_option("--val-share", o->validation_share, "that share")->capture_default_str()->check(CLI::Range(0.0, 1.0));
    command->add_option("--bad-photos", o->bad_photos, "files that cannot be used are named, then: skip or refuse")->capture_default_str();

    command->add_option("--base", o->base, "train a head on this frozen network: a Keras file or a fetched name (vgg16-notop)");
    command->add_option("--base-layer", o->base_layer, "where the base ends (default: its last map)");
    command->add_option("--head", o->head, "gap, gap-dense64, flatten-dense256 (any number of units)")->capture_default_str();
    command->add_option("--unfreeze", o->unfreeze, "train the base, too, from this layer upward");
    command->add_option("--arch", o->architecture, "train from scratch: paws, or a .json file with a Keras configuration");
    command->add_option("-m,--model", o->model, "go on training all of this trained network");

    command->add_option("--size", o->size, "HxW of the photos (default: the network's, else 224x224, from scratch 128x128)");
    command->add_option("--val-size", o->validation_size,
                        "HxW of validation photos, and of those the network will be used on (default: as --size; after training on crops "
                        "a larger one is better)");
    command->add_option("--resize", o->resize, "bilinear or nearest")->capture_default_str();
    command->add_option("--preprocess", o->preprocess, "auto, caffe, tf, torch, unit or raw")->capture_default_str();
    command->add_option("--augment", o->augment, "none, light, standard, strong; auto: standard from scratch, else none")
        ->capture_default_str();

    command->add_option("--epochs", o->epochs, "default: 20, from scratch 60")->check(CLI::PositiveNumber);
    command->add_option("--batch", o->batch, "photos a step; a last batch that is not full is left out")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    command->add_option("--optimizer", s.optimizer.name, "adam, adamw or sgd")->capture_default_str();
    command->add_option("--lr", o->learning_rate, "learning rate (default: 0.001, sgd 0.05)")->check(CLI::PositiveNumber);
    command->add_option("--momentum", s.optimizer.momentum, "of sgd")->capture_default_str();
    command->add_flag("--nesterov", s.optimizer.nesterov, "Nesterov's momentum");
    command->add_option("--weight-decay", o->weight_decay, "decoupled, of kernels and embeddings only (default: 0, adamw 0.004)")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--schedule", s.schedule.name, "cosine, constant or step")->capture_default_str();
    command->add_option("--warmup", o->warmup, "epochs over which the learning rate rises (default: 0, from scratch 2)");
    command->add_option("--step-epochs", s.schedule.step_epochs, "of the step schedule")->capture_default_str();
    command->add_option("--step-factor", s.schedule.step_factor, "of the step schedule")->capture_default_str();
    command->add_option("--label-smoothing", s.label_smoothing, "0 to below 1")->capture_default_str();
    command->add_option("--dropout", o->dropout, "before the head's last layer")->capture_default_str();
    command->add_option("--averaging", s.averaging, "keep running averages of the weights, such as 0.999")->capture_default_str();
    command->add_option("--teacher", o->teacher, "a trained network whose answers are mixed into the targets");
    command->add_option("--teacher-weight", o->teacher_weight, "their share")->capture_default_str()->check(CLI::Range(0.0, 1.0));
    command
        ->add_option("--patience", s.patience,
                     "stop after so many epochs without a better validation accuracy, or as good a one with a lower loss (0: never)")
        ->capture_default_str();
    command->add_option("--seed", s.seed, "the same seed, the same run")->capture_default_str();

    command->add_option("--out", o->out, "folder for checkpoints, logs and the report")->capture_default_str();
    command->add_option("--store", o->store, "numbers in the Keras files: float32 or float16")->capture_default_str();
    command->add_flag("--resume", s.resume, "go on where a stopped run of the same command was");
    command->add_option("--log", o->log, "html, tensorboard, wandb, png, or none")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_option("--show", o->show, "validation photos to show each epoch")->capture_default_str()->check(CLI::Range(0, 1000));
    command->add_option("--show-every", o->show_every, "after every so many epochs")->capture_default_str();
    add_device_options(*command, *o);
    command->add_option("--workers", o->workers, "threads that prepare photos")->capture_default_str()->check(CLI::Range(1, 256));
    command->footer(
        "Examples:\n"
        "  limn train photos --base vgg16-notop                       the article's CAM model: GAP and one sigmoid on frozen VGG16\n"
        "  limn train photos --base vgg16-notop --head gap-dense64    its Grad-CAM model\n"
        "  limn train photos --arch paws --epochs 60 --augment strong --log html,tensorboard\n"
        "  limn train photos --base squeezenet.h5 --unfreeze fire8/squeeze1x1 --lr 1e-4 --resume\n"
        "The report (OUT/report.html) can be watched while training.");
    command->callback([o] { train(*o); });
}

}  // namespace limn::cli
