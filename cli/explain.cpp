#include "cli/explain.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cam/similarity.h"
#include "view/colormap.h"
#include "view/compat.h"
#include "view/terminal.h"

namespace limn::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

std::vector<int> chosen_layers(const Model& model, const std::vector<std::string>& names, int output) {
    std::vector<int> layers;
    for (const std::string& name : names) {
        if (name == "all") {
            for (int layer : convolutions(model)) layers.push_back(layer);
        } else {
            layers.push_back(name == "auto" ? default_layer(model, output) : model.find(name));
        }
    }
    LIMN_CHECK(!layers.empty(), "the model has no convolution to look at");
    return layers;
}

std::vector<std::string> read_targets(const std::string& path, std::size_t images) {
    if (path.empty()) return {};
    std::vector<std::string> targets = read_lines(path);
    std::erase(targets, "");
    LIMN_CHECK(targets.size() == images, "{}: names {} targets for {} images: one a line is wanted", path, targets.size(), images);
    return targets;
}

class ExplainCommand {
public:
    explicit ExplainCommand(const ExplainOptions& o)
        : o_(o), images_(all_images(o.images, {o.out})), targets_(read_targets(o.targets_file, images_.size())), ready_(prepare(o)),
          model_(ready_.loaded.model) {
        print_notes(ready_.loaded);
        LIMN_CHECK(targets_.empty() || o.target == "auto", "--targets {} and --target {}: give one of them", o.targets_file, o.target);
        const bool similarity = o.target.starts_with("like:");
        std::string target = targets_.empty() ? o.target : targets_[0];
        if (!o.words.empty()) {
            LIMN_CHECK(o.target == "auto" && targets_.empty(),
                       "--words: each word is a target; --target or --targets has no place beside it");
            caption_.emplace(o, ready_);
            target = caption_->target();
            LIMN_CHECK(!o.verify || caption_->asked_once(),
                       "--words --verify: this network is asked once for each word: verify one, with --input and --target \"log(WORD)\"");
        }
        request_ = {
            {}, chosen_layers(model_, o.layers, similarity ? 0 : subject_of(target).output), target, Score::logit, ready_.loaded.labels};
        LIMN_CHECK(o.score == "logit" || o.score == "output" || o.score == "log", "--score {}: logit, output and log are known", o.score);
        request_.score = o.score == "output" ? Score::output : o.score == "log" ? Score::log : Score::logit;
        for (const std::string& kind : o.save)
            LIMN_CHECK(kind == "png" || kind == "npy" || kind == "json" || kind == "html", "--save {}: png, npy, json and html are known",
                       kind);
        LIMN_CHECK(o.style == "article" || o.style == "blend", "--style {}: article and blend are known", o.style);
        LIMN_CHECK(o.boxes == "none" || o.boxes == "largest" || o.boxes == "all", "--boxes {}: none, largest and all are known", o.boxes);
        LIMN_CHECK(o.view == "heat" || o.view == "signed" || o.view == "counterfactual",
                   "--view {}: heat, signed and counterfactual are known", o.view);
        const Paint paint{o.style == "blend" ? Paint::Mode::blend : Paint::Mode::article, o.threshold, o.alpha};
        request_.drawing = {normalize_named(o.normalize), paint, colour_table(colormap_from_name(o.colormap))};
        request_.counterfactual = o.view == "counterfactual";
        if (!o.fuse.empty()) request_.fusion = fusion_named(o.fuse);
        LIMN_CHECK(o.fuse.empty() || request_.layers.size() > 1, "--fuse {}: needs several layers: --layer all, or their names", o.fuse);
        request_.seed = o.seed, request_.samples = o.samples;
        if (similarity) {
            const std::string other = o.target.substr(5);
            request_.own = similarity_to(*ready_.backend, model_, load_photo(other, ready_).input, fs::path(other).stem().string());
        }
        choose_methods(request_, o.methods, ready_);
        if (o.layers == std::vector<std::string>{"auto"})
            std::fprintf(stderr, "limn: looking at layer %s\n", model_.node(request_.layers[0]).name.c_str());
    }

