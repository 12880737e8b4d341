// limn explain of networks that take a sentence beside the photo: captions word by word, questions, arrays; and what is refused.
#include "cam/explain.h"
#include "tests/cam/networks.h"
#include "tests/cli/command.h"
#include "tests/support_models.h"
#include "view/image.h"
#include "weights/keras_writer.h"
#include "weights/npy.h"

using namespace limn;

namespace {

const std::vector<std::string> vocabulary{"<pad>", "<start>", "a", "cat", "dog", "naps"};

// Of the photo (average colours of a convolution) and the words: at each of 4 steps, or in all, one of 6 words.
Network captioner(bool at_each_step) {
    Network net({1, 8, 8, 3});
    net.model.add_input("words", {-1, 4});
    net.add("Conv2D", "conv", same_conv(5, 3, "relu"), {}, {"image"}).add("GlobalAveragePooling2D", "seen");
    const Index steps = at_each_step ? 4 : 1;
    net.add("Dense", "said", {{"units", double(5 * steps)}}, {}, {"words"});
    if (at_each_step) {
        net.add("Reshape", "steps", {{"target_shape", List{4.0, 5.0}}})
            .add("Reshape", "seen_once", {{"target_shape", List{1.0, 5.0}}}, {}, {"seen"});
        net.add("Multiply", "both", {}, {}, {"steps", "seen_once"});
    } else {
        net.add("Multiply", "both", {}, {}, {"said", "seen"});
    }
    return net.add("Dense", "next_word", {{"units", 6.0}, {"activation", std::string("softmax")}});
}

struct Desk : TemporaryFolder {
    std::string model = (path / "captioner.h5").string(), photo = (path / "photo.png").string(), words = (path / "words.txt").string(),
                out = (path / "out").string();
    explicit Desk(bool at_each_step = true) {
        save_model(model, captioner(at_each_step).model, {.labels = {}, .preprocess = "unit", .size = "", .resize = ""});
        Image image{8, 8, std::vector<std::uint8_t>(192)};
        for (std::size_t i = 0; i < image.rgb.size(); i++) image.rgb[i] = std::uint8_t(i * 31 + i / 7);
        write_png(photo, image);
        write_vocabulary(vocabulary);
    }
    void write_vocabulary(const std::vector<std::string>& list) const {
        std::string text;
        for (const std::string& word : list) text += word + "\n";
        write_file(words, text);
    }
    std::string tokens(std::vector<float> numbers, const std::string& name = "tokens.npy") const {
        const Index count = Index(numbers.size());
        write_npy(path / name, tensor({1, count}, std::move(numbers)));
        return (path / name).string();
    }
    CommandResult limn(std::string command, std::vector<std::string> more) const {
        std::vector<std::string> arguments{std::move(command), photo, "--model", model};
        if (arguments[0] == "explain") arguments.insert(arguments.end(), {"--out", out});
        arguments.insert(arguments.end(), more.begin(), more.end());
        return limn_command(arguments, *this);
    }
    CommandResult explain(std::vector<std::string> more) const { return limn("explain", std::move(more)); }
    void check_refused(const std::vector<std::string>& options, const std::string& expected) const {
        const CommandResult o = explain(options);
        CAPTURE(o.err);
        CHECK(o.status == 2);
        const std::size_t last = o.err.rfind("limn: ");
        REQUIRE(last != std::string::npos);
        CHECK(o.err.substr(last).find(expected) != std::string::npos);
        CHECK(std::count(o.err.begin() + std::ptrdiff_t(last), o.err.end(), '\n') == 1);
    }
};

}  // namespace

