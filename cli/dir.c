// dir.c - the folder that a system lives in: sockets, stores, locks, process ids.
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int
too_long(const char *path)
{
    return cli_fail(CLI_CONFIG, "the path %.64s... is too long", path);
}

static int
default_path(char ret_path[CLI_PATH_SIZE])
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size = 0;
    if (state != NULL && state[0] == '/') {
        size = snprintf(ret_path, CLI_PATH_SIZE, "%s/bhiv", state);
    } else if (home != NULL && home[0] == '/') {
        size = snprintf(ret_path, CLI_PATH_SIZE, "%s/.local/state/bhiv", home);
    } else {
        return cli_fail(CLI_CONFIG, "where? HOME is not set: say --dir or BHIV_DIR");
    }
    return size < CLI_PATH_SIZE ? CLI_DONE : too_long(ret_path);
}

int
cli_dir_find(const char *given, cli_dir_t *ret_dir)
{
    char path[CLI_PATH_SIZE];
    if (given == NULL || given[0] == '\0') {
        int status = default_path(path);
        if (status != CLI_DONE) {
            return status;
        }
    } else if ((size_t) snprintf(path, sizeof path, "%s", given) >= sizeof path) {
        return too_long(path);
    }
    // Absolute where it can be: the parts and the person may stand in other folders.
    if (realpath(path, ret_dir->path) == NULL) {
        snprintf(ret_dir->path, sizeof ret_dir->path, "%s", path);
    }
    return CLI_DONE;
}

// Makes `path` and its parents; what is there already is left as it is.
static int
make_all(char *path)
{
    for (char *at = path + 1;; ++at) {
        char kept = *at;
        if (kept != '/' && kept != '\0') {
            continue;
        }
        *at = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return cli_fail(CLI_CONFIG, "cannot make the folder %s: %s", path, strerror(errno));
        }
        *at = kept;
        if (kept == '\0') {
            return CLI_DONE;
        }
    }
}

int
cli_dir_make(const char *given, cli_dir_t *ret_dir)
{
    int status = cli_dir_find(given, ret_dir);
    if (status != CLI_DONE) {
        return status;
    }
    status = make_all(ret_dir->path);
    if (status != CLI_DONE) {
        return status;
    }
    struct stat about;
    if (stat(ret_dir->path, &about) != 0 || !S_ISDIR(about.st_mode)) {
        return cli_fail(CLI_CONFIG, "%s is not a folder", ret_dir->path);
    }
    char made[CLI_PATH_SIZE];
    snprintf(made, sizeof made, "%s", ret_dir->path);
    return cli_dir_find(made, ret_dir);
}

int
cli_dir_join(const cli_dir_t *self, const char *leaf, char ret_path[CLI_PATH_SIZE])
{
    int size = snprintf(ret_path, CLI_PATH_SIZE, "%s/%s", self->path, leaf);
    return size < CLI_PATH_SIZE ? CLI_DONE : too_long(self->path);
}

int
cli_dir_endpoint(const cli_dir_t *self, const char *leaf, char ret_endpoint[CLI_ENDPOINT_SIZE])
{
    size_t size = strlen(self->path) + 1 + strlen(leaf);
    if (size > CLI_IPC_PATH_MAX) {
        return cli_fail(CLI_CONFIG,
                        "%s/%s has %zu bytes, and the path of a socket at most %d: choose a "
                        "shorter --dir",
                        self->path,
                        leaf,
                        size,
                        CLI_IPC_PATH_MAX);
    }
    int written = snprintf(ret_endpoint, CLI_ENDPOINT_SIZE, "ipc://%s/%s", self->path, leaf);
    return written < CLI_ENDPOINT_SIZE ? CLI_DONE : too_long(self->path);
}
