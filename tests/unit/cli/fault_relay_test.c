// fault_relay_test.c - the relay of the drill block_heartbeats: it passes on, holds back, and
// outlives what hangs up meanwhile.
#include "stress/fault.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 5000, SILENCE_MS = 200 };

// A connection through a relay: the one who called, and the end that the relay called for it.
typedef struct {
    int listener;
    cli_fault_relay_t relay;
    int near;
    int far;
} rig_t;

static struct sockaddr_in
loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t) port)};
}

static rig_t
rig_make(void)
{
    rig_t rig = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 .near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    cr_assert_eq(bind(rig.listener, (struct sockaddr *) &address, size), 0);
    cr_assert_eq(listen(rig.listener, 1), 0);
    cr_assert_eq(getsockname(rig.listener, (struct sockaddr *) &address, &size), 0);
    unsigned port = ntohs(address.sin_port);
    cr_assert(cli_fault_relay_start((const unsigned[]){port, port}, &rig.relay));
    address = loopback(rig.relay.ports[0]);
    cr_assert_eq(connect(rig.near, (struct sockaddr *) &address, sizeof address), 0);
    rig.far = accept(rig.listener, NULL, NULL);
    cr_assert_geq(rig.far, 0);
    return rig;
}

static void
rig_end(rig_t *rig)
{
    cr_assert(cli_fault_relay_lives(&rig->relay));
    cli_fault_relay_end(&rig->relay);
    close(rig->near);
    if (rig->far >= 0) {
        close(rig->far);
    }
    close(rig->listener);
}

static bool
is_readable(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

static void
assert_arrives(int from, int to, char word)
{
    cr_assert_eq(send(from, &word, 1, MSG_NOSIGNAL), 1);
    cr_assert(is_readable(to, WAIT_MS));
    char heard = 0;
    cr_assert_eq(recv(to, &heard, 1, 0), 1);
    cr_assert_eq(heard, word);
}

Test(fault_relay, passes_on_both_ways)
{
    rig_t rig = rig_make();
    assert_arrives(rig.near, rig.far, 'a');
    assert_arrives(rig.far, rig.near, 'b');
    rig_end(&rig);
}

Test(fault_relay, what_is_held_back_comes_later)
{
    rig_t rig = rig_make();
    assert_arrives(rig.near, rig.far, 'a');
    cr_assert(cli_fault_relay_hold(&rig.relay, true));
    cli_fault_pause(SILENCE_MS); // it was told, which nothing says
    cr_assert_eq(send(rig.near, "c", 1, MSG_NOSIGNAL), 1);
    cr_assert_not(is_readable(rig.far, SILENCE_MS));
    cr_assert(cli_fault_relay_hold(&rig.relay, false));
    char heard = 0;
    cr_assert(is_readable(rig.far, WAIT_MS));
    cr_assert_eq(recv(rig.far, &heard, 1, 0), 1);
    cr_assert_eq(heard, 'c');
    rig_end(&rig);
}

// The far end says that it is done and then resets: to write to that is EPIPE, and SIGPIPE.
Test(fault_relay, an_end_that_hung_up_while_held_back_ends_its_pair_alone)
{
    rig_t rig = rig_make();
    assert_arrives(rig.near, rig.far, 'a');
    cr_assert(cli_fault_relay_hold(&rig.relay, true));
    cli_fault_pause(SILENCE_MS);
    cr_assert_eq(send(rig.near, "c", 1, MSG_NOSIGNAL), 1);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    cr_assert_eq(shutdown(rig.far, SHUT_WR), 0);
    cr_assert_eq(setsockopt(rig.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(rig.far);
    rig.far = -1;
    cr_assert(cli_fault_relay_hold(&rig.relay, false));
    cr_assert(is_readable(rig.near, WAIT_MS));
    char heard = 0;
    cr_assert_leq(recv(rig.near, &heard, 1, 0), 0, "its own pair has ended");
    struct sockaddr_in address = loopback(rig.relay.ports[1]);
    int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(again, (struct sockaddr *) &address, sizeof address), 0);
    cr_assert(is_readable(rig.listener, WAIT_MS), "it goes on for others");
    rig.far = accept(rig.listener, NULL, NULL);
    assert_arrives(again, rig.far, 'd');
    close(again);
    rig_end(&rig);
}
