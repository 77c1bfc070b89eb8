// secret.c - see secret.h.
#include "secret.h"

#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const char PREFIX[] = "BHIV_";
static const char *const endings[] = {"_KEY", "_PASSPHRASE", "_PASSWORD", "_SECRET", "_TOKEN"};

// Whether NAME=VALUE is one.
static bool
is_secret(const char *line)
{
    size_t size = strcspn(line, "=");
    if (strncmp(line, PREFIX, sizeof PREFIX - 1) != 0 || line[size] == '\0' ||
        line[size + 1] == '\0') {
        return false;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (size >= ending && memcmp(line + size - ending, endings[i], ending) == 0) {
            return true;
        }
    }
    return false;
}

bool
secret_is_in_environment(void)
{
    for (char *const *line = environ; line != NULL && *line != NULL; line++) {
        if (is_secret(*line)) {
            return true;
        }
    }
    return false;
}

void
secret_guard(void)
{
    // Both: a limit of 0 does not keep the kernel from piping a dump to a program (core(5)).
    const struct rlimit none = {0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        log_warning("core_dumps_not_off", "errno=%d", errno);
    }
}
