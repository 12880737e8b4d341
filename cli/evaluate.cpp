#include "cli/evaluate.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "engine/file.h"
#include "evaluate/page.h"
#include "view/overlay.h"
#include "view/terminal.h"
#include "view/utf8.h"
#include "weights/fetch.h"

namespace limn::cli {

namespace fs = std::filesystem;

namespace {

bool lies_in(const fs::path& path, const fs::path& folder) {
    if (folder.empty()) return false;
    const fs::path relative = fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
    return !relative.empty() && *relative.begin() != "..";
}

// A path as one of the settings: of a file also what it held.
std::string known(const std::string& path) {
    return path.empty() || fs::is_directory(path) ? path : fmt::format("{} (MD5 {})", path, md5_of(path));
}

// At most `limit`, spread evenly over the list, so that every class is among them.
std::vector<std::string> spread(const std::vector<std::string>& names, Index limit) {
    const std::size_t count = std::size_t(limit);
    if (limit == 0 || count >= names.size()) return names;
    std::vector<std::string> chosen;
    for (std::size_t i = 0; i < count; i++) chosen.push_back(names[i * names.size() / count]);
    return chosen;
}

class EvaluateCommand {
public:
    explicit EvaluateCommand(const EvaluateOptions& o)
        : o_(o), annotations_({o.boxes, o.masks, o.truth, mask_value(o.mask_value)}), ready_(prepare(o)),
          head_(find_classifier(ready_.loaded.model)) {
        print_notes(ready_.loaded);
        LIMN_CHECK(o.score == "logit" || o.score == "output", "--score {}: logit and output are known", o.score);
        list_photos();
        const bool labels = std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.label.has_value(); });
        LIMN_CHECK(labels || o.target != "label", "--target label: nobody says what the photos show: --truth FILE.csv, or class folders");
        rating_ = {chosen_metrics(o.metrics, {!o.masks.empty(), !o.boxes.empty(), labels, o.target == "label", o.target == "auto"}),
                   o.steps, o.thresholds, o.seed};
        request_.layers = {layer()}, request_.labels = ready_.loaded.labels;
        request_.target = o.target == "label" ? "auto" : o.target;
        LIMN_CHECK(subject_of(request_.target) == Subject{},
                   "--target {}: only scores of the model's first output are rated, no logarithms", o.target);
        request_.score = o.score == "output" ? Score::output : Score::logit;
        request_.seed = o.seed, request_.samples = o.samples;
        choose_methods(request_, o.methods, ready_);
        rater_.emplace(o, ready_, annotations_, rating_, request_);
    }