    void run() {
        ExplainFiles files(o_, ready_);
        Explaining explain(o_, ready_, request_, o_.top);
        const std::size_t batch = ready_.input.fixed() ? 8 : 1;  // photos of their own sizes cannot share a tensor
        const bool waits = std::ranges::any_of(request_.methods, &Method::many);
        ProgressBar bar(images_.size() > 1 ? images_.size() : 0, "explaining", stderr);
        std::size_t first = 0;
        std::optional<ProgressBar> trials;
        if (images_.size() == 1 && waits) trials.emplace(1000, "explaining", stderr);
        explain.progress = [&](const Method& method, Index done, Index of) {
            const std::string note = fmt::format("{} {}/{}", method.name, done, of);
            trials ? trials->update(std::uint64_t(1000 * done / of), note) : bar.update(first, note);
        };
        // one document, written as it grows: a folder may be large
        if (o_.json)
            fmt::print("{{\n\"limn\": {}, \"model\": {}, \"images\": [", json_text(LIMN_VERSION), json_text(ready_.loaded.file.string()));
        const std::int64_t begin = now_ns();
        double explaining_ms = 0;
        for (; first < images_.size(); first += batch) {
            std::vector<Photo> photos;
            std::vector<Tensor> pixels;
            for (std::size_t i = first; i < std::min(images_.size(), first + batch); i++) {
                photos.push_back(load_photo(images_[i], ready_));
                pixels.push_back(bytes_of(photos.back().image));
            }
            std::vector<std::string> targets;
            if (!targets_.empty())
                targets.assign(targets_.begin() + std::ptrdiff_t(first), targets_.begin() + std::ptrdiff_t(first + photos.size()));
            const std::int64_t start = now_ns();
            std::vector<ExplainedWords> results;
            if (caption_)
                results = (*caption_)(ready_, request_, o_.top, explain, stack(photos), pixels);
            else
                for (Explained& result : explain(stack(photos), pixels, targets)) results.push_back({std::move(result), {}});
            const double ms = milliseconds_since(start);
            explaining_ms += ms;
            if (trials) trials->finish();
            for (std::size_t i = 0; i < photos.size(); i++) {
                std::vector<std::vector<Evidence>> evidence;
                if (o_.verify) evidence = verified(photos[i], targets.empty() ? request_.target : targets[i], results[i].explained);
                const Json json = files.write(photos[i], results[i].explained, evidence, ms / double(photos.size()), results[i].words);
                if (o_.json) fmt::print("{}\n{}", first + i ? "," : "", json_text(json));
            }
            bar.update(std::min(images_.size(), first + photos.size()));
        }
        bar.finish();
        if (o_.json) fmt::print("\n]}}\n");
        print_throughput(images_.size(), begin, explaining_ms);
        LIMN_CHECK(failed_.empty(), "verification failed: {}", failed_);
    }

private:
    std::vector<std::vector<Evidence>> verified(const Photo& photo, const std::string& target, const Explained& result) {
        if (!exact_) exact_ = holding_other_inputs(load_model(o_.source).model, o_);  // weights of its own: verify makes them double
        ProgressBar bar(1, "verifying", stderr);
        const auto told = [&](const std::string& what) { bar.update(0, what); };
        Request request = request_;
        request.target = target;
        auto evidence = verify(*ready_.backend, model_, *exact_, photo.input, request, result, told);
        for (std::size_t i = 0; i < evidence.size(); i++)
            for (const Evidence& e : evidence[i])
                if (!e.passed)
                    failed_ += fmt::format("{}{} {} of {}", failed_.empty() ? "" : ", ", result.maps[i].method, e.check, photo.path);
        return evidence;
    }

    const ExplainOptions& o_;
    std::vector<std::string> images_, targets_;
    Ready ready_;
    const Model& model_;
    Request request_;
    std::optional<Caption> caption_;
    std::optional<Model> exact_;
    std::string failed_;
};

}  // namespace

