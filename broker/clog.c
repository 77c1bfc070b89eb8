// clog.c - full send queues, and whether anything moves in them.
//
// What moved: on TCP the count of acknowledged bytes. AF_UNIX has none, only how much is queued,
// and one that is read and filled again, by a message of the same size, stands at the same height
// at every look. So a full one gets another size than it was filled at, by a factor of four, until
// it moves: what is filled after that is filled to another height, for libzmq goes on filling while
// a quarter at most is in use.
#include "clog.h"
#include <assert.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { APART_MS = 10 * CLOG_LOOK_MS }; // looks further apart than this begin anew

typedef struct {
    uint64_t seen_ms;  // of the last look that found it full; 0: none
    uint64_t full_ms;  // since when it was full at every look
    uint64_t moved_ms; // when it was last seen to move
    uint64_t mark;     // what would differ had it moved
    bool is_narrow;    // its queue has a quarter of its size
} seen_t;

struct clog {
    seen_t *seen; // CLOG_FDS_MAX of them
};

clog_t *
clog_new(void)
{
    clog_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->seen = calloc(CLOG_FDS_MAX, sizeof(*self->seen));
    assert(self->seen != NULL);
    return self;
}

void
clog_destroy(clog_t **self_p)
{
    if (*self_p != NULL) {
        free((*self_p)->seen);
        free(*self_p);
        *self_p = NULL;
    }
}

static bool
is_full(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLOUT};
    return poll(&item, 1, 0) == 0; // neither writable nor at its end
}

// Gives the send queue another size: a quarter, the whole, a quarter.
static void
resize(int fd, bool *is_narrow)
{
    int size = 0; // the kernel says twice of what it is told
    socklen_t length = sizeof(size);
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0) {
        size = *is_narrow ? size * 2 : size / 8;
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        *is_narrow = !*is_narrow;
    }
}

// What differs from the last look's where the queue moved.
static uint64_t
mark_of(int fd, bool *ret_is_tcp)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    *ret_is_tcp =
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        size >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked);
    if (*ret_is_tcp) {
        return info.tcpi_bytes_acked;
    }
    int queued = 0;
    (void) ioctl(fd, SIOCOUTQ, &queued);
    return (uint64_t) queued;
}

void
clog_rest(clog_t *self, int fd)
{
    seen_t *seen = &self->seen[fd];
    if (seen->is_narrow) {
        resize(fd, &seen->is_narrow);
    }
    seen->seen_ms = 0;
}

bool
clog_look(clog_t *self, int fd, bool is_pressing, uint64_t now_ms)
{
    assert(fd >= 0 && fd < CLOG_FDS_MAX);
    seen_t *seen = &self->seen[fd];
    bool is_old = seen->seen_ms != 0 && now_ms - seen->seen_ms > APART_MS;
    if (is_old || !is_full(fd)) {
        clog_rest(self, fd); // from its own size on, so that the next fill differs
        return false;
    }
    bool is_tcp;
    uint64_t mark = mark_of(fd, &is_tcp);
    bool is_first = seen->seen_ms == 0;
    if (is_first) {
        seen->full_ms = now_ms;
    }
    if (is_first || seen->mark != mark) {
        seen->moved_ms = now_ms;
        seen->mark = mark;
        if (!is_tcp) {
            resize(fd, &seen->is_narrow);
        }
    }
    seen->seen_ms = now_ms;
    return now_ms - seen->moved_ms >= CLOG_STALLED_MS ||
           (is_pressing && now_ms - seen->full_ms >= CLOG_FULL_MS);
}

void
clog_forget(clog_t *self, int fd)
{
    if (fd >= 0 && fd < CLOG_FDS_MAX) {
        self->seen[fd] = (seen_t){0};
    }
}
