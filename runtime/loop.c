// loop.c - one poll over sockets, descriptors and a signalfd, and a list of timers.
//
// Why not czmq's zloop (4.2.1): it calls a poller once more after a timer's handler has removed it,
// and a timer after an earlier handler of the same round has cancelled it, so that neither can free
// what its handler uses; it drops a descriptor silently on its second error; a cancelled timer in a
// loop that never ran is an assertion at its end; and it stops at a process-wide flag.
//
// Why not zmq_poll: it asks every socket for its events twice a round, at two system calls each,
// which in a broker with six sockets was as much as its work. A socket's descriptor (ZMQ_FD) tells
// of news by an edge that any call on the socket may swallow, a send from another's handler too. So
// a round asks the sockets whose descriptors stir and those that it called last (they may have
// more); and before it sleeps, and every now and then when it never does, it asks all of them.
//
// A round: poll, then every timer that is due, then every item that is ready, each once. Removing
// is safe from any handler: an entry is only marked, and swept when no round is using the list.
#include "loop.h"
#include "clock.h"
#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

enum {
    LOOP_ITEMS_MAX =
        1024, // sockets and descriptors: each costs every poll; many belong in an epoll
    LOOP_TIMERS_MAX = 1024, // each costs every round; many deadlines belong behind one timer
    LOOP_WAIT_MS_MAX = 3600 * 1000,
    ASK_ALL_EVERY = 16, // rounds: how long a busy socket may hide another whose edge was swallowed
};

static const int owned_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE};

typedef struct {
    void *socket;  // raw ZeroMQ socket, or NULL for a descriptor
    int fd;        // to poll: the socket's ZMQ_FD, or the descriptor itself
    short events;  // POLLIN, POLLOUT
    bool is_hot;   // a socket that was called in the last round: it may have more
    bool is_ready; // to be called in this round
    loop_fn *fn;   // NULL: removed, to be swept
    void *arg;
} item_t;

typedef struct {
    int id;             // above 0
    uint64_t due_us;    // boot clock
    uint64_t period_us; // between firings
    unsigned left;      // firings to go; 0: until cancelled
    uint64_t round;     // the round that it fired in or was made in: once a round at most
    loop_fn *fn;        // NULL: gone, to be swept
    void *arg;
} timer_entry_t;

struct loop {
    int signal_fd;
    item_t *items;         // LOOP_ITEMS_MAX of them
    struct pollfd *polled; // the first `polled_count` items, as poll takes them
    size_t item_count;
    size_t polled_count;
    bool changed; // items were added or removed: `polled` is to be made again
    timer_entry_t *timers;
    size_t timer_count;
    int last_timer_id;
    uint64_t round;
    loop_signal_fn *signal_fn;
    void *signal_arg;
    loop_signal_fn *stop_fn;
    void *stop_arg;
    bool stopped;
    int stop_signal; // that ended it, or 0
};

static sigset_t
signal_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(owned_signals) / sizeof(owned_signals[0]); i++) {
        sigaddset(&set, owned_signals[i]);
    }
    return set;
}

static void
on_one_signal(loop_t *self, int signal_number)
{
    bool stops = signal_number == SIGTERM || signal_number == SIGINT;
    if (stops && self->stop_fn != NULL) {
        self->stop_fn(self->stop_arg, signal_number);
    } else if (stops) {
        self->stop_signal = signal_number;
        self->stopped = true;
    } else if (signal_number != SIGPIPE && self->signal_fn != NULL) {
        self->signal_fn(self->signal_arg, signal_number); // a SIGPIPE was an EPIPE to its writer
    }
}

