// What the cuda backend does around its kernels, on the machine that the host plays: tensors there and here, its memory, 16-bit numbers,
// convolutions where cuDNN has a plan and where it has none, recordings.
#include "autograd/gradcheck.h"
#include "engine/parcel.h"
#include "engine/repeated.h"
#include "tests/engine/backends.h"
#include "tests/support.h"

using namespace limn;

TEST_CASE("a tensor on a device: its numbers can be moved, not looked at") {
    const Tensor here = random_tensor({2, 3}, 1);
    const Tensor there = here.on(&host_device());
    CHECK(there.device() == &host_device());
    CHECK(there.on(&host_device()).id() == there.id());
    CHECK(here.host().id() == here.id());
    CHECK(same_bits(there.host(), here));
    CHECK_THROWS_WITH_AS(there.data(), "the numbers of a tensor (2,3) lie on a GPU played by the host: host() brings them here", Error);
    CHECK_THROWS_AS(there.at({0, 0}), Error);
    CHECK(there.like().device() == &host_device());
    CHECK(there.clone().id() != there.id());
    CHECK(same_bits(there.clone().host(), here));
    CHECK(same_bits(there.rows(1, 1).host(), here.rows(1, 1)));
    CHECK(same_bits(there.reshaped({6}).host(), here.reshaped({6})));
    CHECK(there.zeros_like({4}).host().at_flat(3) == 0);
    CHECK(there.to(DType::f64).device() == &host_device());
    CHECK(Tensor().on(&host_device()).empty());
    Tensor other({3, 2});
    other.assign(there);
    CHECK(same_bits(other.reshaped({2, 3}), here));
    CHECK_THROWS_AS(other.assign(Tensor({7})), Error);
    CHECK_THROWS_AS(other.assign(Tensor({3, 2}, DType::f64)), Error);
}

TEST_CASE("a part of a tensor's bytes as another tensor") {
    Tensor bytes({16}, DType::u8);
    const float numbers[] = {1.5f, -2};
    std::memcpy(bytes.data<std::uint8_t>() + 4, numbers, 8);
    const Tensor part = bytes.part(4, {2}, DType::f32);
    CHECK(part.at_flat(0) == 1.5);
    CHECK(part.at_flat(1) == -2);
    CHECK_THROWS_AS(bytes.part(12, {2}, DType::f32), Error);
    CHECK_THROWS_AS(bytes.part(2, {1}, DType::f32), Error);
}

TEST_CASE("verbs on tensors of the host give the same as on the device, and as on both") {
    const Backend& gpu = played_gpu();
    const Tensor a = random_tensor({3, 5}, 1), b = random_tensor({5}, 2);
    Tensor host({3, 5}), mixed({3, 5});
    gpu.binary(Binary::multiply, a, b, host);
    Tensor device = a.on(gpu.device()).like();
    gpu.binary(Binary::multiply, a.on(gpu.device()), b.on(gpu.device()), device);
    gpu.binary(Binary::multiply, a, b.on(gpu.device()), mixed);
    CHECK(same_bits(host, device.host()));
    CHECK(same_bits(host, mixed));
    host_device().copies_in = 0;
    gpu.binary(Binary::multiply, device, Tensor::full({1}, 3), device);  // a single number travels with the kernel
    CHECK(host_device().copies_in == 0);
}