    void run() {
        make_folder(o_.out);
        const FolderLock lock(o_.out);
        remove_temporary_files(o_.out);
        const NamedTexts settings = settings_now();
        PhotoRecords file(fs::path(o_.out) / "photos.jsonl", settings);
        rate_all(file);
        finish(file, settings);
    }

private:
    static int mask_value(const std::string& text) {
        if (text == "auto") return -1;
        int value = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        LIMN_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 255,
                   "--mask-value {}: auto, or 0 to 255", text);
        return value;
    }

    int layer() const {
        const Model& model = ready_.loaded.model;
        if (o_.layer != "auto") return model.find(o_.layer);
        const int chosen = default_layer(model);
        std::fprintf(stderr, "limn: looking at layer %s\n", model.node(chosen).name.c_str());
        return chosen;
    }

    // Masks that lie among the photos.
    void leave_out_masks(std::vector<std::string>& names) const {
        const auto file = [&](const std::string& name) { return fs::weakly_canonical(fs::path(o_.folder) / name); };
        std::set<fs::path> masks, own;
        for (const std::string& name : names)
            if (const fs::path mask = annotations_.mask_file(name); !mask.empty())
                (fs::equivalent(mask, file(name)) ? own : masks).insert(fs::weakly_canonical(mask));
        std::erase_if(names, [&](const std::string& name) { return masks.contains(file(name)); });
        for (const std::string& name : names) LIMN_CHECK(!own.contains(file(name)), "{}: photo {} would be its own mask", o_.masks, name);
    }

    void list_photos() {
        LIMN_CHECK(fs::is_directory(o_.folder), "{}: is no folder of photos", o_.folder);
        std::vector<std::string> names;
        for (const std::string& path : all_images({o_.folder}, {o_.masks, o_.boxes, o_.out}))
            names.push_back(fs::path(path).lexically_relative(o_.folder).generic_string());
        if (lies_in(o_.folder, o_.masks)) leave_out_masks(names);
        LIMN_CHECK(!names.empty(), "{}: holds no photos", o_.folder);
        for (const std::string& name : names)
            LIMN_CHECK(valid_utf8(name) == name, "{}/{}: the name of this photo is not UTF-8, as the results have to be: rename it",
                       o_.folder, valid_utf8(name));
        std::size_t unknown = 0;
        std::string example;
        for (const std::string& name : spread(names, o_.limit)) {
            Entry entry{name, {}};
            const std::string text = annotations_.label_of(name);
            if (!text.empty())
                entry.label = label_named(text, ready_.loaded.labels, std::max<Index>(head_.classes, head_.binary() ? 2 : 0));
            if (!text.empty() && !entry.label) {
                LIMN_CHECK(o_.truth.empty(),
                           "{}: '{}' of photo {} is no class of this model: give a class name, an index or a range such as 281-285",
                           o_.truth, text, name);
                if (unknown++ == 0) example = text;
            }
            entries_.push_back(std::move(entry));
        }
        if (unknown > 0)
            std::fprintf(
                stderr,
                "limn: note: %zu photos are said to show what is no class of this model, such as '%s': they count as without a label\n",
                unknown, example.c_str());
    }

    NamedTexts settings_now() const {
        std::vector<std::string> metric_ids, method_names;
        for (const Metric& m : rating_.metrics) metric_ids.push_back(m.id);
        for (const Method& m : request_.methods) method_names.push_back(m.name);
        const std::string device(ready_.backend->name());
        NamedTexts settings{{"photos", fs::weakly_canonical(o_.folder).string()},
                            {"model", ready_.loaded.file.filename().string()},
                            {"model's MD5", md5_of(ready_.loaded.file)},
                            {"method", fmt::format("{}", fmt::join(method_names, ","))},
                            {"layer", ready_.loaded.model.node(request_.layers[0]).name},
                            {"target", o_.target},
                            {"score", o_.score},
                            {"metrics", fmt::format("{}", fmt::join(metric_ids, ","))},
                            {"boxes", known(o_.boxes)},
                            {"masks", o_.masks},
                            {"mask-value", o_.mask_value},
                            {"truth", known(o_.truth)},
                            {"steps", std::to_string(o_.steps)},
                            {"thresholds", std::to_string(o_.thresholds)},
                            {"noises", std::to_string(o_.noises)},
                            {"samples", std::to_string(o_.samples)},
                            {"seed", std::to_string(o_.seed)},
                            {"preprocess", std::string(name_of(ready_.preprocess.mode))},
                            {"size", ready_.input.fixed() ? fmt::format("{}x{}", ready_.input.height, ready_.input.width) : "native"},
                            {"resize", ready_.input.resampling == Resampling::nearest ? "nearest" : "bilinear"},
                            {"device", device.substr(0, device.find(' '))}};
        if (o_.precision != "f32") settings.emplace_back("precision", o_.precision);
        if (o_.exact) settings.emplace_back("exact", "yes");
        if (!o_.source.architecture.empty()) settings.emplace_back("arch", o_.source.architecture);
        if (!o_.labels.empty()) settings.emplace_back("labels", known(o_.labels));
        if (!o_.source.config.empty()) settings.emplace_back("config", known(o_.source.config));
        for (const auto& [layer, formula] : o_.source.lambdas) settings.emplace_back("lambda " + layer, formula);
        for (const std::string& input : o_.inputs)
            settings.emplace_back("input " + input.substr(0, input.find('=')), known(input.substr(input.find('=') + 1)));
        if (!o_.question.empty()) settings.emplace_back("question", o_.question + " by " + known(o_.vocabulary));
        return settings;
    }

    // ---- rating

    // Batches are the same whatever was done before, so that every number is, too.
    void rate_all(PhotoRecords& file) {
        const std::size_t most = ready_.input.fixed() ? 8 : 1;  // photos of their own sizes cannot share a tensor
        if (file.size() > 0) std::fprintf(stderr, "limn: %zu photos are in %s/photos.jsonl already\n", file.size(), o_.out.c_str());
        std::map<std::string, std::string> states;  // before anything is read: what changes in the meantime is seen next time
        for (const Entry& e : entries_)
            states[e.name] = state_of({fs::path(o_.folder) / e.name, annotations_.mask_file(e.name), annotations_.box_file(e.name)});
        const auto is_done = [&](const Entry& e) { return file.holds(e.name, states[e.name]); };
        const auto changed = std::ranges::count_if(entries_, [&](const Entry& e) { return file.holds(e.name) && !is_done(e); });
        if (changed > 0) std::fprintf(stderr, "limn: %zu of them have changed, or their annotations: rated again\n", std::size_t(changed));
        ProgressBar bar(entries_.size(), "evaluating", stderr);
        for (std::size_t first = 0; first < entries_.size(); first += most) {
            const std::span<const Entry> batch(entries_.data() + first, std::min(most, entries_.size() - first));
            if (std::ranges::all_of(batch, is_done)) continue;
            std::size_t done = first;
            rater_->rate(batch, [&](PhotoRecord record) {
                record.files = states[record.photo];
                if (!file.holds(record.photo, record.files)) file.append(record);
                bar.update(++done);
            });
        }
        bar.finish();
    }

    // ---- results

    void finish(const PhotoRecords& file, const NamedTexts& settings) {
        std::vector<PhotoRecord> records = file.read();
        std::erase_if(records, [&](const PhotoRecord& r) {  // of photos that are not asked for
            return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == r.photo; });
        });
        const Table table = table_of(records, rating_.metrics, {1000, 0.95, o_.seed});
        LIMN_CHECK(table.photos > 0, "none of {} photos could be rated: {}", entries_.size(), table.left_out.at(0));
        const fs::path out = o_.out;
        write_file(out / "results.json", json_text(table, settings));
        write_file(out / "results.csv", csv_text(table));
        const Metric* ranked_by = ranking_metric(rating_.metrics);
        write_file(out / "report.html", html_page(fmt::format("{} on {}", ready_.loaded.model.name, o_.folder), table, settings, ranked_by,
                                                  ranked_by ? exhibitions(records, *ranked_by) : std::vector<Exhibition>{}));
        if (o_.json) {
            fmt::print("{}", json_text(table, settings));
            return;
        }
        fmt::print("{} photos, model {}; 95 % intervals over photos; (+) higher is better, (-) lower; * the best method\n\n{}\n",
                   table.photos, ready_.loaded.model.name, terminal_text(table, 120));
        if (!table.left_out.empty()) fmt::print("photos left out: {} (results.json says why)\n", table.left_out.size());
        if (table.without_place > 0 && (!o_.boxes.empty() || !o_.masks.empty()))
            fmt::print("photos of which nobody says where the object is: {}\n", table.without_place);
        fmt::print("wrote {}: report.html, results.json, results.csv, photos.jsonl\n", out.string());
    }

    std::vector<Exhibition> exhibitions(const std::vector<PhotoRecord>& records, const Metric& metric) {
        std::vector<Exhibition> list;
        for (std::size_t m = 0; m < request_.methods.size(); m++) {
            const std::string& method = request_.methods[m].name;
            const Extremes extremes = extremes_of(records, method, metric, std::size_t(o_.show));
            const auto exhibits = [&](const auto& photos) {
                std::vector<Exhibit> found;
                for (const auto& [photo, value] : photos)
                    found.push_back({fmt::format("{}: {}", photo, number_text(metric, value)), picture_of(photo, m)});
                return found;
            };
            list.push_back({method, exhibits(extremes.best), exhibits(extremes.worst)});
        }
        return list;
    }

    // The map of one method over its photo, with the true boxes.
    Image picture_of(const std::string& name, std::size_t method) {
        const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
        Request request = request_;
        request.methods = {request_.methods[method]};
        if (o_.target == "label") request.target = entry->label->target(head_.binary());
        const Photo photo = load_photo((fs::path(o_.folder) / name).string(), ready_);
        Explaining explain(o_, ready_, request, 1);
        const Tensor raw = explain(photo.input)[0].maps.at(0).raw;
        Image picture = overlay(photo.image, heat_of(raw, photo.image.height, photo.image.width), {});
        const Truth truth = annotations_.of(name, photo.image.height, photo.image.width);
        for (const Rectangle& box : truth.boxes) draw_box(picture, box.top, box.left, box.bottom + 1, box.right + 1, {255, 255, 255});
        const double shrink = std::min(1.0, 320.0 / double(std::max(picture.height, picture.width)));
        const auto side = [&](Index v) { return std::max<Index>(2, Index(double(v) * shrink)); };
        return resize(picture, side(picture.height), side(picture.width), Resampling::bilinear);
    }

    const EvaluateOptions& o_;
    Annotations annotations_;
    Ready ready_;
    Head head_;
    std::vector<Entry> entries_;
    RatingSettings rating_;
    Request request_;
    std::optional<Rater> rater_;
};

}  // namespace

