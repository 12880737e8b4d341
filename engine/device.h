// A machine with memory of its own, in which tensors can lie: a GPU. Tensors of the host lie in engine/memory.h's memory.
//
// A device works through what it is told in order, while the host goes on; only to_host and wait return when it is done.
// It computes nothing: its backend does (engine/cuda/), and Tensor::on moves tensors there and back.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace limn {

class Device {
public:
    virtual ~Device() = default;
    virtual std::string name() const = 0;
    virtual std::shared_ptr<void> allocate(std::size_t bytes) = 0;  // a multiple of 256; an Error if there is too little
    virtual void zero(void* to, std::size_t bytes) = 0;
    virtual void copy(void* to, const void* from, std::size_t bytes) = 0;       // both here
    virtual void from_host(void* to, const void* host, std::size_t bytes) = 0;  // host may be changed afterwards
    virtual void to_host(void* host, const void* from, std::size_t bytes) = 0;
    virtual void wait() = 0;  // until all is done
    virtual double milliseconds(const std::function<void()>& work) = 0;  // from the beginning of what work() asks for to its end, here
};

}  // namespace limn
