// Moving the steps of a sequence (N,T,...). limn's own layers: recurrent layers and wrappers are taken apart into them.
#pragma once

#include "layers/layer.h"

namespace limn {

LayerPtr make_steps(const std::string& name, Index first, Index last);  // x[:, first:last]; negative ones count from the end
LayerPtr make_step(const std::string& name, Index step);                // x[:, step]
LayerPtr make_reversal(const std::string& name);                        // the last step first

// TimeDistributed: each step becomes an image of its own, (N,T,...) -> (N*T,...); and back: it reads the sequence and what was made of
// its steps, (N,T,...) and (N*T,...) -> (N,T,...).
LayerPtr make_fold(const Config& config);
LayerPtr make_unfold(const std::string& name);

}  // namespace limn
