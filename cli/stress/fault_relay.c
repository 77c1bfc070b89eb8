// fault_relay.c - a process between a peer and the broker, which passes bytes on until it is told
// to hold them back. See fault.h.
//
// Held back, its connections stay open and silent, which is what a dead router between two machines
// looks like: neither side's kernel knows of anything.
#include "fault.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PORTS = 2,
    PAIRS_MAX = 32, // connections: a peer has three
    PIECE = 65536,
    CONTROL = PORTS, // where in the poll set
    FIRST = CONTROL + 1
};

// Two ends of one connection: what comes from one goes to the other.
typedef struct {
    int ends[2];
} pair_t;

typedef struct {
    int listeners[PORTS];
    int control;
    unsigned to[PORTS];
    pair_t pairs[PAIRS_MAX];
    size_t count;
    bool holds;
    char piece[PIECE]; // on its way
} relay_t;

static struct sockaddr_in
loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t) port)};
}

static int
listen_anywhere(unsigned *ret_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *) &address, size) != 0 || listen(fd, 16) != 0 ||
                    getsockname(fd, (struct sockaddr *) &address, &size) != 0)) {
        close(fd);
        fd = -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void
take_connection(relay_t *self, size_t port)
{
    int in = accept4(self->listeners[port], NULL, NULL, SOCK_CLOEXEC);
    struct sockaddr_in address = loopback(self->to[port]);
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_room = in >= 0 && out >= 0 && self->count < PAIRS_MAX;
    if (has_room && connect(out, (struct sockaddr *) &address, sizeof address) == 0) {
        self->pairs[self->count++] = (pair_t){.ends = {in, out}};
        return;
    }
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
    }
}

static bool
pass_on(relay_t *self, int from, int to)
{
    ssize_t size = read(from, self->piece, sizeof self->piece);
    for (ssize_t done = 0; done < size;) {
        // Who hung up while it was held back is an error of this pair, and no SIGPIPE.
        ssize_t written = send(to, self->piece + done, (size_t) (size - done), MSG_NOSIGNAL);
        if (written <= 0) {
            return false;
        }
        done += written;
    }
    return size > 0;
}

static void
drop_pair(relay_t *self, size_t place)
{
    close(self->pairs[place].ends[0]);
    close(self->pairs[place].ends[1]);
    self->pairs[place] = self->pairs[--self->count];
}

// What the poll set says of the pairs, the last first, so that dropping one moves none to come.
static void
serve_pairs(relay_t *self, const struct pollfd *polled, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        for (size_t end = 0; end < 2; ++end) {
            const struct pollfd *one = &polled[FIRST + 2 * i + end];
            if (one->revents != 0 && !pass_on(self, one->fd, self->pairs[i].ends[1 - end])) {
                drop_pair(self, i);
                break;
            }
        }
    }
}

static int
relay(void *arg)
{
    relay_t *self = arg;
    for (;;) {
        struct pollfd polled[FIRST + 2 * PAIRS_MAX];
        size_t count = self->count;
        for (size_t i = 0; i < PORTS; ++i) {
            polled[i] =
                (struct pollfd){.fd = self->holds ? -1 : self->listeners[i], .events = POLLIN};
        }
        polled[CONTROL] = (struct pollfd){.fd = self->control, .events = POLLIN};
        for (size_t i = 0; i < 2 * count; ++i) {
            int fd = self->pairs[i / 2].ends[i % 2];
            polled[FIRST + i] = (struct pollfd){.fd = self->holds ? -1 : fd, .events = POLLIN};
        }
        if (poll(polled, FIRST + 2 * count, -1) < 0) {
            return CLI_IO;
        }
        char word = 0;
        if (polled[CONTROL].revents != 0) {
            if (read(self->control, &word, 1) != 1) {
                return CLI_DONE; // whoever started us is gone
            }
            self->holds = word == 'h';
            continue;
        }
        serve_pairs(self, polled, count);
        for (size_t i = 0; i < PORTS; ++i) {
            if (polled[i].revents != 0) {
                take_connection(self, i);
            }
        }
    }
}

bool
cli_fault_relay_start(const unsigned ports[2], cli_fault_relay_t *ret_relay)
{
    *ret_relay = CLI_FAULT_RELAY_NONE;
    relay_t self = {.listeners = {-1, -1}, .to = {ports[0], ports[1]}};
    int control[2] = {-1, -1};
    bool is_ready = pipe2(control, O_CLOEXEC) == 0;
    for (size_t i = 0; i < PORTS; ++i) {
        self.listeners[i] = listen_anywhere(&ret_relay->ports[i]);
        is_ready = is_ready && self.listeners[i] >= 0;
    }
    self.control = control[0];
    is_ready = is_ready && cli_fault_process_fork(relay, &self, &ret_relay->process);
    for (size_t i = 0; i < PORTS; ++i) {
        if (self.listeners[i] >= 0) {
            close(self.listeners[i]);
        }
    }
    if (control[0] >= 0) {
        close(control[0]);
    }
    ret_relay->control = control[1];
    return is_ready;
}

bool
cli_fault_relay_hold(const cli_fault_relay_t *self, bool holds)
{
    return write(self->control, holds ? "h" : "g", 1) == 1;
}

bool
cli_fault_relay_lives(cli_fault_relay_t *self)
{
    return cli_fault_process_wait(&self->process, 0) < 0;
}

void
cli_fault_relay_end(cli_fault_relay_t *self)
{
    cli_fault_process_end(&self->process);
    if (self->control >= 0) {
        close(self->control);
        self->control = -1;
    }
}
