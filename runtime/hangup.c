// hangup.c - the process's own epoll_ctl and epoll_wait: a descriptor that was asked for input, and
// is asked for none now, leaves the set until it is asked for input again; and of one that has
// input no hang-up is told.
//
// One descriptor is watched by one thread, as libzmq has it, so its state needs no lock.
#include "hangup.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum {
    PLAIN,  // not in the set, or never asked for input: a connection that is being made
    READ,   // asked for input
    PARKED, // taken out of the set; its owner believes it to be in
} state_t;

static atomic_bool is_deferring;
static atomic_uchar states[HANGUP_FDS_MAX];

void
hangup_defer(void)
{
    atomic_store(&is_deferring, true);
}

static int
control(int set, int operation, int fd, struct epoll_event *event)
{
    return (int) syscall(SYS_epoll_ctl, set, operation, fd, event);
}

// The state that a descriptor has once it is watched for this.
static state_t
watched_for(const struct epoll_event *event)
{
    return (event->events & EPOLLIN) != 0 ? READ : PLAIN;
}

static int
modify(int set, int fd, struct epoll_event *event)
{
    state_t state = atomic_load(&states[fd]);
    bool wants_input = watched_for(event) == READ;
    if (state == PARKED && !wants_input) {
        return 0; // what else it wants is said again with the input
    }
    int operation = EPOLL_CTL_MOD;
    state_t next = wants_input ? READ : PLAIN;
    if (state == PARKED) {
        operation = EPOLL_CTL_ADD;
    } else if (state == READ && !wants_input) {
        operation = EPOLL_CTL_DEL;
        next = PARKED;
    }
    int rc = control(set, operation, fd, event);
    if (rc == 0) {
        atomic_store(&states[fd], next);
    }
    return rc;
}

// In place of the C library's, as the one below: names that are not ours to choose.
__attribute__((visibility("default"))) int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (!atomic_load(&is_deferring) || fd < 0 || fd >= HANGUP_FDS_MAX) {
        return control(epfd, op, fd, event);
    }
    if (op == EPOLL_CTL_MOD) {
        return modify(epfd, fd, event);
    }
    state_t state = atomic_exchange(&states[fd], PLAIN);
    if (op == EPOLL_CTL_DEL && state == PARKED) {
        return 0;
    }
    int rc = control(epfd, op, fd, event);
    if (rc == 0 && op == EPOLL_CTL_ADD) {
        atomic_store(&states[fd], watched_for(event));
    }
    return rc;
}

__attribute__((visibility("default"))) int
epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
    int count = (int) syscall(SYS_epoll_pwait, epfd, events, maxevents, timeout, NULL, 0);
    for (int i = 0; i < count && atomic_load(&is_deferring); i++) {
        if ((events[i].events & EPOLLIN) != 0) {
            events[i].events &= ~(uint32_t) (EPOLLHUP | EPOLLERR); // the input ends with it
        }
    }
    return count;
}
