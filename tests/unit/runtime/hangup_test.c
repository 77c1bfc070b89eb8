// hangup_test.c - what is not read is not watched, and its end is told with its input.
#include "runtime/hangup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// A set, and a connection with one end in it.
typedef struct {
    int set;
    int here;
    int there;
} rig_t;

static rig_t
rig_make(void)
{
    hangup_defer();
    rig_t rig = {.set = epoll_create1(EPOLL_CLOEXEC)};
    int ends[2];
    cr_assert_geq(rig.set, 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    rig.here = ends[0];
    rig.there = ends[1];
    return rig;
}

static void
hang_up(rig_t *rig)
{
    close(rig->there);
    rig->there = -1;
}

static void
rig_end(rig_t *rig)
{
    close(rig->set);
    close(rig->here);
    if (rig->there >= 0) {
        close(rig->there);
    }
}

static int
ask(rig_t *rig, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = rig->here};
    return epoll_ctl(rig->set, operation, rig->here, &event);
}

// What is told of the descriptor now; 0: nothing.
static uint32_t
told(rig_t *rig)
{
    struct epoll_event event;
    int count = epoll_wait(rig->set, &event, 1, 0);
    cr_assert_geq(count, 0);
    cr_assert(count == 0 || event.data.fd == rig->here);
    return count == 0 ? 0 : event.events;
}

Test(hangup, is_told_when_input_is_asked_for_again)
{
    rig_t rig = rig_make();
    cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, 0), 0);
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, EPOLLIN), 0);
    cr_assert_eq(write(rig.there, "abc", 3), 3);
    cr_expect_eq(told(&rig), EPOLLIN);
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, 0), 0);
    hang_up(&rig);
    cr_expect_eq(told(&rig), 0, "nobody reads it: nobody is told");
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, EPOLLOUT), 0);
    cr_expect_eq(told(&rig), 0);
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT), 0);
    cr_expect_eq(told(&rig), EPOLLIN | EPOLLOUT, "the input ends with it");
    char text[8];
    cr_expect_eq(read(rig.here, text, sizeof(text)), 3, "what it said before is there");
    cr_expect_eq(read(rig.here, text, sizeof(text)), 0);
    rig_end(&rig);
}

Test(hangup, of_one_that_is_read_is_told_as_the_end_of_its_input)
{
    rig_t rig = rig_make();
    cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, EPOLLIN), 0);
    hang_up(&rig);
    cr_expect_eq(told(&rig), EPOLLIN);
    char byte;
    cr_expect_eq(read(rig.here, &byte, 1), 0);
    rig_end(&rig);
}

Test(hangup, of_a_connection_that_is_being_made_is_told)
{
    rig_t rig = rig_make();
    cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, 0), 0);
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, EPOLLOUT), 0); // as libzmq waits for a connect
    cr_expect_eq(told(&rig), EPOLLOUT);
    cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, 0), 0);
    hang_up(&rig);
    cr_expect_eq(told(&rig), EPOLLHUP);
    rig_end(&rig);
}

Test(hangup, one_that_is_not_read_is_removed_and_added_as_any)
{
    rig_t rig = rig_make();
    cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, EPOLLIN), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ask(&rig, EPOLL_CTL_MOD, 0), 0);
        cr_assert_eq(ask(&rig, EPOLL_CTL_DEL, 0), 0);
        errno = 0;
        cr_expect_eq(ask(&rig, EPOLL_CTL_DEL, 0), -1, "it has gone");
        cr_expect_eq(errno, ENOENT);
        cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, EPOLLIN), 0);
        cr_expect_eq(ask(&rig, EPOLL_CTL_ADD, EPOLLIN), -1, "it is there");
        cr_expect_eq(errno, EEXIST);
        cr_assert_eq(write(rig.there, "x", 1), 1);
        cr_expect_eq(told(&rig), EPOLLIN);
    }
    rig_end(&rig);
}

Test(hangup, of_whoever_has_no_input_is_told_as_ever)
{
    rig_t rig = rig_make();
    cr_assert_eq(ask(&rig, EPOLL_CTL_ADD, EPOLLOUT), 0);
    hang_up(&rig);
    cr_expect_eq(told(&rig), EPOLLOUT | EPOLLHUP);
    rig_end(&rig);
}

Test(hangup, what_is_no_descriptor_is_refused_by_the_kernel)
{
    rig_t rig = rig_make();
    struct epoll_event event = {.events = EPOLLIN};
    errno = 0;
    cr_expect_eq(epoll_ctl(rig.set, EPOLL_CTL_ADD, -1, &event), -1);
    cr_expect_eq(errno, EBADF);
    errno = 0;
    cr_expect_eq(epoll_ctl(rig.set, EPOLL_CTL_MOD, HANGUP_FDS_MAX + 1, &event), -1);
    cr_expect_eq(errno, EBADF);
    errno = 0;
    cr_expect_eq(ask(&rig, EPOLL_CTL_MOD, EPOLLIN), -1);
    cr_expect_eq(errno, ENOENT);
    rig_end(&rig);
}