TEST_CASE("a pool hands on what was given back, of about the same size, and nothing twice") {
    int fresh = 0, freed = 0;
    std::size_t limit = std::size_t(1) << 40, used = 0;
    std::map<void*, std::size_t> sizes;
    const auto pool = std::make_shared<cuda::Pool>(cuda::Pool::Source{[&](std::size_t n) -> void* {
                                                                          if (used + n > limit) return nullptr;
                                                                          fresh++, used += n;
                                                                          void* p = std::malloc(1);
                                                                          sizes[p] = n;
                                                                          return p;
                                                                      },
                                                                      [&](void* p) {
                                                                          freed++, used -= sizes[p];
                                                                          std::free(p);
                                                                      }});
    auto a = pool->allocate(1000), b = pool->allocate(1000);
    CHECK(a != b);
    CHECK(fresh == 2);
    const void* first = a.get();
    CHECK(pool->owns(first));
    a = nullptr;
    CHECK(pool->owns(first));  // still its own
    auto c = pool->allocate(1020);
    CHECK(c.get() == first);
    CHECK(fresh == 2);
    // from a megabyte on, sizes that differ little share
    pool->allocate(10'000'000);
    pool->allocate(10'100'000);
    CHECK(fresh == 3);
    pool->release();
    CHECK(freed == 1);
    // where memory is short, giving back what is kept may help
    limit = used + 6000;
    pool->allocate(4096);
    CHECK(pool->allocate(5120) == nullptr);
    pool->release();
    CHECK(freed == 2);
    const auto d = pool->allocate(5120);
    CHECK(d != nullptr);
    CHECK(pool->allocate(5120) == nullptr);
    CHECK_FALSE(pool->owns(&limit));
}

