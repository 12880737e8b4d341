// Where tensors' numbers live. Large blocks that are given back are kept for the next tensor of the same size: the next
// step of a training, or the next photo, needs exactly the same ones, and fresh memory costs a page fault for every 4 KB
// (measured: a third of the time of a training step).
#pragma once

#include <cstddef>
#include <memory>

namespace limn {

// At least `bytes`, aligned to 64; null if there is no memory.
std::shared_ptr<void> allocate(std::size_t bytes);

// Gives all kept blocks back to the system.
void release_kept_memory();

// A file as memory that can only be read, and the file's name may change or vanish meanwhile; null if the system refuses (errno).
std::shared_ptr<const void> map_file(int descriptor, std::size_t bytes);

// These numbers have been copied into another form and will hardly be read again: if they lie in a mapped file, the memory they took is
// given back. They can still be read, from the file. Any other memory is left as it is.
void forget_mapped(const void* begin, std::size_t bytes);

}  // namespace limn