static void
on_signals(void *arg)
{
    loop_t *self = arg;
    struct signalfd_siginfo info;
    while (read(self->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
        on_one_signal(self, (int) info.ssi_signo);
    }
}

loop_t *
loop_new(void)
{
    zsys_handler_set(NULL); // czmq must never take SIGTERM and SIGINT for itself
    sigset_t set = signal_set();
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert(rc == 0);
    loop_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->items = calloc(LOOP_ITEMS_MAX, sizeof(*self->items));
    self->polled = calloc(LOOP_ITEMS_MAX, sizeof(*self->polled));
    self->timers = calloc(LOOP_TIMERS_MAX, sizeof(*self->timers));
    self->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    assert(self->items != NULL && self->polled != NULL && self->timers != NULL);
    assert(self->signal_fd >= 0);
    loop_add_fd(self, self->signal_fd, POLLIN, on_signals, self);
    return self;
}

void
loop_destroy(loop_t **self_p)
{
    loop_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    close(self->signal_fd);
    free(self->items);
    free(self->polled);
    free(self->timers);
    free(self);
    *self_p = NULL;
}

// Whether two items are the same thing: the socket, or the descriptor where there is none.
static bool
is_same(const item_t *item, void *socket, int fd)
{
    return item->fn != NULL && item->socket == socket && (socket != NULL || item->fd == fd);
}

static void
add_item(loop_t *self, item_t item)
{
    assert(item.fn != NULL);
    for (size_t i = 0; i < self->item_count; i++) {
        assert(!is_same(&self->items[i], item.socket, item.fd));
    }
    assert(self->item_count < LOOP_ITEMS_MAX);
    self->items[self->item_count++] = item;
    self->changed = true;
}

static void
remove_item(loop_t *self, void *socket, int fd)
{
    for (size_t i = 0; i < self->item_count; i++) {
        if (is_same(&self->items[i], socket, fd)) {
            self->items[i].fn = NULL;
            self->changed = true;
        }
    }
}

void
loop_add_socket(loop_t *self, void *socket, loop_fn *fn, void *arg)
{
    assert(socket != NULL);
    int fd = -1;
    size_t size = sizeof(fd);
    int rc = zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    assert(rc == 0);
    add_item(self,
             (item_t){.socket = socket,
                      .fd = fd,
                      .events = POLLIN,
                      .is_hot = true, // what came before it was added
                      .fn = fn,
                      .arg = arg});
}

void
loop_remove_socket(loop_t *self, void *socket)
{
    assert(socket != NULL);
    remove_item(self, socket, -1);
}

void
loop_add_fd(loop_t *self, int fd, short events, loop_fn *fn, void *arg)
{
    assert(fd >= 0);
    add_item(self, (item_t){.fd = fd, .events = events, .fn = fn, .arg = arg});
}

void
loop_remove_fd(loop_t *self, int fd)
{
    remove_item(self, NULL, fd);
}

// Takes out the timers that are gone, keeping the order of the others.
static void
sweep_timers(loop_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->timer_count; i++) {
        if (self->timers[i].fn != NULL) {
            self->timers[kept++] = self->timers[i];
        }
    }
    self->timer_count = kept;
}

int
loop_add_timer(loop_t *self, unsigned delay_ms, unsigned times, loop_fn *fn, void *arg)
{
    assert(fn != NULL);
    if (self->timer_count == LOOP_TIMERS_MAX) {
        sweep_timers(self);
    }
    assert(self->timer_count < LOOP_TIMERS_MAX);
    self->last_timer_id = self->last_timer_id == INT_MAX ? 1 : self->last_timer_id + 1;
    uint64_t period_us = (uint64_t) delay_ms * 1000;
    self->timers[self->timer_count++] = (timer_entry_t){.id = self->last_timer_id,
                                                        .due_us = clock_boot_us() + period_us,
                                                        .period_us = period_us,
                                                        .left = times,
                                                        .round = self->round,
                                                        .fn = fn,
                                                        .arg = arg};
    return self->last_timer_id;
}

void
loop_cancel_timer(loop_t *self, int timer_id)
{
    for (size_t i = 0; i < self->timer_count; i++) {
        if (self->timers[i].id == timer_id) {
            self->timers[i].fn = NULL;
        }
    }
}

void
loop_on_signal(loop_t *self, loop_signal_fn *fn, void *arg)
{
    self->signal_fn = fn;
    self->signal_arg = arg;
}

void
loop_on_stop(loop_t *self, loop_signal_fn *fn, void *arg)
{
    self->stop_fn = fn;
    self->stop_arg = arg;
}

// Sweeps the items and makes the poll set from what is left.
static void
rebuild_polled(loop_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->item_count; i++) {
        if (self->items[i].fn == NULL) {
            continue;
        }
        self->items[kept] = self->items[i];
        self->polled[kept] =
            (struct pollfd){.fd = self->items[i].fd, .events = self->items[i].events};
        kept++;
    }
    self->item_count = kept;
    self->polled_count = kept;
    self->changed = false;
}

// Milliseconds until the first timer is due, rounded up: a timer never fires early.
static long
wait_ms(const loop_t *self)
{
    uint64_t now_us = clock_boot_us();
    uint64_t wait_us = (uint64_t) LOOP_WAIT_MS_MAX * 1000;
    for (size_t i = 0; i < self->timer_count; i++) {
        uint64_t due_us = self->timers[i].due_us;
        uint64_t left_us = due_us > now_us ? due_us - now_us : 0;
        if (self->timers[i].fn != NULL && left_us < wait_us) {
            wait_us = left_us;
        }
    }
    return (long) ((wait_us + 999) / 1000);
}