TEST_CASE("a pool does not keep blocks of ever more sizes") {
    std::size_t used = 0, most = 0;
    std::map<void*, std::size_t> sizes;
    const auto pool = std::make_shared<cuda::Pool>(cuda::Pool::Source{[&](std::size_t n) {
                                                                          void* p = std::malloc(1);
                                                                          sizes[p] = n, used += n, most = std::max(most, used);
                                                                          return p;
                                                                      },
                                                                      [&](void* p) {
                                                                          used -= sizes[p];
                                                                          std::free(p);
                                                                      }},
                                                   std::size_t(10'000'000));
    for (std::size_t i = 1; i <= 200; i++) pool->allocate(i * 100'000);
    CHECK(most <= 10'000'000 + 2 * 20'000'000);
    CHECK(used > 0);
}

TEST_CASE("a pool lives as long as its blocks") {
    int freed = 0;
    auto pool = std::make_shared<cuda::Pool>(
        cuda::Pool::Source{[](std::size_t) { return std::malloc(1); }, [&](void* p) { freed++, std::free(p); }});
    auto block = pool->allocate(1);
    pool = nullptr;
    CHECK(freed == 0);
    block = nullptr;
    CHECK(freed == 1);
}

TEST_CASE("16-bit numbers: rounded to the nearest, halves to even; infinities, NaN, the smallest") {
    using cuda::Bf16, cuda::Fp16;
    const auto through16 = [](float x) { return Fp16::widen(Fp16::narrow(x)); };
    const auto through_b = [](float x) { return Bf16::widen(Bf16::narrow(x)); };
    CHECK(Fp16::narrow(1) == 0x3c00);
    CHECK(Fp16::narrow(-2) == 0xc000);
    CHECK(Fp16::narrow(65504) == 0x7bff);
    CHECK(Fp16::narrow(65519.996f) == 0x7bff);
    CHECK(Fp16::narrow(65520) == 0x7c00);
    CHECK(Fp16::narrow(INFINITY) == 0x7c00);
    CHECK(Fp16::narrow(-INFINITY) == 0xfc00);
    CHECK(Fp16::narrow(0x1p-24f) == 1);
    CHECK(Fp16::narrow(0x1p-25f) == 0);  // half of the smallest: to even
    CHECK(Fp16::narrow(0x1.8p-25f) == 1);
    CHECK(Fp16::narrow(0x1p-14f) == 0x0400);      // the smallest that is not subnormal
    CHECK(Fp16::narrow(1 + 0x1p-11f) == 0x3c00);  // halfway: to even
    CHECK(Fp16::narrow(1 + 0x1.8p-10f) == 0x3c02);
    CHECK(Fp16::narrow(-0.0f) == 0x8000);
    CHECK(std::isnan(through16(NAN)));
    CHECK(std::isnan(through_b(NAN)));
    CHECK(Bf16::narrow(1) == 0x3f80);
    CHECK(Bf16::narrow(1 + 0x1p-8f) == 0x3f80);  // halfway: to even
    CHECK(Bf16::narrow(1 + 0x1.8p-7f) == 0x3f82);
    CHECK(Bf16::narrow(3.4e38f) == 0x7f80);  // above the largest: infinite
    CHECK(Bf16::narrow(-INFINITY) == 0xff80);
    for (std::uint32_t half = 0; half < 0x10000; half++) {  // every 16-bit number stays itself
        const float f = Fp16::widen(std::uint16_t(half)), b = Bf16::widen(std::uint16_t(half));
        if (!std::isnan(f)) CHECK_MESSAGE(Fp16::narrow(f) == half, half);
        if (!std::isnan(b)) CHECK_MESSAGE(Bf16::narrow(b) == half, half);
    }
    const Tensor x = random_tensor({1000}, 1, -300, 300);
    for (float v : x.values()) {
        CHECK(std::abs(through16(v) - v) <= std::abs(v) * 0x1p-11f);
        CHECK(std::abs(through_b(v) - v) <= std::abs(v) * 0x1p-8f);
    }
}

TEST_CASE("precisions: what each costs a convolution, forward and toward the input; a dense layer") {
    const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 12, 11, 32, 12, 11, 24};
    const Tensor kernel = random_tensor({3, 3, 32, 24}, 1), bias = random_tensor({24}, 2), x = random_tensor({2, 12, 11, 32}, 3),
                 dy = random_tensor({2, 12, 11, 24}, 4), rows = random_tensor({3, 200}, 5), matrix = random_tensor({200, 40}, 6);
    Tensor expected({2, 12, 11, 24}), expected_dx(x.shape()), expected_dense({3, 40});
    reference_backend().plan_conv2d(v, {kernel, bias, {}}, Direction::forward, Fused::relu)->run(x, expected);
    reference_backend().plan_conv2d(v, {kernel, {}, {}}, Direction::grad_input, Fused::none)->run(dy, expected_dx);
    reference_backend().dense(rows, matrix, {}, Fused::none, expected_dense);
    using cuda::Precision;
    std::vector<std::unique_ptr<HostBackend>> played;
    for (const auto& [precision, unit] :
         {std::pair(Precision::f32, 0x1p-24), {Precision::tf32, 0x1p-11}, {Precision::bf16, 0x1p-8}, {Precision::fp16, 0x1p-11}}) {
        played.push_back(std::make_unique<HostBackend>(precision));
        std::vector<const Backend*> list{played.back().get()};
        if (cuda::problem().empty()) list.push_back(&cuda::backend({precision, false}));
        for (const Backend* backend : list) {
            CAPTURE(backend->name());
            Tensor y(expected.shape()), dx(x.shape()), dense(expected_dense.shape());
            backend->plan_conv2d(v, {kernel, bias, {}}, Direction::forward, Fused::relu)->run(x, y);
            backend->plan_conv2d(v, {kernel, {}, {}}, Direction::grad_input, Fused::none)->run(dy, dx);
            backend->dense(rows, matrix, {}, Fused::none, dense);
            const double errors[] = {relative_error(y, expected), relative_error(dx, expected_dx), relative_error(dense, expected_dense)};
            MESSAGE("precision ", std::string(name_of(precision)), " on ", backend->name(), ": relative error ", errors[0], " forward, ",
                    errors[1], " toward the input, ", errors[2], " dense");
            if (precision == Precision::f32) {
                for (double error : errors) CHECK(error <= rounding(9 * 32));
                continue;
            }
            for (double error : errors) CHECK(error <= 2 * unit);
            CHECK(errors[0] > unit / 64);  // it did compute so
        }
    }
}

