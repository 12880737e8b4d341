// Trying something in a child process first.
//
// libhdf5 1.10.8 itself crashes on some damaged files (about one in a hundred with random bytes in its headers). A model
// file is therefore loaded once in a child: if the child dies, the file is refused in one line and this process lives on.
#pragma once

#include <functional>

namespace limn {

// Runs f in a child process; false if it crashed or took longer than `seconds`. An exception counts as survived: whoever
// runs f for real gets it, too. f must not use threads (engine/threads.h), and nothing it changes is seen here.
bool survives(const std::function<void()>& f, unsigned seconds);

}  // namespace limn
