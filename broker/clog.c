// clog.c - full send queues, and whether anything moves in them.
//
// What moved: on TCP the count of acknowledged bytes. AF_UNIX has none, only how much is queued;
// but there a writer that waits for room gets none until three quarters have been read, so a queue
// that moves at all is seen at different heights.
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

static uint64_t
mark_of(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        size >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked)) {
        return info.tcpi_bytes_acked;
    }
    int queued = 0;
    return ioctl(fd, SIOCOUTQ, &queued) == 0 ? (uint64_t) queued : 0;
}

bool
clog_look(clog_t *self, int fd, bool is_pressing, uint64_t now_ms)
{
    assert(fd >= 0 && fd < CLOG_FDS_MAX);
    seen_t *seen = &self->seen[fd];
    if (!is_full(fd)) {
        seen->seen_ms = 0;
        return false;
    }
    uint64_t mark = mark_of(fd);
    if (seen->seen_ms == 0 || now_ms - seen->seen_ms > APART_MS) {
        *seen = (seen_t){.full_ms = now_ms, .moved_ms = now_ms, .mark = mark};
    } else if (seen->mark != mark) {
        seen->mark = mark;
        seen->moved_ms = now_ms;
    }
    seen->seen_ms = now_ms;
    return now_ms - seen->moved_ms >= CLOG_STALLED_MS ||
           (is_pressing && now_ms - seen->full_ms >= CLOG_FULL_MS);
}

void
clog_forget(clog_t *self, int fd)
{
    if (fd >= 0 && fd < CLOG_FDS_MAX) {
        self->seen[fd].seen_ms = 0;
    }
}