TEST_CASE("a caption is explained word by word: log p of each word after those before it, a strip, and files for each") {
    for (const bool at_each_step : {true, false}) {
        CAPTURE(at_each_step);
        const Desk desk(at_each_step);
        const CommandResult o = desk.explain({"--words", "a cat naps", "--vocabulary", desk.words, "--save", "png,npy,json", "--json"});
        CAPTURE(o.err);
        REQUIRE(o.status == 0);
        const Json image = Json::parse(o.out)["images"][0];
        REQUIRE(image["maps"].size() == 3);
        REQUIRE(image["words"].size() == 3);
        const std::vector<std::string> said{"a", "cat", "naps"};
        const std::vector<std::vector<float>> before{{1, 0, 0, 0}, {1, 2, 0, 0}, {1, 2, 3, 0}};
        double sum_of_others = 0;
        for (std::size_t i = 0; i < 3; i++) {
            const std::string label = fmt::format("{:02}-{}", i + 1, said[i]);
            CHECK(image["words"][i]["word"] == said[i]);
            CHECK(image["maps"][i]["target"]["label"] == label);
            CHECK(std::filesystem::exists(desk / "out" / ("photo.grad-cam.conv." + label + ".png")));
            const Tensor raw = read_npy(desk / "out" / ("photo.grad-cam.conv." + label + ".npy"));
            // the same by an array of the words before it
            const Index word = Index(std::ranges::find(vocabulary, said[i]) - vocabulary.begin());
            const std::string target = at_each_step ? fmt::format("log(output[{},{}])", i, word) : fmt::format("log({})", word);
            const std::string tokens = desk.tokens(at_each_step ? std::vector<float>{1, 2, 3, 5} : before[i]);
            const CommandResult single = desk.explain({"--input", "words=" + tokens, "--target", target, "--save", "npy", "--json"});
            CAPTURE(single.err);
            REQUIRE(single.status == 0);
            const Json map = Json::parse(single.out)["images"][0]["maps"][0];
            CHECK(same_bits(read_npy(map["files"][0].get<std::string>()), raw));
            CHECK(double(image["words"][i]["probability"]) > 0);
            CHECK(double(image["words"][i]["its_probability"]) >= double(image["words"][i]["probability"]));
            sum_of_others += double(image["words"][i]["probability"]);
        }
        CHECK(sum_of_others < 3);
        const Image strip = read_image(desk / "out" / "photo.grad-cam.conv.words.png");
        CHECK(strip.width == 8 + 4 * (128 + 8));  // the photo and three words in a row
        CHECK(strip.height == 8 + 128 + 12 + 8);
    }
}

TEST_CASE("a caption's probabilities are the network's") {
    const Desk desk;
    REQUIRE(desk.explain({"--words", "a dog", "--vocabulary", desk.words, "--save", "json"}).status == 0);
    const Json words = Json::parse(slurp(desk / "out" / "photo.json"))["words"];
    Image photo = read_image(desk.photo);
    Tensor x({1, 8, 8, 3});
    for (Index i = 0; i < x.size(); i++) x.data()[i] = float(photo.rgb[std::size_t(i)]) / 255;
    Tape tape(cpu_backend());
    const Network net = captioner(true);
    const Tensor p = net.model.forward(tape, {x, tensor({1, 4}, {1, 2, 4, 0})})[std::size_t(net.last())].value;
    CHECK(double(words[0]["probability"]) == doctest::Approx(p.at({0, 0, 2})).epsilon(1e-5));
    CHECK(double(words[1]["probability"]) == doctest::Approx(p.at({0, 1, 4})).epsilon(1e-5));
}

TEST_CASE("a question and an array of its words are the same; predict takes both; the answer is named by labels") {
    const Desk desk(false);
    write_file(desk / "answers.txt", "w0\nw1\nw2\nw3\nw4\nw5\n");
    const std::string labels = (desk / "answers.txt").string();
    const CommandResult a = desk.limn("predict", {"--question", "cat dog", "--vocabulary", desk.words, "--labels", labels, "--json"});
    const CommandResult b = desk.limn("predict", {"--input", "words=" + desk.tokens({3, 4, 0, 0}), "--labels", labels, "--json"});
    CAPTURE(a.err);
    REQUIRE(a.status == 0);
    CHECK(a.out == b.out);
    CHECK(desk.explain({"--question", "cat dog", "--vocabulary", desk.words, "--labels", labels, "--target", "w3"}).status == 0);
    CHECK(std::filesystem::exists(desk / "out" / "photo.grad-cam.conv.w3.png"));
    // without the batch's 1
    write_npy(desk / "row.npy", tensor({4}, {3, 4, 0, 0}));
    const CommandResult c = desk.limn("predict", {"--input", "words=" + (desk / "row.npy").string(), "--labels", labels, "--json"});
    CHECK(c.out == a.out);
    // and every method applies
    const CommandResult all =
        desk.explain({"--question", "cat", "--vocabulary", desk.words, "--method", "all", "--samples", "20", "--verify"});
    CAPTURE(all.err);
    CHECK(all.status == 0);
    CHECK(all.out.find("PASS occlusion") != std::string::npos);
}

