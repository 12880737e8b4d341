#include "evaluate/road.h"

#include <Eigen/SparseCholesky>
#include <algorithm>

#include "autograd/training.h"
#include "engine/threads.h"
#include "evaluate/bootstrap.h"

namespace limn {

// For a missing pixel i:  (sum of the weights w_j inside the picture) x_i - sum of w_j x_j, missing j  =  sum of w_j x_j, known j
Tensor imputed(const Tensor& input, const Tensor& missing, double noise, std::uint64_t seed) {
    const Index H = input.shape()[1], W = input.shape()[2], C = input.shape()[3];
    LIMN_CHECK(missing.shape() == (Shape{H, W}), "an input of {} does not go with missing pixels of {}", input.shape().str(),
               missing.shape().str());
    std::vector<Index> pixels;                        // those that are missing
    std::vector<int> number(std::size_t(H * W), -1);  // of each pixel among them
    for (Index i = 0; i < H * W; i++)
        if (missing.data<std::uint8_t>()[i]) number[std::size_t(i)] = int(pixels.size()), pixels.push_back(i);

    const auto count = Eigen::Index(pixels.size());
    std::vector<Eigen::Triplet<double>> below;  // the matrix's lower half
    Eigen::MatrixXd right = Eigen::MatrixXd::Zero(count, Eigen::Index(C));
    for (int i = 0; i < int(count); i++) {
        const Index row = pixels[std::size_t(i)] / W, column = pixels[std::size_t(i)] % W;
        double inside = 1e-12;  // more than nothing: what touches no known pixel is 0, and not 0 / 0
        for (Index r = std::max<Index>(row - 1, 0); r <= std::min(row + 1, H - 1); r++)
            for (Index c = std::max<Index>(column - 1, 0); c <= std::min(column + 1, W - 1); c++) {
                if (r == row && c == column) continue;
                const double weight = r == row || c == column ? 1. / 6 : 1. / 12;
                const int neighbour = number[std::size_t(r * W + c)];
                inside += weight;
                if (neighbour < 0)
                    for (Index k = 0; k < C; k++) right(i, Eigen::Index(k)) += weight * input.data()[(r * W + c) * C + k];
                else if (neighbour < i)
                    below.emplace_back(i, neighbour, -weight);
            }
        below.emplace_back(i, i, inside);
    }
    Eigen::SparseMatrix<double> matrix(count, count);
    matrix.setFromTriplets(below.begin(), below.end());
    const Eigen::MatrixXd filled = Eigen::SimplicialLDLT<Eigen::SparseMatrix<double>>(matrix).solve(right);

    Random random(seed, "imputation");
    Tensor out = input.clone();
    for (Index k = 0; k < C; k++)
        for (Eigen::Index i = 0; i < count; i++)
            out.data()[pixels[std::size_t(i)] * C + k] = float(filled(i, Eigen::Index(k)) + noise * random.normal());
    return out;
}

double road(const Scorer& scorer, const Tensor& input, const Tensor& heat, const RoadOptions& options) {
    std::vector<double> sorted(heat.values().begin(), heat.values().end());
    std::sort(sorted.begin(), sorted.end());
    const Index count = Index(options.percentiles.size());
    LIMN_CHECK(count > 0, "ROAD without percentiles");
    std::vector<Tensor> inputs(std::size_t(2 * count));  // the most relevant pixels away, then the least relevant ones
    parallel_for(2 * count, [&](Index i) {
        const bool most = i < count;
        const double share = options.percentiles[std::size_t(i % count)] / 100;
        const double limit = quantile(sorted, most ? share : 1 - share);
        Tensor missing(heat.shape(), DType::u8);
        for (Index k = 0; k < heat.size(); k++)
            missing.data<std::uint8_t>()[k] = most ? double(heat.data()[k]) >= limit : double(heat.data()[k]) <= limit;
        inputs[std::size_t(i)] = imputed(input, missing, options.noise, options.seed + std::uint64_t(i));
    });
    const std::vector<double> scores = scores_of(scorer, 2 * count, [&](Index i) { return inputs[std::size_t(i)]; });
    double sum = 0;
    for (Index i = 0; i < 2 * count; i++) sum += i < count ? -scores[std::size_t(i)] : scores[std::size_t(i)];
    return sum / (2 * double(count));
}

}  // namespace limn
