// stress_place.c - see stress_place.h.
#include "stress_place.h"

#include "runtime/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BASE_TRIES = 200,   // until one is found whose ports are free
    BASE_FIRST = 10000, // below the range of the kernel's own choices
    BASE_COUNT = 220,   // of them, BASE_STEP apart: to 32,000
    BASE_STEP = 100,    // above what one system takes
    DIR_ROOM = 80,      // bytes of a folder's path, so that its sockets have one
    DESCRIPTORS = 8     // of nftw
};

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

int
cli_stress_place_make(char ret_path[CLI_PATH_SIZE])
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/' || strlen(parent) > DIR_ROOM) {
        parent = "/var/tmp";
    }
    snprintf(ret_path, CLI_PATH_SIZE, "%s/bhiv-drill-XXXXXX", parent);
    if (mkdtemp(ret_path) == NULL) {
        return cli_fail(CLI_IO, "cannot make a folder in %s: %s", parent, strerror(errno));
    }
    return CLI_DONE;
}

static int
remove_one(const char *path,
           const struct stat *about BUS_UNUSED,
           int type BUS_UNUSED,
           struct FTW *where BUS_UNUSED)
{
    (void) remove(path);
    return 0;
}

void
cli_stress_place_remove(const char *path)
{
    (void) nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
