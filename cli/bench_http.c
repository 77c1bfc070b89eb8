// bench_http.c - a load of HTTP: connections that are kept alive, each with one request at a time,
// in one thread on one epoll. See bench.h.
//
// It knows of HTTP what the bridge answers with: a status line, Content-Length, and a body.
// Anything else ends the case, as does any status but 200.
#include "bench.h"

#include "runtime/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    ANSWER_SIZE_MAX = 16 * 1024, // head and body; ours have some 500 bytes
    REQUEST_SIZE_MAX = 4096,     // head and body
    TOKEN_SIZE_MAX = 256,        // of a bearer token
    STUCK_MS = 10000,            // nothing answered for so long
    READ_SET = 1000,             // artifacts that are read, again and again
};

// What is asked, with a place for 16 digits where each request has a number of its own.
typedef struct {
    const char *line; // method and path
    const char *body; // "": none
} request_t;

#define NUMBER "0000000000000000"
#define TEXT_64 "sixty-four bytes of what an agent wrote while it did its work.. "
#define TEXT_256 TEXT_64 TEXT_64 TEXT_64 TEXT_64

static const request_t requests[] = {
    [CLI_BENCH_EVENT] =
        {"POST /core/write-event",
         "{\"requester_id\":\"bhiv_core\",\"event_data\":{\"event_type\":\"bench_step\","
         "\"agent_id\":\"bench_agent\",\"user_id\":\"bench_user\",\"step\":3,"
         "\"note\":\"what was done, in a line of text of the usual length, or a little over "
         "that\"}}"},
    [CLI_BENCH_ARTIFACT_WRITE] =
        {"POST /bucket/artifact/write",
         "{\"artifact_id\":\"bench-" NUMBER "\",\"content\":{\"text\":\"" TEXT_256 TEXT_256 TEXT_256
         "\"},\"metadata\":{\"product\":\"gurukul\",\"created_by\":\"bench\",\"retention_days\":90,"
         "\"tags\":[\"bench\",\"lesson\"],\"title\":\"what it is, in one line\"}}"},
    [CLI_BENCH_ARTIFACT_READ] = {"GET /bucket/artifact/read?artifact_id=bench-" NUMBER
                                 "&product=gurukul",
                                 ""},
    [CLI_BENCH_TASK] =
        {"POST /handle_task",
         "{\"agent\":\"text_agent\",\"input\":\"what an agent is asked, in a line of "
         "text of the usual length, or a little over that\"}"},
};

typedef struct {
    int fd;           // -1: not open
    size_t size;      // bytes of the answer so far
    uint64_t sent_us; // when the request was sent
    char *answer;     // ANSWER_SIZE_MAX bytes and a NUL
} connection_t;

typedef struct {
    connection_t connections[CONNECTIONS_MAX];
    unsigned count; // connections in use
    int epoll;
    char request[REQUEST_SIZE_MAX];
    size_t request_size;
    char *number;                   // of 16 digits within it; NULL: all requests are the same
    uint64_t numbers;               // how many there are before they begin again
    uint64_t total, sent, answered; // requests
    double *samples;                // microseconds, of each answer
} load_t;

static bool
failed(const char *what)
{
    cli_fail(CLI_NEGATIVE, "bench: %s", what);
    return false;
}

// --- Connections -------------------------------------------------------------------------------

static bool
open_connection(load_t *self, connection_t *connection, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection->answer = malloc(ANSWER_SIZE_MAX + 1);
    assert(connection->answer);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = connection};
    return connection->fd >= 0 &&
           connect(connection->fd, (struct sockaddr *) &address, sizeof address) == 0 &&
           setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           epoll_ctl(self->epoll, EPOLL_CTL_ADD, connection->fd, &wanted) == 0;
}

static load_t *
load_new(unsigned port, const char *token, cli_bench_request_t kind, uint64_t total)
{
    load_t *self = calloc(1, sizeof *self);
    assert(self);
    self->total = total;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->samples = calloc(total, sizeof *self->samples);
    assert(self->samples && self->epoll >= 0);
    const request_t *request = &requests[kind];
    size_t body_size = strlen(request->body);
    char head[96] = "";
    char credential[TOKEN_SIZE_MAX + 32] = "";
    if (token != NULL) {
        (void) snprintf(
            credential, sizeof credential, "Authorization: Bearer %.*s\r\n", TOKEN_SIZE_MAX, token);
    }
    if (body_size > 0) {
        (void) snprintf(head,
                        sizeof head,
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                        body_size);
    }
    int size = snprintf(self->request,
                        sizeof self->request,
                        "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s\r\n%s",
                        request->line,
                        port,
                        credential,
                        head,
                        request->body);
    assert(size > 0 && (size_t) size < sizeof self->request);
    self->request_size = (size_t) size;
    self->number = strstr(self->request, NUMBER);
    self->numbers = kind == CLI_BENCH_ARTIFACT_READ ? READ_SET : UINT64_MAX;
    return self;
}

