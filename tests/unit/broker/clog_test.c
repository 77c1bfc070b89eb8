// clog_test.c - real sockets of the kernel, and a time that is told.
#include "broker/clog.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEP_MS = CLOG_LOOK_MS };

typedef struct {
    clog_t *clog;
    int near; // writes
    int far;  // reads
    uint64_t now_ms;
} bed_t;

static void
make_tcp(int *ret_near, int *ret_far)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *) &address, size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *) &address, &size), 0);
    *ret_near = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(*ret_near, (struct sockaddr *) &address, size), 0);
    *ret_far = accept(listener, NULL, NULL);
    cr_assert_geq(*ret_far, 0);
    close(listener);
}

static bed_t
bed_make(bool is_tcp)
{
    bed_t self = {.clog = clog_new(), .now_ms = 1000000};
    int pair[2];
    if (is_tcp) {
        make_tcp(&self.near, &self.far);
    } else {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        self.near = pair[0];
        self.far = pair[1];
    }
    cr_assert_eq(fcntl(self.near, F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(fcntl(self.far, F_SETFL, O_NONBLOCK), 0);
    return self;
}

static void
bed_clear(bed_t *self)
{
    clog_destroy(&self->clog);
    close(self->near);
    close(self->far);
}

// Writes until there is no room, as libzmq does: not before the kernel says that there is some.
static void
fill(const bed_t *self)
{
    static const char bytes[8192];
    struct pollfd item = {.fd = self->near, .events = POLLOUT};
    if (poll(&item, 1, 0) == 0) {
        return;
    }
    while (write(self->near, bytes, sizeof(bytes)) > 0) {
    }
    cr_assert_eq(errno, EAGAIN);
}

// Reads one piece, as a peer that is slow does.
static void
read_some(const bed_t *self)
{
    static char bytes[65536];
    cr_assert_gt(read(self->far, bytes, sizeof(bytes)), 0);
}

// The milliseconds of looks until it is clogged, or 0 where it is not within `for_ms`.
static uint64_t
clogged_after(bed_t *self, bool is_pressing, uint64_t for_ms)
{
    uint64_t begun = self->now_ms;
    while (self->now_ms - begun <= for_ms) {
        if (clog_look(self->clog, self->near, is_pressing, self->now_ms)) {
            return self->now_ms - begun;
        }
        self->now_ms += STEP_MS;
    }
    return 0;
}

static void
check_stopped(bool is_tcp)
{
    bed_t bed = bed_make(is_tcp);
    fill(&bed);
    cr_assert_eq(clogged_after(&bed, false, 10000), CLOG_STALLED_MS);
    bed_clear(&bed);
}

Test(clog, a_full_queue_that_nobody_reads_is_seen_after_its_time)
{
    check_stopped(false);
}

Test(clog, a_full_queue_that_nobody_reads_is_seen_on_tcp_too)
{
    check_stopped(true);
}

Test(clog, an_empty_queue_is_none)
{
    bed_t bed = bed_make(false);
    cr_assert_eq(clogged_after(&bed, true, 10000), 0);
    bed_clear(&bed);
}

Test(clog, a_slow_reader_is_none)
{
    bed_t bed = bed_make(false);
    for (int i = 0; i < 50; i++) {
        fill(&bed);
        cr_assert_eq(clogged_after(&bed, false, CLOG_STALLED_MS - STEP_MS - 1), 0, "round %d", i);
        read_some(&bed);
        bed.now_ms += STEP_MS;
        cr_assert_not(clog_look(bed.clog, bed.near, false, bed.now_ms));
    }
    bed_clear(&bed);
}

Test(clog, a_reader_that_is_always_behind_is_seen_only_while_others_suffer)
{
    bed_t bed = bed_make(false);
    fill(&bed);
    bool is_clogged = false;
    uint64_t begun = bed.now_ms;
    while (!is_clogged) { // it reads a piece in 500 ms, and is full at every look
        cr_assert_not(clog_look(bed.clog, bed.near, false, bed.now_ms));
        is_clogged = clog_look(bed.clog, bed.near, true, bed.now_ms);
        bed.now_ms += STEP_MS;
        if ((bed.now_ms - begun) % 500 == 0) {
            read_some(&bed);
            fill(&bed);
        }
        cr_assert_leq(bed.now_ms - begun, 2 * CLOG_FULL_MS);
    }
    cr_assert_eq(bed.now_ms - begun, CLOG_FULL_MS + STEP_MS);
    bed_clear(&bed);
}

Test(clog, a_time_without_looks_is_held_against_nobody)
{
    bed_t bed = bed_make(false);
    fill(&bed);
    cr_assert_not(clog_look(bed.clog, bed.near, true, bed.now_ms));
    bed.now_ms += 60000;
    cr_assert_eq(clogged_after(&bed, false, 10000), CLOG_STALLED_MS);
    bed_clear(&bed);
}

Test(clog, a_descriptor_that_is_anothers_begins_anew)
{
    bed_t bed = bed_make(false);
    fill(&bed);
    cr_assert_eq(clogged_after(&bed, false, CLOG_STALLED_MS - STEP_MS), 0);
    clog_forget(bed.clog, bed.near);
    cr_assert_eq(clogged_after(&bed, false, 10000), CLOG_STALLED_MS);
    bed_clear(&bed);
}
