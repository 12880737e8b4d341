// Results do not depend on the number of threads, and threads do not trip over each other: this program also runs under
// ThreadSanitizer.
#include "autograd/gradcheck.h"
#include "cam/explain.h"
#include "engine/threads.h"
#include "layers/conv2d.h"
#include "layers/core.h"
#include "tests/support.h"
#include "tests/train/photos.h"
#include "train/initialise.h"
#include "train/loader.h"
#include "train/loss.h"
#include "train/step.h"
#include "weights/architectures/architectures.h"

using namespace limn;

TEST_CASE("results are the same bits for 1, 2 and 3 threads, and on 20 repeats") {
    const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 15, 13, 12, 15, 13, 40, 1};
    const Tensor x = random_tensor({2, 15, 13, 12}, 1), kernel = random_tensor({3, 3, 12, 40}, 2), w = random_tensor({1000, 33}, 3),
                 rows = random_tensor({2, 1000}, 4);
    const auto compute = [&](int threads) {
        set_thread_count(threads);
        Tensor y({2, 15, 13, 40}), dense({2, 33});
        cpu_backend().plan_conv2d(v, {kernel, {}, {}}, Direction::forward, Fused::relu)->run(x, y);
        cpu_backend().dense(rows, w, {}, Fused::none, dense);
        set_thread_count(0);
        return std::pair(y, dense);
    };
    const auto first = compute(1);
    for (int i = 0; i < 20; i++) {
        const auto again = compute(1 + i % 3);
        CHECK(same_bits(again.first, first.first));
        CHECK(same_bits(again.second, first.second));
    }
}

TEST_CASE("an exception in a block reaches the caller") {
    CHECK_THROWS_WITH_AS(parallel_for(64,
                                      [](Index i) {
                                          if (i == 13) fail("block {}", i);
                                      }),
                         "block 13", Error);
}

TEST_CASE("maps are the same bits for 1, 2 and 3 threads and on 20 repeats") {
    Model model;  // depthwise and other convolutions, pools, normalisation, a CAM head
    int x = model.add_input("image", {-1, 18, 17, 3});
    x = model.add("conv",
                  make_conv2d({"Conv2D", "conv", {{"filters", 6.0}, {"kernel_size", 3.0}, {"padding", "same"}, {"activation", "relu"}}}),
                  {x});
    x = model.add("pool", make_max_pooling2d({"MaxPooling2D", "pool", {}}), {x});
    x = model.add("norm", make_batch_normalization({"BatchNormalization", "norm", {}}), {x});
    x = model.add("depthwise", make_depthwise_conv2d({"DepthwiseConv2D", "depthwise", {{"kernel_size", 3.0}, {"padding", "same"}}}), {x});
    x = model.add("up", make_up_sampling2d({"UpSampling2D", "up", {{"interpolation", "bilinear"}}}), {x});
    x = model.add("gap", make_global_average_pooling({"GlobalAveragePooling2D", "gap", {}}), {x});
    x = model.add("scores", make_dense({"Dense", "scores", {{"units", 4.0}, {"activation", "softmax"}}}), {x});
    model.outputs = {x};
    initialise(model, 2);
    const Tensor images = random_tensor({3, 18, 17, 3}, 8);
    const Request request{{method_named("grad-cam"), method_named("cam"), method_named("hirescam")},
                          {model.find("conv"), model.find("depthwise")},
                          "top:2",
                          Score::logit,
                          {}};
    set_thread_count(1);
    const auto first = explain(cpu_backend(), model, images, request);
    for (int i = 0; i < 20; i++) {
        set_thread_count(1 + i % 3);
        const auto again = explain(cpu_backend(), model, images, request);
        for (std::size_t n = 0; n < 3; n++)
            for (std::size_t m = 0; m < first[n].maps.size(); m++) CHECK(same_bits(first[n].maps[m].raw, again[n].maps[m].raw));
    }
    set_thread_count(0);
}

TEST_CASE("loader threads and the steps of a training beside them give the same weights with any number of either") {
    const TemporaryFolder folder;
    write_photos(folder.path / "a", 12, 1, 100);
    write_photos(folder.path / "b", 12, 2, 180);
    const Dataset data = open_dataset(folder.path, {});
    const auto train = [&](int threads, int workers) {
        set_thread_count(threads);
        Model model;
        int x = model.add_input("photo", {-1, 12, 12, 3});
        for (const Config& config : {Config{"Conv2D", "conv", {{"filters", 8.0}, {"kernel_size", 3.0}}},
                                     Config{"BatchNormalization", "bn", {}}, Config{"MaxPooling2D", "pool", {{"pool_size", 2.0}}}})
            x = model.add(config.name, make_layer(config), {x});
        model.outputs = {x};
        add_head(model, "gap", 2, 0.2);
        initialise_for_training(model, 1);
        const Head head = find_head(model);
        Optimizer optimizer({.name = "adam"});
        const LoaderSettings settings{.input = {Preprocess::unit, 12, 12, Resampling::bilinear, 3},
                                      .augmentation = augmentation_named("strong"),
                                      .batch = 4,
                                      .seed = 1,
                                      .shuffle = true,
                                      .drop_rest = false,
                                      .workers = workers};
        Loader loader(data.train, settings, 1);
        Batch batch;
        while (loader.next(batch))
            train_step(cpu_backend(), model, head, optimizer, 0.01, batch.images, targets_of(head, batch.labels, 0), 3);
        set_thread_count(0);
        std::vector<Tensor> weights;
        for (const Weight* w : trainable_weights(model)) weights.push_back(w->value);
        return weights;
    };
    const std::vector<Tensor> first = train(1, 1), second = train(3, 3);
    REQUIRE(first.size() == second.size());
    for (std::size_t i = 0; i < first.size(); i++) CHECK(same_bits(first[i], second[i]));
}