static void
load_destroy(load_t **self_p)
{
    load_t *self = *self_p;
    for (unsigned i = 0; i < self->count; ++i) {
        if (self->connections[i].fd >= 0) {
            close(self->connections[i].fd);
        }
        free(self->connections[i].answer);
    }
    close(self->epoll);
    free(self->samples);
    free(self);
    *self_p = NULL;
}

// --- Asking and hearing ------------------------------------------------------------------------

static bool
ask(load_t *self, connection_t *connection)
{
    connection->size = 0;
    connection->sent_us = clock_boot_us();
    if (self->number != NULL) {
        char digits[24]; // a uint64_t's, at most
        int size = snprintf(digits, sizeof digits, "%016" PRIu64, self->sent % self->numbers);
        memcpy(self->number, digits + size - (sizeof NUMBER - 1), sizeof NUMBER - 1);
    }
    ++self->sent;
    return send(connection->fd, self->request, self->request_size, MSG_NOSIGNAL) ==
           (ssize_t) self->request_size;
}

// Whether the whole answer is there. *ret_fine: so far it is one that the bridge gives.
static bool
is_whole(const connection_t *connection, bool *ret_fine)
{
    static const char status[] = "HTTP/1.1 200 ";
    static const char length[] = "\r\nContent-Length: ";
    const char *head_end = strstr(connection->answer, "\r\n\r\n");
    *ret_fine = connection->size < ANSWER_SIZE_MAX;
    if (head_end == NULL) {
        return false;
    }
    const char *at = strstr(connection->answer, length);
    *ret_fine = *ret_fine && strncmp(connection->answer, status, sizeof status - 1) == 0 &&
                at != NULL && at < head_end;
    if (!*ret_fine) {
        return false;
    }
    size_t body = strtoul(at + sizeof length - 1, NULL, 10);
    return connection->size >= (size_t) (head_end + 4 - connection->answer) + body;
}

static bool
take(load_t *self, connection_t *connection)
{
    ssize_t got = recv(connection->fd,
                       connection->answer + connection->size,
                       ANSWER_SIZE_MAX - connection->size,
                       MSG_DONTWAIT);
    if (got <= 0) {
        return failed("the bridge closed a connection");
    }
    connection->size += (size_t) got;
    connection->answer[connection->size] = '\0';
    bool fine = false;
    if (!is_whole(connection, &fine)) {
        return fine || failed("the bridge answered something else than 200");
    }
    self->samples[self->answered++] = (double) (clock_boot_us() - connection->sent_us);
    return self->sent == self->total || ask(self, connection) || failed("cannot send a request");
}

static bool
run_load(load_t *self)
{
    struct epoll_event ready[64];
    for (unsigned i = 0; i < self->count && self->sent < self->total; ++i) {
        if (!ask(self, &self->connections[i])) {
            return failed("cannot send a request");
        }
    }
    while (self->answered < self->total) {
        int count = epoll_wait(self->epoll, ready, sizeof ready / sizeof ready[0], STUCK_MS);
        if (count <= 0) {
            return failed("a request was not answered");
        }
        for (int i = 0; i < count; ++i) {
            if (!take(self, ready[i].data.ptr)) {
                return false;
            }
        }
    }
    return true;
}

static bool
measure(unsigned port,
        const char *token,
        cli_bench_request_t kind,
        unsigned connections,
        uint64_t count,
        cli_bench_result_t *ret_result)
{
    port += kind == CLI_BENCH_TASK ? 1 : 0; // Core's is the one after Bucket's
    BUS_AUTO(load_destroy) load_t *self = load_new(port, token, kind, count);
    for (; self->count < connections; ++self->count) {
        connection_t *connection = &self->connections[self->count];
        connection->fd = -1;
        if (!open_connection(self, connection, port)) {
            ++self->count; // it is to be closed as well
            return failed("cannot connect to the bridge");
        }
    }
    uint64_t began_us = clock_boot_us();
    if (!run_load(self)) {
        return false;
    }
    ret_result->rate = (double) count * 1e6 / (double) (clock_boot_us() - began_us);
    cli_bench_percentiles(self->samples, count, ret_result);
    return true;
}

bool
cli_bench_http(unsigned port,
               const char *token,
               cli_bench_request_t kind,
               unsigned connections,
               uint64_t count,
               cli_bench_result_t *ret_result)
{
    assert(connections <= CONNECTIONS_MAX && count > 0);
    *ret_result = (cli_bench_result_t){0};
    cli_bench_result_t ignored;
    if (kind == CLI_BENCH_ARTIFACT_READ &&
        !measure(port, token, CLI_BENCH_ARTIFACT_WRITE, connections, READ_SET, &ignored)) {
        return false;
    }
    return measure(port, token, kind, connections, count, ret_result);
}