TEST_CASE("a convolution without a plan of cuDNN's is computed by definition, and says why") {
    const HostBackend backend(cuda::Precision::f32, "groups 4");
    const auto plan_of = [&](Index groups) {
        const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 6, 6, 8, 6, 6, 8, groups};
        auto plan = backend.plan_conv2d(v, {random_tensor({3, 3, 8 / groups, 8}, 1), {}, {}}, Direction::forward, Fused::none);
        Tensor y({1, 6, 6, 8});
        plan->run(random_tensor({1, 6, 6, 8}, 2), y);
        return plan;
    };
    CHECK(plan_of(1)->algorithm() == "a graph by its definition");
    CHECK(plan_of(1)->refusals.empty());
    const auto refused = plan_of(4);
    CHECK(refused->algorithm() == "direct");
    REQUIRE(refused->refusals.size() == 1);
    CHECK(refused->refusals[0].algorithm == "cudnn");
    CHECK(refused->refusals[0].reason.find("no plan for forward 1x6x6x8:8") == 0);
}

TEST_CASE("a layer that runs on one device and then on another has its kernel on each") {
    HostDevice other;
    const cuda::DeviceBackend<HostMachine> second(HostMachine{&other, cuda::Precision::f32, ""});
    const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 5, 5, 3, 5, 5, 7};
    const ConvWeights weights{random_tensor({3, 3, 3, 7}, 1), random_tensor({7}, 2), {}};
    const Tensor x = random_tensor({1, 5, 5, 3}, 3);
    Tensor first({1, 5, 5, 7}), again({1, 5, 5, 7});
    played_gpu().plan_conv2d(v, weights, Direction::forward, Fused::none)->run(x, first);
    second.plan_conv2d(v, weights, Direction::forward, Fused::none)->run(x, again);  // would be refused an address of the other's
    CHECK(same_bits(first, again));
}

TEST_CASE("alignment: what all addresses are multiples of") {
    const auto at = [](std::uintptr_t address) { return reinterpret_cast<const void*>(address); };
    CHECK(cuda::alignment_of({at(256), at(512), nullptr}) == 16);
    CHECK(cuda::alignment_of({at(256), at(264)}) == 8);
    CHECK(cuda::alignment_of({at(256), at(260)}) == 4);
}

TEST_CASE("a tensor that begins in the middle of another gives the same result") {
    const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 5, 5, 3, 5, 5, 7};
    const Tensor kernel = random_tensor({3, 3, 3, 7}, 1), two = random_tensor({2, 5, 5, 3}, 2).on(&host_device());
    const auto plan = played_gpu().plan_conv2d(v, {kernel, {}, {}}, Direction::forward, Fused::none);
    Tensor both({2, 5, 5, 7}), second({1, 5, 5, 7});
    plan->run(two, both);
    plan->run(two.rows(1, 1), second);  // 300 bytes from the beginning: aligned to 4 only
    CHECK(same_bits(both.rows(1, 1), second));
}

TEST_CASE("a parcel brings tensors of a device here in one copy") {
    const Tensor a = random_tensor({3, 5}, 1), b = random_tensor({7}, 2);
    Tensor bytes({3}, DType::u8);
    for (int i = 0; i < 3; i++) bytes.data<std::uint8_t>()[i] = std::uint8_t(i + 1);
    const Parcel parcel({a.on(&host_device()), bytes.on(&host_device()), b.on(&host_device())});
    host_device().copies_out = 0;
    const std::vector<Tensor> opened = parcel.open();
    CHECK(host_device().copies_out == 1);
    CHECK(same_bits(opened[0], a));
    CHECK(opened[1].data<std::uint8_t>()[2] == 3);
    CHECK(same_bits(opened[2], b));
    CHECK(Parcel({a, b}).open()[1].id() == b.id());  // of the host: nothing is moved
}

