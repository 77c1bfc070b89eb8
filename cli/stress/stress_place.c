// stress_place.c - see stress_place.h.
#include "stress_place.h"

#include "runtime/clock.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BASE_TRIES = 200,   // until one is found whose ports are free
    BASE_FIRST = 10000, // below the range of the kernel's own choices
    BASE_COUNT = 220,   // of them, BASE_STEP apart: to 32,000
    BASE_STEP = 100,    // above what one system takes
    DIR_ROOM = 80,      // bytes of a folder's path, so that its sockets have one
    NEWBORN_S = 60      // a younger folder may not be locked yet
};

static const char PREFIX[] = "bhiv-drill-"; // of folders that are ours to remove

static bool
is_free(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool free_one = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                    bind(fd, (struct sockaddr *) &address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return free_one;
}

unsigned
cli_stress_place_ports(void)
{
    static const unsigned offsets[] = {0, 1, 2, 3, 50, 51, 80}; // as `bhiv up --port-base`
    unsigned seed = (unsigned) (clock_boot_us() ^ ((uint64_t) getpid() << 8));
    for (int i = 0; i < BASE_TRIES; ++i) {
        unsigned base = BASE_FIRST + (unsigned) rand_r(&seed) % BASE_COUNT * BASE_STEP;
        bool all_free = true;
        for (size_t k = 0; k < sizeof offsets / sizeof offsets[0] && all_free; ++k) {
            all_free = is_free(base + offsets[k]);
        }
        if (all_free) {
            return base;
        }
    }
    return 0;
}

// Whether nobody lives in it: the kernel lets go of the lock of who dies, however that dies.
static bool
is_left(const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool left = fd >= 0 && fstat(fd, &about) == 0 && about.st_uid == geteuid() &&
                about.st_mtime + NEWBORN_S < time(NULL) && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return left;
}

static void
remove_left(const char *parent)
{
    DIR *entries = opendir(parent);
    const struct dirent *entry = entries == NULL ? NULL : readdir(entries);
    for (; entry != NULL; entry = readdir(entries)) {
        char path[CLI_PATH_SIZE];
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) == 0 &&
            snprintf(path, sizeof path, "%s/%s", parent, entry->d_name) < CLI_PATH_SIZE &&
            is_left(path)) {
            (void) cli_scratch_remove(path);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
}

int
cli_stress_place_make(char ret_path[CLI_PATH_SIZE], int *ret_lock)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/' || strlen(parent) > DIR_ROOM) {
        parent = "/var/tmp";
    }
    remove_left(parent);
    snprintf(ret_path, CLI_PATH_SIZE, "%s/%sXXXXXX", parent, PREFIX);
    if (mkdtemp(ret_path) == NULL) {
        ret_path[0] = '\0';
        return cli_fail(CLI_IO, "cannot make a folder in %s: %s", parent, strerror(errno));
    }
    int lock = open(ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int status = cli_fail(CLI_IO, "cannot lock %s: %s", ret_path, strerror(errno));
        if (lock >= 0) {
            close(lock);
        }
        (void) cli_scratch_remove(ret_path);
        ret_path[0] = '\0';
        return status;
    }
    *ret_lock = lock;
    return CLI_DONE;
}
