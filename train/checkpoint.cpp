#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "train/step.h"
#include "weights/hdf5_file.h"

namespace limn {

using Json = nlohmann::ordered_json;

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& state, const Model& model, const Optimizer& optimizer) {
    Hdf5Writer file(path);
    const std::vector<Weight*> weights = trained_weights(model);
    Json slots = Json::object();
    for (std::size_t i = 0; i < weights.size(); i++) file.dataset(fmt::format("/weights/{}", i), weights[i]->value);
    for (std::size_t i = 0; i < state.averaged.size(); i++) file.dataset(fmt::format("/averaged/{}", i), state.averaged[i]);
    for (std::size_t i = 0; i < state.best.size(); i++) file.dataset(fmt::format("/best/{}", i), state.best[i]);
    for (const auto& [name, list] : optimizer.slots) {
        slots[name] = list.size();
        for (std::size_t i = 0; i < list.size(); i++) file.dataset(fmt::format("/optimizer/{}/{}", name, i), list[i]);
    }
    const Json json{{"epoch", state.epoch},
                    {"finished", state.finished},
                    {"best_epoch", state.best_epoch},
                    {"best_accuracy", state.best_accuracy},
                    {"best_loss", state.best_loss},
                    {"data", state.data},
                    {"settings", state.settings},
                    {"iterations", optimizer.iterations},
                    {"slots", slots},
                    {"weights", weights.size()},
                    {"averaged", state.averaged.size()},
                    {"best", state.best.size()}};
    file.attribute("/", "limn_checkpoint", json.dump());
    file.commit();
}

Checkpoint load_checkpoint(const std::filesystem::path& path, Model& model, Optimizer& optimizer) {
    const Hdf5File file(path);
    LIMN_CHECK(file.has_attribute("/", "limn_checkpoint"), "{}: is no checkpoint of `limn train`", path.string());
    const auto read = [&](const std::string& name, const Shape& shape) {
        Tensor values = file.read(name).clone();  // the file will be replaced
        LIMN_CHECK(values.shape() == shape, "{}: '{}' is {}, this network needs {}: it belongs to another run", path.string(), name,
                   values.shape().str(), shape.str());
        return values;
    };
    try {
        const Json json = Json::parse(file.text("/", "limn_checkpoint"));
        const std::vector<Weight*> weights = trained_weights(model);
        LIMN_CHECK(json.at("weights") == weights.size(), "{}: belongs to another network", path.string());
        Checkpoint state{json.at("epoch"),
                         json.value("finished", false),
                         json.at("best_epoch"),
                         json.at("best_accuracy"),
                         json.at("best_loss"),
                         json.at("data"),
                         {},
                         {},
                         {}};
        state.settings = json.at("settings").get<decltype(state.settings)>();
        for (std::size_t i = 0; i < weights.size(); i++) weights[i]->value = read(fmt::format("/weights/{}", i), weights[i]->shape);
        for (const auto& [name, list] : {std::pair("averaged", &state.averaged), {"best", &state.best}})
            for (std::size_t i = 0; i < json.at(name).get<std::size_t>(); i++)
                list->push_back(read(fmt::format("/{}/{}", name, i), weights.at(i)->shape));
        optimizer.iterations = json.at("iterations");
        for (const auto& [name, count] : json.at("slots").items())
            for (std::size_t i = 0; i < count.get<std::size_t>(); i++) {
                const std::string dataset = fmt::format("/optimizer/{}/{}", name, i);
                optimizer.slots[name].push_back(read(dataset, file.shape(dataset)));
            }
        return state;
    } catch (const Json::exception& e) {
        fail("{}: is damaged: {}", path.string(), e.what());
    }
}

}  // namespace limn