TEST_CASE("work that is repeated: planned, recorded, replayed, each time with the numbers of now") {
    const Backend& gpu = played_gpu();
    Tensor x = random_tensor({4, 4}, 1).on(gpu.device());
    Tensor y;
    int calls = 0;
    Repeated work(gpu, [&] {
        Tensor twice = x.like();
        gpu.binary(Binary::add, x, x, twice);
        y = x.like();
        gpu.binary(Binary::multiply, twice, Tensor::full({1}, 10), y);
        calls++;
    });
    for (int run = 1; run <= 5; run++) {
        const Tensor numbers = random_tensor({4, 4}, std::uint64_t(run));
        x.assign(numbers);
        work.run();
        CHECK(work.recorded() == (run >= 2));
        const Tensor result = y.host();
        for (Index i = 0; i < 16; i++) CHECK(result.data()[i] == doctest::Approx(20 * numbers.data()[i]));
    }
    CHECK(calls == 2);  // planned, recorded
}

TEST_CASE("a recording's memory is its own: what others allocate and free meanwhile does not disturb it") {
    const Backend& gpu = played_gpu();
    const Tensor x = random_tensor({64}, 1).on(gpu.device());
    Tensor y;
    Repeated work(gpu, [&] {
        Tensor a = x.like(), b = x.like();
        gpu.binary(Binary::add, x, Tensor::full({1}, 1), a);
        gpu.binary(Binary::add, a, Tensor::full({1}, 1), b);
        y = b;
    });
    work.run();
    work.run();
    const Tensor first = y.host();
    for (int i = 0; i < 10; i++) {
        std::vector<Tensor> others;
        for (int j = 0; j < 8; j++) {
            others.push_back(x.like());
            gpu.unary({.kind = Unary::exponential}, x, others.back());
        }
        work.run();
        CHECK(same_bits(y.host(), first));
        for (const Tensor& other : others) CHECK(other.host().at_flat(0) == doctest::Approx(std::exp(x.host().at_flat(0))));
    }
}

TEST_CASE("what a recording used stays alive, also after everybody else let go of it") {
    const Backend& gpu = played_gpu();
    Tensor y;
    std::unique_ptr<Recording> recording;
    {
        const ConvShape v{{3, 3, 1, 1, 1, 1, 1, 1}, 4, 4, 2, 4, 4, 3};
        const Tensor x = random_tensor({1, 4, 4, 2}, 1).on(gpu.device());
        const auto plan = gpu.plan_conv2d(v, {random_tensor({3, 3, 2, 3}, 2), random_tensor({3}, 3), {}}, Direction::forward, Fused::relu);
        const auto work = [&] {
            y = x.like({1, 4, 4, 3});
            plan->run(x, y);
        };
        work();
        recording = gpu.record(work);
    }
    std::vector<Tensor> others;  // would lie where the kernel and the image lay
    for (Index size : {1, 2, 3, 4, 5, 8, 12}) others.push_back(Tensor::full({size * 16}, 1e9).on(gpu.device()));
    recording->run();
    const Tensor once = y.host();
    others.clear();
    recording->run();
    CHECK(same_bits(y.host(), once));
    for (float v : once.values()) CHECK(v < 100);
}

TEST_CASE("a recording may not look at numbers, nor take some from the host") {
    const Backend& gpu = played_gpu();
    const Tensor x = random_tensor({8}, 1);
    const Tensor there = x.on(gpu.device());
    Tensor y = there.like();
    CHECK_THROWS_WITH_AS(gpu.record([&] { gpu.binary(Binary::add, there, x, y); }), doctest::Contains("once and for all into a recording"),
                         Error);
    CHECK_THROWS_WITH_AS(gpu.record([&] { (void)there.host(); }), doctest::Contains("is not known while it is made"), Error);
    const ConvShape v{{1, 1}, 2, 2, 2, 2, 2, 2};
    const ConvWeights weights{random_tensor({1, 1, 2, 2}, 1), {}, {}};
    CHECK_THROWS_WITH_AS(gpu.record([&] { gpu.plan_conv2d(v, weights, Direction::forward, Fused::none); }),
                         doctest::Contains("must have been run before"), Error);
    gpu.binary(Binary::add, there, there, y);  // and afterwards all is as before
    CHECK(y.host().at_flat(0) == doctest::Approx(2 * x.at_flat(0)));
    CHECK(cpu_backend().record([] {}) == nullptr);
}
