// The logs, read back by small readers of the tests' own. What the real TensorBoard and wandb make of them: tests/loggers/run.
#include <sys/resource.h>

#include <csignal>

#include "engine/error.h"
#include "tests/support.h"
#include "tests/train/log_readers.h"
#include "train/tensorboard.h"
#include "train/wandb.h"

using namespace limn;

namespace {

constexpr std::int64_t start = 1750000000;

Clock clock_from(double seconds) {
    return [now = seconds]() mutable { return now += 1; };
}

Run run_from(int first_epoch) {
    Run run;
    run.name = "cats";
    run.config = {{"model", "vgg16"}, {"learning_rate", "0.001"}};
    run.command = "limn train photos";
    run.first_epoch = first_epoch;
    run.started = start + 1000 * first_epoch;
    return run;
}

std::vector<Picture> pictures(const std::vector<std::string>& captions) {
    std::vector<Picture> list;
    for (const std::string& caption : captions) {
        Image image{2, 3, std::vector<std::uint8_t>(18, static_cast<std::uint8_t>(list.size()))};
        list.push_back({caption, image});
    }
    return list;
}

void log_epoch(Callback& log, int epoch_number, std::vector<std::pair<std::string, double>> scalars,
               std::vector<std::pair<std::string, std::vector<Picture>>> lists = {}) {
    const Model model;
    Epoch epoch{.number = epoch_number, .model = model, .scalars = std::move(scalars), .pictures = std::move(lists)};
    log.on_epoch_end(epoch);
}

fs::path newest(const fs::path& folder) { return files_in(folder).back(); }

}  // namespace

TEST_CASE("checksums: the published check values") {
    CHECK(crc32c("123456789") == 0xe3069283);
    CHECK(crc32("123456789") == 0xcbf43926);
    CHECK(crc32("") == 0);
}

