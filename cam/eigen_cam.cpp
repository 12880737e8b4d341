#include <Eigen/Eigenvalues>

#include "cam/methods.h"

namespace limn {

// x: (pixels, channels) -> x v, where v is the eigenvector of x^T x with the largest eigenvalue
static Eigen::VectorXd first_component(const Eigen::MatrixXd& x) {
    // x^T x and x x^T have the same eigenvalues: the smaller one is taken. From u, x x^T u = s u, follows x v = sqrt(s) u.
    const bool by_pixels = x.rows() < x.cols();
    const Eigen::MatrixXd gram = by_pixels ? Eigen::MatrixXd(x * x.transpose()) : Eigen::MatrixXd(x.transpose() * x);
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
    const Eigen::VectorXd vector = solver.eigenvectors().col(gram.cols() - 1);  // eigenvalues rise
    const double value = std::max(0.0, solver.eigenvalues()(gram.cols() - 1));
    const Eigen::VectorXd component = by_pixels ? Eigen::VectorXd(std::sqrt(value) * vector) : Eigen::VectorXd(x * vector);
    return component.dot(x.rowwise().sum()) < 0 ? Eigen::VectorXd(-component) : component;
}

// features (M,h,w,c) -> (M,h,w), on the host
static Tensor components(const Tensor& anywhere) {
    const Tensor features = anywhere.host();
    const Shape& s = features.shape();
    Tensor maps({s[0], s[1], s[2]});
    for (Index m = 0; m < s[0]; m++) {
        const Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> x(features.rows(m, 1).data(),
                                                                                                        s[1] * s[2], s[3]);
        Eigen::Map<Eigen::VectorXf>(maps.data() + m * s[1] * s[2], s[1] * s[2]) =
            x.allFinite() ? Eigen::VectorXf(first_component(x.cast<double>()).cast<float>())
                          : Eigen::VectorXf::Constant(s[1] * s[2], std::numeric_limits<float>::quiet_NaN());
    }
    return maps;
}

Tensor eigen_cam(const Question& q) {
    const Tensor one = components(q.activations());
    Tensor maps(one.shape().with(0, q.targets()));  // the same for every target
    for (Index t = 0; t < q.targets(); t++) maps.rows(t, 1).assign(one);
    return maps;
}

Tensor eigen_grad_cam(const Question& q) {
    const int layer = q.layer();
    const auto walk = q.gradients(q.image(), {&layer, 1});
    Tensor products = walk.gradients[0].like();
    q.backend().binary(Binary::multiply, walk.gradients[0], walk.values[0], products);
    return components(products);
}

}  // namespace limn