void add_evaluate(CLI::App& app) {
    CLI::App* command = app.add_subcommand("evaluate", "How good are the maps? Localisation and faithfulness over a folder of photos");
    auto o = std::make_shared<EvaluateOptions>();
    command->add_option("folder", o->folder, "photos, in class folders or not")->required();
    command->add_option("--method", o->methods, "methods of `limn explain`, or all")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_option("--layer", o->layer, "auto (what CAM reads, else the last map before the head) or a name")->capture_default_str();
    command->add_option("--target", o->target, "what is explained: auto (the winning class), label (the true one), or as in `limn explain`")
        ->capture_default_str();
    command->add_option("--score", o->score, "explain the logit or the output (after softmax or sigmoid)")->capture_default_str();
    command->add_option("--boxes", o->boxes, "true boxes: a folder of Pascal VOC files, or a table image,label,xmin,ymin,xmax,ymax");
    command->add_option("--masks", o->masks, "true masks: a folder of pictures");
    command->add_option("--mask-value", o->mask_value, "what an object's pixels are there (auto: 1, or all but 0 where there is no 1)")
        ->capture_default_str();
    command->add_option("--truth", o->truth, "true classes: a table image,label; a label is a class name, an index or a range (281-285)");
    command->add_option("--metrics", o->metrics, "auto (what the truth allows, without the slow ones), all, or names (see below)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_option("--steps", o->steps, "pixels a step of insertion and deletion (0: as many as the input is wide)")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command->add_option("--thresholds", o->thresholds, "of the sweeps of maxboxacc and pxap")
        ->capture_default_str()
        ->check(CLI::Range(1, 10000));
    command->add_option("--noises", o->noises, "of sensitivity")->capture_default_str()->check(CLI::Range(1, 10000));
    command->add_option("--samples", o->samples, "trials of rise, smoothgrad and integrated-gradients (default: as `limn explain`)")
        ->check(CLI::Range(1, 1000000));
    command->add_option("--limit", o->limit, "only so many photos, spread over the folder (0: all)")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command->add_option("--seed", o->seed, "of noise, random maps and intervals")->capture_default_str();
    command->add_option("--show", o->show, "best and worst photos of each method in the report")
        ->capture_default_str()
        ->check(CLI::Range(0, 100));
    command->add_option("--out", o->out, "folder for the results; a run that was stopped goes on there")->capture_default_str();
    add_image_options(*command, *o);
    std::string list = "Metrics:\n";
    for (const Metric& m : metrics()) list += fmt::format("  {:<13} {}{}\n", m.id, m.what, m.expensive ? " [slow]" : "");
    command->footer(list +
                    "Examples:\n"
                    "  limn evaluate photos                                           drop and increase: no truth is needed\n"
                    "  limn evaluate photos --boxes annotations --method all          where the objects are: VOC files\n"
                    "  limn evaluate photos --masks masks --metrics all --limit 50    the slow ones, too\n"
                    "  limn evaluate val --truth labels.csv --target label --model vgg16 --boxes boxes.csv\n"
                    "Maps that know nothing of the network (a box in the middle, noise, edges) are rated beside the methods.");
    command->callback([o] { EvaluateCommand(*o).run(); });
}

}  // namespace limn::cli
