#include "cam/colours.h"
#include "cam/methods.h"

namespace limn {

Tensor saliency(const Question& q) { return largest_magnitude(q.backend(), q.input_gradient(q.image())); }

Tensor gradient_x_input(const Question& q) { return dot_with_image(q.backend(), q.image(), q.input_gradient(q.image())); }

Tensor guided_backpropagation(const Question& q) { return sum_of_colours(q.backend(), q.input_gradient(q.image(), ReluRule::guided)); }

Tensor deconvnet(const Question& q) { return sum_of_colours(q.backend(), q.input_gradient(q.image(), ReluRule::deconvnet)); }

}  // namespace limn
