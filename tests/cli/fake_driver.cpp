// A libcuda.so.1 that answers what a test wants to hear, by the environment: so that every complaint about drivers and GPUs can be seen on
// a machine that has neither. FAKE_DRIVER holds five numbers: the CUDA version it knows, what cuInit answers, GPUs, their major and minor
// compute capability.
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int answer(int which) {
    int values[5] = {13000, 0, 1, 9, 0};
    if (const char* text = std::getenv("FAKE_DRIVER"))
        std::sscanf(text, "%d %d %d %d %d", &values[0], &values[1], &values[2], &values[3], &values[4]);
    return values[which];
}

}  // namespace

extern "C" {

int cuDriverGetVersion(int* version) {
    *version = answer(0);
    return 0;
}
int cuInit(unsigned) { return answer(1); }
int cuDeviceGetCount(int* count) {
    *count = answer(2);
    return 0;
}
int cuDeviceGet(int* device, int number) {
    *device = number;
    return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 75 ? answer(3) : attribute == 76 ? answer(4) : 0;
    return 0;
}
int cuDeviceGetName(char* name, int size, int) {
    std::snprintf(name, std::size_t(size), "Fake GPU");
    return 0;
}

}  // extern "C"
