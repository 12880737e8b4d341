// The page to read first: every kernel the engine has.
//
// A Backend is a short list of verbs on tensors. It knows neither layers nor gradients as a whole, only "this many
// numbers in, that many out": layers/ gives the verbs a meaning, autograd/ chains them backward.
//   reference/  each verb as the loop of its definition, float and double. It *defines* what the verb means.
//   cpu/        the same verbs, fast (float only), tested against reference.
//   cuda/       the same verbs on a GPU (float only).
// A verb writes a tensor the caller has allocated, so its shape says what is wanted. All tensors of one call have one
// number type. Letters: n h w c (input), p q k (output), r s (taps of a window).
//
// Verbs that go backward (..._grad) turn dy = d score / dy into dx = d score / dx. Several targets are explained in one
// walk: dy may then hold T times as many images as the forward pass had, target by target, (T*N, ...). Verbs that need
// what the forward pass saved read it T times over.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "engine/unary.h"
#include "engine/verbs.h"

namespace limn {

// x: (N,h,w,c)  kernel: (r,s,c/groups,k)  y: (N,p,q,k).  Output channel k belongs to group k / (K/groups).
struct ConvShape {
    Window window;
    Index h, w, c, p, q, k;
    Index groups = 1;
    bool operator==(const ConvShape&) const = default;
};

struct ConvWeights {
    Tensor kernel;  // (r,s,c/groups,k), as Keras stores it
    Tensor bias;    // (k), or empty
    // The kernel as an algorithm wants it, by algorithm: computed once, shared by the plans of all image sizes.
    mutable std::map<std::string, Tensor> packed;
};

// A convolution with everything decided and prepared. run() may be called with any number of images.
// forward: y = fused(conv(x) + bias). grad_input: x is dy (N,p,q,k), y is dx (N,h,w,c), and the bias has c elements:
// that is a transposed convolution going forward.
class ConvPlan {
public:
    struct Refusal {
        std::string algorithm, reason;
    };
    virtual ~ConvPlan() = default;
    virtual std::string algorithm() const = 0;
    virtual void run(const Tensor& x, Tensor& y) const = 0;
    // For one image: multiply-adds of the definition, those this algorithm does, and bytes of weights it reads.
    struct Cost {
        double definition = 0, done = 0, weight_bytes = 0;
    };
    virtual Cost cost() const { return {}; }
    virtual bool pools() const { return false; }  // does run() do relu_max_pool's pool? If not, it does its relu.
    mutable std::vector<Refusal> refusals;        // better candidates that said no, and why; on a GPU, of its newest run
};

// Work that was recorded: run() does it again, with the numbers that lie in its tensors then.
class Recording {
public:
    virtual ~Recording() = default;
    virtual void run() = 0;
};

class Backend {
public:
    virtual ~Backend() = default;
    virtual std::string name() const = 0;  // "reference", "cpu (avx2)"...

    // Would it rather run fused layers (layers/fusion.h)? The definitions are run one by one.
    virtual bool prefers_fused() const { return false; }

    // Where its tensors should lie; null: in the host's memory. Verbs take tensors of other places, too, but copy them back and forth.
    virtual Device* device() const { return nullptr; }
    // Records the verbs that `work` calls instead of doing them, if the backend can (else null). They must have been done once
    // before, on tensors of the same places and shapes, and `work` must not look at what they compute.
    virtual std::unique_ptr<Recording> record(const std::function<void()>& work) const {
        (void)work;
        return nullptr;
    }

    // ---- convolution
    virtual std::unique_ptr<ConvPlan> plan_conv2d(const ConvShape&, const ConvWeights&, Direction, Fused) const = 0;
    virtual void conv2d_grad_kernel(const ConvShape&, const Tensor& x, const Tensor& dy, Tensor& dkernel) const = 0;

    // ---- dense: x (N,c)  kernel (c,k)  bias (k) or empty  y (N,k)
    virtual void dense(const Tensor& x, const Tensor& kernel, const Tensor& bias, Fused, Tensor& y) const = 0;
    virtual void dense_grad_input(const Tensor& dy, const Tensor& kernel, Tensor& dx) const = 0;
    virtual void dense_grad_kernel(const Tensor& x, const Tensor& dy, Tensor& dkernel) const = 0;

