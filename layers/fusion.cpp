#include "layers/fusion.h"

namespace limn {

std::vector<Step> plain_steps(const std::vector<Node>& nodes, const std::vector<int>& readers) {
    std::vector<Step> steps;
    for (std::size_t i = 0; i < nodes.size(); i++)
        if (readers[i] && !nodes[i].inputs.empty()) steps.push_back({nodes[i].layer, nodes[i].inputs, int(i)});
    return steps;
}

std::vector<Step> fused_steps(const std::vector<Node>& nodes, const std::vector<int>& readers, const std::vector<bool>& seen) {
    std::vector<int> reader(nodes.size(), -1);  // one of those who read a node's value
    for (std::size_t i = 0; i < nodes.size(); i++)
        if (readers[i])
            for (int in : nodes[i].inputs) reader[std::size_t(in)] = int(i);
    std::vector<bool> done(nodes.size());
    std::vector<Step> steps;
    for (std::size_t i = 0; i < nodes.size(); i++) {
        if (!readers[i] || nodes[i].inputs.empty() || done[i]) continue;
        Step step{nodes[i].layer, nodes[i].inputs, int(i)};
        while (true) {
            const auto last = std::size_t(step.node);
            const int next = reader[last];
            if (seen[last] || readers[last] != 1 || next < 0 || nodes[std::size_t(next)].inputs.size() != 1) break;
            LayerPtr both = step.layer->followed_by(*nodes[std::size_t(next)].layer);
            if (!both) break;
            step.layer = std::move(both), step.node = next;
            done[std::size_t(next)] = true;
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

}  // namespace limn