// The timer that has been due longest and has not had its turn in this round; NULL: none.
static timer_entry_t *
next_due(loop_t *self, uint64_t now_us)
{
    timer_entry_t *first = NULL;
    for (size_t i = 0; i < self->timer_count; i++) {
        timer_entry_t *timer = &self->timers[i];
        if (timer->fn != NULL && timer->round != self->round && timer->due_us <= now_us &&
            (first == NULL || timer->due_us < first->due_us)) {
            first = timer;
        }
    }
    return first;
}

static void
run_timers(loop_t *self)
{
    uint64_t now_us = clock_boot_us();
    timer_entry_t *timer = next_due(self, now_us);
    while (timer != NULL && !self->stopped) {
        loop_fn *fn = timer->fn;
        timer->round = self->round;
        timer->due_us += timer->period_us;
        if (timer->due_us <= now_us) {
            timer->due_us = now_us + timer->period_us; // what was missed is not made up for
        }
        if (timer->left == 1) {
            timer->fn = NULL;
        } else if (timer->left > 1) {
            timer->left--;
        }
        fn(timer->arg);
        timer = next_due(self, now_us);
    }
}

static void
run_items(loop_t *self)
{
    for (size_t i = 0; i < self->polled_count && !self->stopped; i++) {
        item_t *item = &self->items[i];
        item->is_hot = item->is_ready && item->socket != NULL;
        if (item->is_ready && item->fn != NULL) {
            item->fn(item->arg);
        }
    }
}

// --- Polling ------------------------------------------------------------------------------------

// Whether a message can be received.
static bool
ask_socket(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    int rc = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    assert(rc == 0); // it was closed, or its context ended, before it was removed
    return (events & ZMQ_POLLIN) != 0;
}

// Polls all descriptors and marks the items that are to be called. Returns how many they are, or -1
// where a signal that is not ours, or a debugger, ended the wait.
static int
look(loop_t *self, int timeout_ms)
{
    int stirred = poll(self->polled, self->polled_count, timeout_ms);
    if (stirred < 0) {
        assert(errno == EINTR);
        return -1;
    }
    int ready = 0;
    for (size_t i = 0; i < self->polled_count; i++) {
        item_t *item = &self->items[i];
        short revents = self->polled[i].revents;
        assert((revents & POLLNVAL) == 0); // it was closed before it was removed
        item->is_ready = revents != 0 || item->is_hot;
        item->is_hot = false;
        if (item->is_ready && item->socket != NULL) {
            item->is_ready = ask_socket(item->socket);
        }
        ready += item->is_ready;
    }
    return ready;
}

// Adds what only asking tells.
static int
ask_others(loop_t *self)
{
    int ready = 0;
    for (size_t i = 0; i < self->polled_count; i++) {
        item_t *item = &self->items[i];
        if (!item->is_ready && item->socket != NULL) {
            item->is_ready = ask_socket(item->socket);
        }
        ready += item->is_ready;
    }
    return ready;
}

// Marks the items that are to be called, waiting until there is one or a timer is due.
static int
await(loop_t *self)
{
    int ready = look(self, 0);
    if (ready == 0 || (ready > 0 && self->round % ASK_ALL_EVERY == 0)) {
        ready = ask_others(self);
    }
    return ready == 0 ? look(self, (int) wait_ms(self)) : ready;
}

int
loop_run(loop_t *self)
{
    while (!self->stopped) {
        sweep_timers(self);
        if (self->changed) {
            rebuild_polled(self);
        }
        int ready = await(self);
        if (ready < 0) {
            continue;
        }
        self->round++;
        run_timers(self);
        if (ready > 0) {
            run_items(self);
        }
    }
    int signal_number = self->stop_signal;
    self->stopped = false;
    self->stop_signal = 0;
    return signal_number;
}

void
loop_stop(loop_t *self)
{
    self->stopped = true;
}

void
loop_child_signals(void)
{
    // What loop_new blocked is exactly this, so no state is needed, and it is safe after a fork.
    sigset_t set = signal_set();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    // A shell starts what it puts behind with SIGQUIT ignored, and that would be handed down.
    (void) signal(SIGQUIT, SIG_DFL);
}
