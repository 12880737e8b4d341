// Keras's layers around other layers, taken apart into plain nodes: what lies inside can be seen, watched and explained.
//   Bidirectional "bi" of LSTM "lstm": bi/forward_lstm, bi/backward_lstm, bi/reversed (where it returns sequences), and bi joins them.
//   TimeDistributed "td" of a layer or model "cnn": td/folded makes each step an image of its own, td/cnn, and td puts them back in line.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "layers/model.h"

namespace limn {

// One call of a wrapper: the layer as the configuration has it, the name of its node, what it reads; `call` calls a layer inside.
struct WrapperCall {
    Model& model;
    const nlohmann::json& settings;
    Config config;
    std::vector<int> reads;
    std::function<std::vector<int>(const nlohmann::json& layer, const std::vector<int>& reads)> call;
};

std::vector<int> call_bidirectional(const WrapperCall&);
std::vector<int> call_time_distributed(const WrapperCall&);

// Dense works on every step as it is: TimeDistributed of it is that Dense under the wrapper's name. Else nothing.
std::optional<nlohmann::json> without_wrapper(const nlohmann::json& settings, const std::string& name);

}  // namespace limn
