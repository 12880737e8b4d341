// limn explain of the networks of tests/scenes, which real Keras trained: what a word, an answer or a decision is about is where its map
// peaks. Over a thousand scenes each: tests/scenes/pointing.py.
#include "tests/cli/command.h"
#include "tests/support_models.h"

using namespace limn;

namespace {

const std::filesystem::path scenes = std::filesystem::path(LIMN_PLACE(LIMN_GOLDENS_DIR)) / "../scenes";

Json truth_of(const std::string& scene) { return Json::parse(slurp(scenes / "samples" / (scene + ".json"))); }

std::vector<Json> maps_of(const std::string& scene, const std::string& model, const std::vector<std::string>& more) {
    const TemporaryFolder folder;
    std::vector<std::string> arguments{"explain", (scenes / "samples" / (scene + ".png")).string(),
                                       "--model", (scenes / "models" / (model + ".h5")).string(),
                                       "--layer", "places",
                                       "--save",  "json",
                                       "--out",   (folder / "out").string(),
                                       "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult o = limn_command(arguments, folder);
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    return Json::parse(o.out)["images"][0]["maps"];
}

std::string vocabulary(const std::string& name) { return (scenes / "samples" / (name + ".txt")).string(); }

// Is the middle of the map's largest cell inside the box (left, top, right, bottom)?
bool peaks_in(const Json& map, const Json& box) {
    const double cell = 64.0 / double(map["shape"][0]);
    const Json& peak = map["statistics"]["peak"];
    const double y = (double(peak[0]) + 0.5) * cell, x = (double(peak[1]) + 0.5) * cell;
    return double(map["statistics"]["max"]) > 0 && x >= box[0] && y >= box[1] && x <= box[2] && y <= box[3];
}

}  // namespace

TEST_CASE("the colours and shapes of a caption peak on their objects, but for two shapes") {
    for (const std::string scene : {"scene1", "scene2", "scene3", "scene4"}) {
        const Json truth = truth_of(scene);
        const std::string caption = truth["caption"];
        const std::vector<Json> maps = maps_of(scene, "captioner", {"--words", caption, "--vocabulary", vocabulary("captions")});
        REQUIRE(maps.size() + 1 == truth["objects"].size() * 4);  // a COLOUR SHAPE and a ...
        for (std::size_t i = 0; i < maps.size(); i++) {
            if (i % 4 != 1 && i % 4 != 2) continue;
            const std::string word = maps[i]["target"]["label"];
            CAPTURE(scene);
            CAPTURE(word);
            // the second of three crosses; a square that the network takes for a circle
            const bool misses = (scene == "scene1" && word == "07-cross") || (scene == "scene2" && word == "07-square");
            CHECK(peaks_in(maps[i], truth["objects"][i / 4]["box"]) != misses);
        }
    }
}

TEST_CASE("each answer peaks on the object that the question is about") {
    for (const std::string scene : {"scene1", "scene2", "scene3", "scene4"}) {
        const Json questions = truth_of(scene)["questions"];
        for (const auto& [question, truth] : questions.items()) {
            if (truth["box"].is_null()) continue;
            const std::string target = "log(" + truth["answer"].get<std::string>() + ")";
            const std::vector<Json> maps =
                maps_of(scene, "answers", {"--question", question, "--vocabulary", vocabulary("questions"), "--target", target});
            REQUIRE(maps.size() == 1);
            CAPTURE(scene);
            CAPTURE_PART(question);
            CHECK(peaks_in(maps[0], truth["box"]));
        }
    }
}

TEST_CASE("a decision peaks on the ball or on the paddle") {
    for (const std::string scene : {"game1", "game2", "game3"}) {
        const Json truth = truth_of(scene);
        std::string best = "left";
        for (const auto& [action, value] : truth["values"].items()) {
            if (value > truth["values"][best]) best = action;
        }
        std::string target = best;
        for (const auto& [action, value] : truth["values"].items()) {
            if (action != best) target += " - 0.5*" + action;
        }
        const std::vector<Json> maps = maps_of(scene, "player", {"--target", target});
        REQUIRE(maps.size() == 1);
        CAPTURE(scene);
        CAPTURE(target);
        CHECK((peaks_in(maps[0], truth["objects"][0]["box"]) || peaks_in(maps[0], truth["objects"][1]["box"])));
    }
}