TEST_CASE("protobuf: the examples of its documentation, negative numbers, reals") {
    CHECK(Message().integer(1, 150).encoded() == "\x08\x96\x01");
    CHECK(Message().text(2, "testing").encoded() == "\x12\x07testing");
    CHECK(Message().message(3, Message().integer(1, 150)).encoded() == "\x1a\x03\x08\x96\x01");
    CHECK(Message().integer(1, -1).encoded() == "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    CHECK(Message().real(1, 1).encoded() == std::string("\x09\0\0\0\0\0\0\xf0\x3f", 9));
    CHECK(Message().integer(200, 0).encoded() == std::string("\xc0\x0c\0", 3));
}

TEST_CASE("texts become valid UTF-8: what is valid stays, each other byte is one U+FFFD") {
    const std::string mark = "\xef\xbf\xbd";
    for (const std::string good : {"", "cat/dog", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x88", "\x7f", "\xf4\x8f\xbf\xbf"})
        CHECK(valid_utf8(good) == good);
    CHECK(valid_utf8("a\xff z") == "a" + mark + " z");
    CHECK(valid_utf8("\x80") == mark);
    CHECK(valid_utf8("\xc3") == mark);                        // cut short
    CHECK(valid_utf8("\xe2\x82x") == mark + mark + "x");      // cut short by another
    CHECK(valid_utf8("\xc0\xaf") == mark + mark);             // longer than it need be
    CHECK(valid_utf8("\xed\xa0\x80") == mark + mark + mark);  // half of a pair of UTF-16
    CHECK(valid_utf8("\xf4\x90\x80\x80").size() == 4 * 3);    // beyond Unicode
    CHECK(valid_utf8("\xfe\xc3\xa9") == mark + "\xc3\xa9");
}

TEST_CASE("TensorBoard: Keras's folders, names and steps") {
    const TemporaryFolder folder;
    TensorBoard log(folder.path, clock_from(start));
    log.on_train_begin(run_from(1));
    for (int n = 1; n <= 2; n++)
        log_epoch(log, n, {{"loss", 0.5 / n}, {"accuracy", 0.7}, {"val_loss", 0.6 / n}, {"val_accuracy", NAN}, {"learning_rate", 1e-3}});

    const std::vector<Read> train = events(newest(folder / "train")), validation = events(newest(folder / "validation"));
    REQUIRE(train.size() == 4);  // the version, the configuration, two epochs
    REQUIRE(validation.size() == 3);
    CHECK(train[0].text(3) == "brain.Event:2");
    CHECK(validation[0].text(3) == "brain.Event:2");
    CHECK(values(train[1]).at("configuration").message(8).text(8) ==
          "|setting|value|\n|-|-|\n|model|`vgg16`|\n|learning_rate|`0.001`|\n|command|`limn train photos`|\n");
    for (int n = 1; n <= 2; n++) {
        const Read &t = train[std::size_t(n + 1)], &v = validation[std::size_t(n)];
        CHECK(t.integer(2) == n - 1);
        CHECK(v.integer(2) == n - 1);
        CHECK(values(t).size() == 3);
        CHECK(number(values(t).at("epoch_loss")) == 0.5f / float(n));
        CHECK(number(values(t).at("epoch_accuracy")) == 0.7f);
        CHECK(number(values(t).at("epoch_learning_rate")) == 1e-3f);
        CHECK(values(v).size() == 2);
        CHECK(number(values(v).at("epoch_loss")) == float(0.6 / n));
        CHECK(std::isnan(number(values(v).at("epoch_accuracy"))));
    }
}

TEST_CASE("TensorBoard: the pictures of a key are one value, their captions another; the plugin stands with every value") {
    const TemporaryFolder folder;
    TensorBoard log(folder.path, clock_from(start));
    log.on_train_begin(run_from(1));
    for (int n = 1; n <= 2; n++) log_epoch(log, n, {{"loss", 1}}, {{"cam", pictures({"a|b 0.1", "", "`x`\ny \xff"})}, {"gradcam", {}}});

    const std::vector<Read> validation = events(newest(folder / "validation"));
    for (int n = 1; n <= 2; n++) {
        const std::map<std::string, Read> found = values(validation[std::size_t(n)]);
        CHECK(found.size() == 2);  // none for the empty list
        const Read tensor = found.at("cam").message(8);
        CHECK(tensor.message(2).message(2).integer(1) == 5);
        const std::vector<std::string> strings = tensor.all(8);
        REQUIRE(strings.size() == 5);
        CHECK(strings[0] == "3");  // width, then height
        CHECK(strings[1] == "2");
        CHECK(strings[4].substr(0, 4) == "\x89PNG");
        CHECK(found.at("cam").message(9).message(1).text(1) == "images");
        CHECK(found.at("cam/captions").message(9).message(1).text(1) == "text");
        CHECK(found.at("cam/captions").message(8).text(8) == "1. `a|b 0.1`\n2. \n3. `'x' y \xef\xbf\xbd`\n");
        CHECK(values(events(newest(folder / "train"))[std::size_t(n + 1)]).at("epoch_loss").message(9).message(1).text(1) == "scalars");
    }
}

TEST_CASE("TensorBoard: a resumed run opens a new file with a later name and goes on with the steps") {
    const TemporaryFolder folder;
    TensorBoard first(folder.path, clock_from(start));
    first.on_train_begin(run_from(1));
    log_epoch(first, 1, {{"loss", 1}});
    const fs::path old = newest(folder / "train");
    const std::string before = content(old);

    TensorBoard second(folder.path, clock_from(start - 500));  // also where the clock was put back meanwhile
    second.on_train_begin(run_from(2));
    log_epoch(second, 2, {{"loss", 0.5}});
    CHECK(content(old) == before);
    const std::vector<fs::path> files = files_in(folder / "train");
    REQUIRE(files.size() == 2);
    CHECK(files[0] == old);
    const std::vector<Read> found = events(files[1]);
    CHECK(found[1].integer(2) == 1);
    CHECK(found[2].integer(2) == 1);
}

TEST_CASE("W&B: the records of a training, in order") {
    const TemporaryFolder folder;
    WandbOffline log(folder.path, "pets", "abc123", clock_from(start + 1000));
    Run run = run_from(1);
    run.config = {{"model", "vgg16"}, {"rate", "1e-3"}, {"augment", "true"}, {"seed", "007"}, {"odd", "a \xff \"b\""}, {"none", ""}};
    log.on_train_begin(run);
    log_epoch(log, 1, {{"loss", 0.5}, {"val_accuracy", 0.25}}, {{"images", pictures({"cat 0.9", "dog/\xff 0.1"})}, {"cam", {}}});
    log.on_train_end({.best_epoch = 1, .scalars = {{"best_val_accuracy", 0.25}}, .confusion = {}, .mistakes = {}, .exit_code = 130});

    const std::vector<fs::path> runs = wandb_runs(folder.path);
    REQUIRE(runs.size() == 1);
    CHECK(fs::read_symlink(folder / "wandb" / "latest-run") == runs[0].filename());
    CHECK(runs[0].filename().string().ends_with("-abc123"));
    CHECK(fs::exists(runs[0] / "run-abc123.wandb"));
    CHECK(log.hint() == "wandb sync " + runs[0].string());

    const std::vector<Read> all = wandb_records(runs[0]);
    std::vector<int> kinds;
    for (const Read& record : all) kinds.push_back(record.texts.begin()->first);
    CHECK(kinds == std::vector<int>{21, 17, 26, 6, 2, 3, 3, 13, 18});

    const Read start_record = all[1].message(17);
    CHECK(start_record.text(1) == "abc123");
    CHECK(start_record.text(3) == "pets");
    CHECK(start_record.text(8) == "cats");
    CHECK(start_record.message(17).integer(1) == start + 1000);
    CHECK(start_record.integer(24) == 0);
    const std::map<std::string, std::string> config = {
        {"model", "\"vgg16\""}, {"rate", "1e-3"}, {"augment", "true"}, {"seed", "\"007\""}, {"odd", "\"a \xef\xbf\xbd \\\"b\\\"\""},
        {"none", "\"\""}};
    CHECK(items(start_record.message(4)) == config);
    CHECK(all[2].message(26).text(6) == "limn");
    CHECK(all[2].message(26).text(5) == "train photos");

    const std::map<std::string, std::string> line = items(all[4].message(2));
    CHECK(line.at("loss") == "0.5");
    CHECK(line.at("epoch") == "1");
    CHECK(line.at("_step") == "0");
    CHECK(line.at("_timestamp") == "1750001001");
    CHECK(line.at("_runtime") == "1");
    CHECK(line.at("images._type") == "\"images/separated\"");
    CHECK(line.at("images.count") == "2");
    CHECK(line.at("images.width") == "3");
    CHECK(line.at("images.height") == "2");
    CHECK(line.at("images.captions") == "[\"cat 0.9\",\"dog/\xef\xbf\xbd 0.1\"]");
    CHECK(line.at("cam") == "[]");
    CHECK(all[4].message(2).message(2).integer(1) == 0);

    std::string names;
    for (const std::string& file : all[3].message(6).all(1)) {
        names += (names.empty() ? "[\"" : ",\"") + Read(file).text(1) + "\"";
        CHECK(read_image(runs[0] / "files" / Read(file).text(1)).width == 3);
    }
    CHECK(line.at("images.filenames") == names + "]");

    CHECK(items(all[6].message(3)).at("best_epoch") == "1");
    CHECK(all[7].message(13).text(3) == log.hint() + "\n");
    CHECK(all[8].message(18).integer(1) == 130);
}

TEST_CASE("W&B: the summary holds the best so far with every epoch; NaN is never the best") {
    const TemporaryFolder folder;
    WandbOffline log(folder.path, "pets", "", clock_from(start));
    log.on_train_begin(run_from(1));
    for (const auto& [n, accuracy] : std::map<int, double>{{1, NAN}, {2, 0.5}, {3, 0.25}, {4, INFINITY}})
        log_epoch(log, n, {{"val_accuracy", accuracy}, {"val_loss", -accuracy}});
    std::string best, latest, loss;
    for (const Read& summary : of_kind(wandb_records(wandb_runs(folder.path)[0]), 3)) {
        std::map<std::string, std::string> values_of = items(summary);
        best += values_of["best_val_accuracy"] + "@" + values_of["best_epoch"] + " ";
        latest += values_of["val_accuracy"] + " ";
        loss += values_of["val_loss"] + " ";
    }
    CHECK(best == "@ 0.5@2 0.5@2 Infinity@4 ");
    CHECK(latest == "NaN 0.5 0.25 Infinity ");
    CHECK(loss == "NaN -0.5 -0.25 -Infinity ");
}

TEST_CASE("W&B: records begin and end anywhere in a block") {
    // the records before the first epoch end `left` bytes before a border
    for (std::size_t left = 0; left < 10; left++) {
        CAPTURE(left);
        std::size_t padding = 33000, end = 0;
        for (int attempt = 0; attempt < 4; attempt++) {
            const TemporaryFolder folder;
            WandbOffline log(folder.path, "pets", "abc123", clock_from(start));
            Run run = run_from(1);
            run.config = {{"padding", std::string(padding, 'x')}};
            log.on_train_begin(run);
            const fs::path file = wandb_runs(folder.path)[0] / "run-abc123.wandb";
            end = fs::file_size(file);
            padding += 2 * 32768 - left - end;
            if (end != 2 * 32768 - left) continue;
            log_epoch(log, 1, {{"loss", 0.5}});
            log_epoch(log, 2, {{std::string(100000, 'n'), 0.25}});
            const std::vector<Read> lines = of_kind(records(file), 2);
            REQUIRE(lines.size() == 2);
            CHECK(items(lines[0]).at("loss") == "0.5");
            CHECK(items(lines[1]).at(std::string(100000, 'n')) == "0.25");
            break;
        }
        CHECK(end == 2 * 32768 - left);
    }
}

TEST_CASE("W&B: a resumed run keeps its id, wants to be continued and counts its steps from 0") {
    const TemporaryFolder folder;
    WandbOffline first(folder.path, "pets");
    first.on_train_begin(run_from(1));
    log_epoch(first, 1, {{"loss", 1}});
    WandbOffline second(folder.path, "pets");
    second.on_train_begin(run_from(4));
    log_epoch(second, 4, {{"loss", 0.5}});
    log_epoch(second, 5, {{"loss", 0.25}});

    const std::vector<fs::path> runs = wandb_runs(folder.path);
    REQUIRE(runs.size() == 2);
    const std::vector<Read> before = wandb_records(runs[0]), after = wandb_records(runs[1]);
    const std::string id = of_kind(before, 17)[0].text(1);
    CHECK(id.size() == 8);
    CHECK(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == id.npos);
    CHECK(of_kind(after, 17)[0].text(1) == id);
    CHECK(of_kind(before, 17)[0].integer(24) == 0);
    CHECK(of_kind(after, 17)[0].integer(24) == 1);
    const std::vector<Read> lines = of_kind(after, 2);
    CHECK(items(lines[0]).at("_step") == "0");
    CHECK(items(lines[1]).at("_step") == "1");
    CHECK(lines[1].message(2).integer(1) == 1);
    CHECK(items(lines[1]).at("epoch") == "5");
    CHECK(second.hint() == "wandb sync " + (folder / "wandb" / ("offline-run-*" + id + "*")).string());

    WandbOffline another(folder.path, "pets");  // not resumed: another run
    another.on_train_begin(run_from(1));
    CHECK(content(folder / "wandb" / "run-id") != id + "\n");
}

TEST_CASE("W&B: two runs of one id in one second have a folder each; a resumed one may be the first with a log") {
    const TemporaryFolder folder;
    for (int i = 0; i < 3; i++) WandbOffline(folder.path, "pets", "same").on_train_begin(run_from(1));
    const std::vector<fs::path> runs = wandb_runs(folder.path);
    REQUIRE(runs.size() == 3);
    CHECK(runs[2].filename().string().ends_with("-same-2"));
    CHECK(wandb_records(runs[2]).size() == 3);

    const TemporaryFolder empty;
    WandbOffline(empty.path, "pets").on_train_begin(run_from(3));
    CHECK(wandb_runs(empty.path).size() == 1);
}

TEST_CASE("W&B: steps must grow") {
    const TemporaryFolder folder;
    WandbOffline log(folder.path, "pets");
    log.on_train_begin(run_from(1));
    log_epoch(log, 2, {{"loss", 1}});
    CHECK_THROWS_AS(log_epoch(log, 2, {{"loss", 1}}), Error);
    CHECK_THROWS_AS(log_epoch(log, 1, {{"loss", 1}}), Error);
}

TEST_CASE("W&B: names that the server would refuse are Errors at once") {
    CHECK_THROWS_AS(WandbOffline(".", "cats/dogs"), Error);
    CHECK_THROWS_AS(WandbOffline(".", std::string(129, 'x')), Error);
    CHECK_THROWS_AS(WandbOffline(".", "pets", "a/b"), Error);
    CHECK_THROWS_AS(WandbOffline(".", "pets", " "), Error);
    const TemporaryFolder folder;
    make_folder(folder / "wandb");
    write_file(folder / "wandb" / "run-id", std::string("../../x\n"));
    CHECK_THROWS_AS(WandbOffline(folder.path, "pets").on_train_begin(run_from(2)), Error);
}

TEST_CASE("same run, same clock: the same bytes") {
    const TemporaryFolder a, b;
    for (const fs::path& folder : {a.path, b.path}) {
        TensorBoard board(folder, clock_from(start));
        WandbOffline wandb(folder, "pets", "abc123", clock_from(start));
        for (Callback* log : {static_cast<Callback*>(&board), static_cast<Callback*>(&wandb)}) {
            log->on_train_begin(run_from(1));
            log_epoch(*log, 1, {{"loss", 0.5}}, {{"cam", pictures({"cat"})}});
        }
    }
    CHECK(content(newest(a / "train")) == content(newest(b / "train")));
    CHECK(content(newest(a / "validation")) == content(newest(b / "validation")));
    CHECK(content(wandb_runs(a.path)[0] / "run-abc123.wandb") == content(wandb_runs(b.path)[0] / "run-abc123.wandb"));
}

TEST_CASE("a folder that cannot be written is an Error that names it") {
    const TemporaryFolder folder;
    write_file(folder / "file", std::string("in the way"));
    const auto message = [](Callback&& log) -> std::string {
        try {
            log.on_train_begin(run_from(1));
        } catch (const Error& error) {
            return error.what();
        }
        return "no Error";
    };
    CHECK(message(TensorBoard(folder / "file")).find((folder / "file").string()) == 0);
    CHECK(message(WandbOffline(folder / "file", "pets")).find((folder / "file").string()) == 0);
}

TEST_CASE("a disk that becomes full: an Error, and the file ends with the last whole record") {
    const TemporaryFolder folder;
    RecordFile file(folder / "log");
    file.append("whole");
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    const rlimit eight_bytes{8, limit.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // otherwise the kernel ends the program
    setrlimit(RLIMIT_FSIZE, &eight_bytes);
    std::string message;
    try {
        file.append("a record too long");
    } catch (const Error& error) {
        message = error.what();
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, handler);
    CHECK(message.find((folder / "log").string() + ": cannot be written: ") == 0);
    CHECK(content(folder / "log") == "whole");
    CHECK(file.size() == 5);
    file.append(" again");
    CHECK(content(folder / "log") == "whole again");
}

TEST_CASE("what to type") {
    CHECK(TensorBoard("runs/a").hint() == "tensorboard --logdir runs/a --samples_per_plugin images=1000");
    CHECK(WandbOffline("runs/a", "pets").hint() == "wandb sync runs/a/wandb/offline-run-*");
}