TEST_CASE("where each step answers, predict tells each step's winner") {
    const Desk desk;
    const CommandResult o = desk.limn("predict", {"--input", "words=" + desk.tokens({1, 2, 0, 0}), "--labels", desk.words, "--json"});
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    CHECK(Json::parse(o.out)["images"][0]["predictions"].size() == 4);
}

TEST_CASE("what is missing, wrong or does not fit is said in one line") {
    const Desk desk;
    const std::string tokens = "words=" + desk.tokens({1, 2, 0, 0});
    const std::vector<std::string> with{"--vocabulary", desk.words};
    const auto words = [&](const std::string& sentence) {
        return std::vector<std::string>{"--words", sentence, "--vocabulary", desk.words};
    };
    desk.check_refused({}, "takes more than a photo: give words (?,4) with --input NAME=FILE.npy, or its words with --question");
    desk.check_refused({"--input", "word=x.npy"}, "--input word=x.npy: the model takes image (?,8,8,3), words (?,4)");
    desk.check_refused({"--input", "x.npy"}, "--input x.npy: should be NAME=FILE.npy");
    desk.check_refused({"--input", "words=" + desk.tokens({1, 2, 3}, "short.npy")},
                       "input 'words' of model 'model' takes (1,4), (1,3) was given");
    desk.check_refused({"--input", "words=" + (desk / "none.npy").string()}, "none.npy");
    desk.check_refused({"--input", tokens, "--input", tokens}, "each of them once");
    desk.check_refused({"--input", tokens}, "each step of the output has its own scores");  // --target auto
    desk.check_refused({"--input", tokens, "--question", "a", "--vocabulary", desk.words}, "the model takes no words");
    desk.check_refused({"--words", "a cat"}, "--words needs the numbers of its words: --vocabulary FILE");
    desk.check_refused(words(""), "--words: holds no words");
    desk.check_refused(words("  "), "--words: holds no words");
    desk.check_refused({"--question", "  ", "--vocabulary", desk.words}, "--question: holds no words");
    desk.check_refused(words("a catt"), "'catt' is no word of " + desk.words + "; the nearest are cat, ");
    desk.check_refused(words("a cat naps a cat"), "6 words, and the model takes 4");
    desk.check_refused({"--words", "a", "--question", "a", "--vocabulary", desk.words}, "one sentence at a time");
    desk.check_refused({"--words", "a", "--target", "3", "--vocabulary", desk.words}, "--words: each word is a target");
    CHECK(desk.explain(words("a cat naps a")).status == 0);  // as many as there are steps
    CHECK(desk.explain(words("a")).status == 0);

    desk.write_vocabulary({"<pad>", "<start>", "a", "cat", "dog", "naps", "barks"});
    desk.check_refused(words("a cat"), "holds 7 words, and the network knows 6");
    desk.write_vocabulary({"<pad>", "<start>", "a", "cat"});
    CHECK(desk.explain(words("a cat")).status == 0);  // smaller: the others have no names
    desk.write_vocabulary({"<pad>", "a", "cat"});
    desk.check_refused(words("a cat"), "has no word that captions start with: <start>, startseq");
    desk.write_vocabulary({});
    desk.check_refused(words("a cat"), "holds no words: one a line is wanted");
    std::filesystem::remove(desk.words);
    desk.check_refused(words("a cat"), "words.txt");

    // a model that takes only a photo
    write_model(desk / "tiny.h5", tiny_config().dump(), tiny_weights());
    for (const std::vector<std::string>& more : {words("a"), {"--input", tokens}}) {
        std::vector<std::string> options{"--model", (desk / "tiny.h5").string()};
        std::vector<std::string> arguments{"explain", desk.photo, "--out", desk.out};
        arguments.insert(arguments.end(), options.begin(), options.end());
        arguments.insert(arguments.end(), more.begin(), more.end());
        const CommandResult o = limn_command(arguments, desk);
        CHECK(o.status == 2);
        CHECK(o.err.find("image (?,16,16,3)") != std::string::npos);
    }
}
