// fuzz_drill.c - any bytes as a drill.conf: it makes an environment of whole BHIV_ settings, or is
// refused with a line that says which line is none.
#include "stress/stress_env.h"
#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The program's own says it on stderr.
int
cli_fail(int exit_status, const char *format, ...)
{
    char said[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    assert(size > 0 && exit_status != CLI_DONE);
    return exit_status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    clearenv();
    setenv("BHIV_DIR", "ours", 1);
    int fd = memfd_create("drill.conf", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t) size && lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    static const char *const own[] = {"BHIV_PORT_BASE=1", NULL};
    char **environment = NULL;
    int status = cli_stress_env_make(path, own, &environment);
    close(fd);
    assert((status == CLI_DONE) == (environment != NULL));
    assert(status == CLI_DONE || status == CLI_CONFIG);
    bool has_own = false;
    for (char **line = environment; line != NULL && *line != NULL; ++line) {
        assert(strncmp(*line, "BHIV_", 5) == 0 && strchr(*line, '=') != NULL);
        assert(strchr(*line, '\n') == NULL);
        has_own = has_own || strcmp(*line, own[0]) == 0;
    }
    assert(has_own || environment == NULL); // the drill's own word is the last
    cli_stress_env_free(&environment);
    return 0;
}
