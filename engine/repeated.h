// Work that is done again and again, each time with other numbers in the same tensors. Its first run plans; where the backend can, the
// second is recorded, and from then on the recording is run: on a GPU a single launch instead of hundreds.
#pragma once

#include "engine/backend.h"

namespace limn {

class Repeated {
public:
    // The work calls verbs on tensors that outlive this object, or that it makes itself, and does not look at what they compute.
    Repeated(const Backend& backend, std::function<void()> work) : backend_(backend), work_(std::move(work)) {}

    void run() {
        if (runs_++ == 1) record();
        recording_ ? recording_->run() : work_();
    }
    bool recorded() const { return recording_ != nullptr; }
    const std::string& why_not() const { return why_not_; }  // why the second run could not be recorded

private:
    void record() {
        try {
            recording_ = backend_.record(work_);
        } catch (const Error& e) {  // it goes on as before
            why_not_ = e.what();
        }
    }
    const Backend& backend_;
    std::function<void()> work_;
    std::unique_ptr<Recording> recording_;
    std::string why_not_;
    int runs_ = 0;
};

}  // namespace limn