void add_explain(CLI::App& app) {
    CLI::App* command = app.add_subcommand("explain", "Show where the network looked: CAM, Grad-CAM and their family");
    auto o = std::make_shared<ExplainOptions>();
    command->add_option("images", o->images, "photos (JPEG, PNG, BMP), or folders of them")->required();
    add_image_options(*command, *o);
    std::string names;
    for (const Method& known : methods()) names += known.name + ", ";
    CLI::Option* method = command->add_option("--method", o->methods, names + "or all (with a contact sheet)")
                              ->delimiter(',')
                              ->allow_extra_args(false)
                              ->capture_default_str();
    command->add_option("--layer", o->layers, "auto (what CAM reads, else the last map before the head), all (every convolution) or names")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_option("--fuse", o->fuse, "one map of all layers: mean, or max (LayerCAM's)");
    command
        ->add_option("--target", o->target,
                     "auto (the winning class), an index, a label, top:K, best:151-268,281 (the best of some classes), output[3,4,1] (an "
                     "element), output[1][3,2:5] (a slice of output 1), log(tabby) (log p), \"tabby - 207\" (sums and differences), "
                     "\"A; B\" (several), like:PHOTO (similarity to another photo)")
        ->capture_default_str();
    command->add_option("--words", o->words, "a caption: each of its words is explained, log p(word | those before it), with --vocabulary")
        ->check(some_words);
    command->add_option("--targets", o->targets_file, "a file with a target for each image, one a line");
    command->add_option("--score", o->score, "explain the logit, the output (after softmax or sigmoid) or its log (after softmax)")
        ->capture_default_str();
    command->add_option("--samples", o->samples, "trials of rise (2000), smoothgrad and integrated-gradients (50)")
        ->check(CLI::Range(1, 1000000));
    command->add_option("--seed", o->seed, "of what is drawn at random")->capture_default_str();
    command->add_option("--top", o->top, "how many predictions to print")->capture_default_str();
    command->add_option("--save", o->save, "png, npy (the raw signed map), json, html")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_option("--out", o->out, "folder for the files")->capture_default_str();
    command
        ->add_option("--view", o->view,
                     "heat; signed (red speaks for the target, blue against it); counterfactual (what speaks against it, as heat)")
        ->capture_default_str();
    CLI::Option* style =
        command->add_option("--style", o->style, "article (0.5*heat + photo, cold parts left out) or blend")->capture_default_str();
    CLI::Option* colormap =
        command->add_option("--colormap", o->colormap, "jet, viridis, inferno, grey or diverging")->capture_default_str();
    command->add_option("--threshold", o->threshold, "below this share of the largest value nothing is coloured")->capture_default_str();
    CLI::Option* alpha = command->add_option("--alpha", o->alpha, "strength of the colours")->capture_default_str();
    command->add_option(
        "--compat", o->compat,
        "the picture as another library draws it: pytorch-grad-cam, captum, tf-keras-vis, keras-io, zhou (with CAM) or article");
    CLI::Option* normalize = command->add_option("--normalize", o->normalize, "max, minmax, none or signed")->capture_default_str();
    command->add_option("--boxes", o->boxes, "draw boxes around what is above the threshold: none, largest or all")->capture_default_str();
    command->add_flag("--verify", o->verify,
                      "next to each map the evidence for it: finite differences, completeness, the reference's map, the same bits again");
    command->add_flag("--show", o->show, "show the picture in the terminal, too");
    command->footer(
        "Examples:\n"
        "  limn explain cat.jpg --model vgg16\n"
        "  limn explain cat.jpg --model vgg16 --layer all --target tabby --save png,npy\n"
        "  limn explain cat.jpg --method all --view signed\n"
        "  limn explain cat.jpg --model vgg16 --target \"tabby - tiger_cat\" --verify\n"
        "  limn explain cat.jpg --model captioner.h5 --words \"a cat on a mat\" --vocabulary words.txt\n"
        "  limn explain photos --model mobilenet.h5 --method cam,grad-cam --json > maps.json");
    command->callback([=] {
        if (o->view == "signed") {  // unless the user said otherwise
            if (!style->count()) o->style = "blend";
            if (!colormap->count()) o->colormap = "diverging";
            if (!normalize->count()) o->normalize = "signed";
        }
        if (!o->compat.empty()) {
            const Compat library = compat_named(o->compat);
            for (const CLI::Option* option : {style, colormap, alpha, normalize})
                LIMN_CHECK(!option->count(), "{}: --compat {} draws as that library does: leave one of them out", option->get_name(),
                           o->compat);
            LIMN_CHECK(o->view != "signed", "--view signed: --compat {} draws as that library does: leave one of them out", o->compat);
            if (!method->count()) o->methods = {method_of(library)};
        }
        ExplainCommand(*o).run();
    });
}

}  // namespace limn::cli
