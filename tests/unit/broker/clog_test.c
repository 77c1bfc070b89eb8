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

// Writes as libzmq does: once for each time that the kernel says that there is room.
static void
fill_by(const bed_t *self, size_t size)
{
    static const char bytes[1 << 20];
    struct pollfd item = {.fd = self->near, .events = POLLOUT};
    while (poll(&item, 1, 0) == 1) {
        cr_assert_gt(write(self->near, bytes, size), 0);
    }
}

static void
fill(const bed_t *self)
{
    fill_by(self, 8192);
}

// Reads all, and it is filled again before anyone looks.
static void
cycle(const bed_t *self, size_t size)
{
    static char bytes[65536];
    while (read(self->far, bytes, sizeof(bytes)) > 0) {
    }
    cr_assert_eq(errno, EAGAIN);
    fill_by(self, size);
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

Test(clog, a_queue_that_is_full_again_at_every_look_moved)
{
    static const size_t sizes[] = {8192, 20000, 53248, 60000, 106496, 200000, 212992, 1000000};
    for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        bed_t bed = bed_make(false);
        fill_by(&bed, sizes[n]);
        for (int i = 0; i < 100; i++) {
            bool is_clogged = clog_look(bed.clog, bed.near, false, bed.now_ms);
            cr_assert_not(is_clogged, "%zu bytes each, round %d", sizes[n], i);
            bed.now_ms += STEP_MS;
            if (i % 5 == 0) {
                cycle(&bed, sizes[n]);
            }
        }
        bed_clear(&bed);
    }
}

Test(clog, leaves_the_queue_as_it_was)
{
    bed_t bed = bed_make(false);
    int sizes[2];
    socklen_t length = sizeof(int);
    cr_assert_eq(getsockopt(bed.near, SOL_SOCKET, SO_SNDBUF, &sizes[0], &length), 0);
    fill(&bed);
    for (int i = 1; i <= 3; i++) {
        clog_look(bed.clog, bed.near, false, bed.now_ms);
    }
    clog_rest(bed.clog, bed.near);
    cr_assert_eq(getsockopt(bed.near, SOL_SOCKET, SO_SNDBUF, &sizes[1], &length), 0);
    cr_assert_eq(sizes[0], sizes[1]);
    bed_clear(&bed);
}

// Looks for `for_ms` at one that reads all once in 500 ms, and is full at every look.
static uint64_t
behind_until_clogged(bed_t *self, bool is_pressing, uint64_t for_ms)
{
    uint64_t begun = self->now_ms;
    for (; self->now_ms - begun < for_ms; self->now_ms += STEP_MS) {
        if (clog_look(self->clog, self->near, is_pressing, self->now_ms)) {
            return self->now_ms - begun;
        }
        if ((self->now_ms - begun) % 500 == 0) {
            cycle(self, 200000);
        }
        fill_by(self, 200000); // a queue that was given more room is writable
    }
    return 0;
}

Test(clog, a_reader_that_is_always_behind_is_seen_only_while_others_suffer)
{
    bed_t bed = bed_make(false);
    fill_by(&bed, 200000);
    cr_assert_eq(behind_until_clogged(&bed, true, CLOG_FULL_MS), 0);
    cr_assert_eq(behind_until_clogged(&bed, false, 10 * CLOG_FULL_MS), 0);
    bed.now_ms += 60000;
    uint64_t seen_ms = behind_until_clogged(&bed, true, 10 * CLOG_FULL_MS);
    cr_assert_eq(seen_ms, STEP_MS + CLOG_FULL_MS, "%llu ms", (unsigned long long) seen_ms);
    bed_clear(&bed);
}

Test(clog, a_time_without_looks_is_held_against_nobody)
{
    bed_t bed = bed_make(false);
    fill(&bed);
    cr_assert_not(clog_look(bed.clog, bed.near, true, bed.now_ms));
    bed.now_ms += 60000;
    cr_assert_eq(clogged_after(&bed, false, 10000), STEP_MS + CLOG_STALLED_MS);
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