    // ---- pooling: x (N,h,w,c) -> y (N,p,q,c). Padding counts neither as a maximum nor in an average.
    // argmax (may be null) remembers for each output which x of its image won: the first in reading order.
    struct Argmax {
        Window window;
        Tensor winners;  // whole numbers, as many as y
    };
    virtual void max_pool(const Window&, const Tensor& x, Tensor& y, Argmax* argmax) const = 0;
    virtual void max_pool_grad(const Argmax&, const Tensor& dy, Tensor& dx) const = 0;
    virtual void average_pool(const Window&, const Tensor& x, Tensor& y) const = 0;
    virtual void average_pool_grad(const Window&, const Tensor& dy, Tensor& dx) const = 0;

    // ---- element by element
    virtual void unary(const UnaryFn&, const Tensor& x, Tensor& y) const = 0;
    virtual void unary_grad(const UnaryFn&, ReluRule, const Tensor& x, const Tensor& y, const Tensor& dy, Tensor& dx) const = 0;
    virtual void binary(Binary, const Tensor& a, const Tensor& b,
                        Tensor& y) const = 0;  // axes of size 1 and missing first axes repeat, as in NumPy
    // y = (x - mean) * scale + shift by channel; mean and shift may be empty. (Folding the mean into the shift would lose
    // digits: on MobileNet it moved a ReLU across its kink and the gradient by 2.6e-4 of its largest value, against 1e-6.)
    virtual void affine(const Tensor& x, const Tensor& mean, const Tensor& scale, const Tensor& shift, Tensor& y) const = 0;

    // ---- batch normalisation in training: statistics by channel over all other axes (variance: divided by their count).
    // xhat = (x - mean) / sqrt(variance + epsilon); y = gamma * xhat + beta is `affine`. The gradient passes through the statistics,
    // too:  dx = gamma / sqrt(variance + epsilon) * (dy - mean(dy) - xhat * mean(dy * xhat)),  dgamma = sum(dy * xhat),  dbeta = sum(dy)
    virtual void moments(const Tensor& x, Tensor& mean, Tensor& variance) const = 0;
    struct Normalised {
        Tensor x, mean, variance, gamma;  // gamma may be empty: 1
        double epsilon;
    };
    virtual void batch_norm_grad(const Normalised&, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta) const = 0;

    // ---- along axes
    virtual void reduce(Reduction, const Tensor& x, Tensor& y) const = 0;  // y has size 1 along the axes that are reduced
    virtual void softmax(const Tensor& x, Tensor& y) const = 0;            // over the last axis
    virtual void softmax_grad(const Tensor& y, const Tensor& dy, Tensor& dx) const = 0;

    // ---- for maps
    // y[m,h,w] = sum over c of x[m mod N,h,w,c] * weights[m,h,w,c]; weights: (M,h,w,c), or (M,1,1,c) for all pixels; y: (M,h,w)
    virtual void channel_dot(const Tensor& x, const Tensor& weights, Tensor& y) const = 0;
    // The T largest of each row of x (N,K), one after another: y (T*N,K) is 1 at the t-th largest of row n in row t*N+n, else 0.
    // The first of equals counts as larger, NaN as -infinity.
    virtual void one_hot_largest(const Tensor& x, Tensor& y) const = 0;
    // values (h,w), 0 to 1, in the colours of a table (256,3), laid over a photo (h,w,3): picture (h,w,3); bytes but for the values
    virtual void paint(const Paint&, const Tensor& values, const Tensor& table, const Tensor& photo, Tensor& picture) const = 0;

    // ---- training: one step for all weights of a tensor (float). m and v, empty where the rule has none, are changed in place.
    virtual void update(const Update&, const Tensor& gradient, const Tensor& weights, Tensor& m, Tensor& v, Tensor& updated) const = 0;

    // ---- moving numbers
    // y[to + i] = x[from + i] for all i in the box; the rest of y stays. Padding, cropping, joining and their gradients.
    virtual void copy_box(const Tensor& x, const Shape& from, const Shape& box, Tensor& y, const Shape& to) const = 0;
    virtual void transpose(const std::vector<int>& order, const Tensor& x, Tensor& y) const = 0;  // axis i of y is axis order[i] of x
    virtual void resize(Interpolation, const Tensor& x, Tensor& y) const = 0;                     // (N,h,w,c) -> (N,p,q,c)
    virtual void resize_grad(Interpolation, const Tensor& dy, Tensor& dx) const = 0;
};

const Backend& reference_backend();
const Backend& cpu_backend();                         // float only; the best instruction set of this processor
const Backend& backend_named(std::string_view name);  // auto (a GPU if there is one) | cpu | cpu-exact | cuda | reference

}  // namespace limn
