// Which device is taken, and what is said about it, with a driver that answers what the test wants (tests/cli/fake_driver.cpp).
#include "engine/cuda/cuda.h"
#include "tests/cli/command.h"
#include "tests/engine/backends.h"
#include "tests/support_models.h"
#include "weights/npy.h"

using namespace limn;

namespace {

struct Desk : TemporaryFolder {
    std::string model = (*this / "tiny.h5").string(), input = (*this / "x.npy").string();
    Desk() {
        write_model(model, tiny_config().dump(), tiny_weights());
        write_npy(input, random_tensor({1, 16, 16, 3}, 1));
    }
    // `limn run` with a fake driver that gives these answers
    CommandResult run(const std::string& answers, std::vector<std::string> more) const {
        std::vector<std::string> arguments{"run", model, "--input", input, "--out", (*this / "out").string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return limn_command(arguments, *this, [&] {
            const char* others = std::getenv("LD_LIBRARY_PATH");
            setenv("LD_LIBRARY_PATH", (LIMN_PLACE(LIMN_FAKE_DRIVER_DIR) + ":" + (others ? others : "")).c_str(), 1);
            setenv("FAKE_DRIVER", answers.c_str(), 1);
        });
    }
};

}  // namespace

TEST_CASE("a driver or GPU that will not do: --device cuda says why in one line, --device auto goes on with the cpu and says why") {
    if (!cuda::built_with_cuda()) {
        MESSAGE("skipped: built without CUDA");
        return;
    }
    const Desk desk;
    const std::pair<const char*, const char*> cases[] = {
        {"12020 0 1 9 0", "the NVIDIA driver is too old: it knows CUDA 12.2, this limn was built with CUDA "},
        {"13000 100 0 9 0", "the NVIDIA driver finds no GPU (is CUDA_VISIBLE_DEVICES set to hide it?)"},
        {"13000 0 0 9 0", "the NVIDIA driver finds no GPU"},
        {"13000 999 0 9 0", "the NVIDIA driver does not start (error 999): nvidia-smi may say why"},
        {"13000 0 1 6 0", "Fake GPU (compute capability 6.0) is older than this limn was built for (7.5, 8.0, "},
        {"13000 0 1 9 0", ""},  // all seems well, but it is no driver that NVIDIA's libraries can use
    };
    for (const auto& [answers, complaint] : cases) {
        CAPTURE_PART(answers);
        const CommandResult asked = desk.run(answers, {"--device", "cuda"});
        CHECK(asked.status == 2);
        CHECK(asked.err.find(complaint) != std::string::npos);
        CHECK(std::count(asked.err.begin(), asked.err.end(), '\n') == 1);
        CHECK_FALSE(std::filesystem::exists(desk / "out"));

        const CommandResult automatic = desk.run(answers, {});
        CHECK(automatic.status == 0);
        CHECK(automatic.err.find("limn: note: the cpu is used: ") == 0);
        CHECK(automatic.err.find(complaint) != std::string::npos);
        CHECK(std::count(automatic.err.begin(), automatic.err.end(), '\n') == 1);
        CHECK(std::filesystem::exists(desk / "out" / "output0.npy"));
        std::filesystem::remove_all(desk / "out");

        CHECK(desk.run(answers, {"--device", "cpu"}).err.empty());
        std::filesystem::remove_all(desk / "out");
    }
}

TEST_CASE("without a driver nobody is told that there is no GPU, unless they asked for one") {
    if (cuda::problem().empty() || cuda::worth_a_word()) {
        MESSAGE("skipped: this machine has a GPU or its driver");
        return;
    }
    const Desk desk;
    const std::vector<std::string> run{"run", desk.model, "--input", desk.input, "--out", (desk / "out").string()};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), run.begin(), run.end());
        return limn_command(more, desk);
    };
    CHECK(with({}).err.empty());
    CHECK(with({"--device", "auto", "--precision", "tf32"}).err.find("limn: note: the cpu is used: ") == 0);
    CHECK(with({"--device", "cuda"}).err == "limn: --device cuda: " + cuda::problem() + "; or use --device cpu\n");
    CHECK(with({"--device", "cpu", "--precision", "bf16"}).err ==
          "limn: --precision and --autotune are for a GPU (--device cuda); 'cpu' computes in f32\n");
    CHECK(with({"--precision", "f8"}).err == "limn: precision 'f8' is not known; f32, tf32, bf16 and fp16 are\n");
    CHECK(with({"--device", "cuda", "--exact"}).err.find("--exact is for --device cpu") != std::string::npos);
}

TEST_CASE("limn inspect --plan --device cuda --sm: what would run on a GPU that need not be there") {
    if (!cuda::built_with_cuda()) {
        MESSAGE("skipped: built without CUDA");
        return;
    }
    const Desk desk;
    const auto plan = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"inspect", desk.model, "--plan", "--device", "cuda"});
        return limn_command(more, desk);
    };
    for (const std::string sm : {"75", "80", "86", "89", "90", "100", "120"}) {
        CAPTURE(sm);
        const CommandResult result = plan({"--sm", sm, "--json"});
        REQUIRE(result.status == 0);
        const Json layers = Json::parse(result.out).at("layers");
        REQUIRE(layers.size() == 4);
        CHECK(layers[0].at("layer") == "conv");
        CHECK(layers[0].at("runs").get<std::string>().find("cuDNN eng") == 0);
        CHECK(layers[1].at("runs") == "own kernels");  // pooling
        CHECK(layers[3].at("runs") == "own kernels");  // softmax
        CHECK(layers[2].at("runs").get<std::string>().find("cuBLAS (1,6) x (6,3)") == 0);
    }
    const CommandResult table = plan({"--sm", "90", "--precision", "tf32"});
    CHECK(table.status == 0);
    CHECK(table.out.find("sm 90 (H100 or H200)") != std::string::npos);
    // Turing has no bf16: what cuDNN refuses, our own kernels compute
    const Json refused = Json::parse(plan({"--sm", "75", "--precision", "bf16", "--json"}).out).at("layers")[0];
    CHECK(refused.at("runs") == "own kernels, by definition");
    CHECK(refused.at("refused").get<std::string>().find("has no plan for forward") != std::string::npos);
    CHECK(plan({"--sm", "70"}).err == "limn: GPUs of sm 70 are not described here; these are: 75, 80, 86, 89, 90, 100, 120\n");
    CHECK(plan({"--sm", "90", "--precision", "f8"}).status == 2);
}
