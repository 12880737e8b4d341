// Runs the built command in a process of its own, so that a crash is seen as one.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "tests/support.h"

namespace limn {

struct CommandResult {
    int status;  // exit status; 1000 + signal if it crashed
    std::string out, err;
};

inline std::string slurp(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// Starts it, with its output in files of the folder: stdout and stderr.
inline pid_t start_limn(const std::vector<std::string>& arguments, const TemporaryFolder& folder,
                        const std::function<void()>& before = {}) {
    const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
    const pid_t child = fork();
    if (child == 0) {
        const int o = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), e = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(o, 1), dup2(e, 2);
        if (before) before();
        const std::string program = LIMN_PLACE(LIMN_COMMAND);
        std::vector<char*> argv{const_cast<char*>(program.c_str())};
        for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);
        execv(program.c_str(), argv.data());
        _exit(127);
    }
    return child;
}

inline CommandResult limn_command(const std::vector<std::string>& arguments, const TemporaryFolder& folder,
                                  const std::function<void()>& before = {}) {
    const pid_t child = start_limn(arguments, folder, before);
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), slurp(folder / "stdout"), slurp(folder / "stderr")};
}

}  // namespace limn
