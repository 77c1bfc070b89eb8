// transfer_test.c - requests to servers outside: a server in the same loop answers as it is told.
#include "runtime/loop.h"
#include "runtime/transfer.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GUESTS_MAX = 16, HEARD_MAX = 8192 };

// What the server does once it has the head of a request.
typedef enum { ANSWER, HANG, RESET, FLOOD, ANSWER_THEN_HANG_UP } manner_t;

typedef struct server server_t;

typedef struct {
    server_t *server;
    int fd;
} guest_t;

struct server {
    loop_t *loop;
    transfers_t *pool;
    int fd;
    unsigned port;
    guest_t guests[GUESTS_MAX];
    size_t guest_count;
    char heard[HEARD_MAX]; // of the last guest that said something
    size_t heard_count;    // how often any said something
    const char *answer;
    manner_t manner[GUESTS_MAX]; // of each guest, in their order
};

static server_t *server;

static void
on_guest(void *arg)
{
    guest_t *guest = arg;
    server_t *self = guest->server;
    char *heard = self->heard;
    ssize_t got = recv(guest->fd, heard, HEARD_MAX - 1, 0);
    if (got <= 0) {
        loop_remove_fd(self->loop, guest->fd);
        return;
    }
    heard[got] = '\0';
    self->heard_count++;
    switch (self->manner[guest - self->guests]) {
    case ANSWER:
        cr_assert_gt(send(guest->fd, self->answer, strlen(self->answer), MSG_NOSIGNAL), 0);
        return;
    case ANSWER_THEN_HANG_UP:
        if (self->heard_count == 1) {
            cr_assert_gt(send(guest->fd, self->answer, strlen(self->answer), MSG_NOSIGNAL), 0);
        } else {
            cr_assert_eq(shutdown(guest->fd, SHUT_WR), 0); // it heard that, and says nothing
        }
        return;
    case HANG:
        return;
    case RESET: {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        (void) setsockopt(guest->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        loop_remove_fd(self->loop, guest->fd);
        close(guest->fd);
        guest->fd = -1;
        return;
    }
    case FLOOD: {
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
        char body[5000];
        memset(body, 'x', sizeof body);
        (void) send(guest->fd, head, sizeof head - 1, MSG_NOSIGNAL);
        (void) send(guest->fd, body, sizeof body, MSG_NOSIGNAL);
        return;
    }
    }
}

static void
on_connection(void *arg)
{
    server_t *self = arg;
    cr_assert_lt(self->guest_count, GUESTS_MAX);
    guest_t *guest = &self->guests[self->guest_count++];
    *guest = (guest_t){.server = self, .fd = accept(self->fd, NULL, NULL)};
    cr_assert_geq(guest->fd, 0);
    loop_add_fd(self->loop, guest->fd, POLLIN, on_guest, guest);
}

static void
setup(void)
{
    server = calloc(1, sizeof *server);
    server->loop = loop_new();
    server->pool = transfer_pool_new(server->loop);
    server->answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    cr_assert_eq(bind(server->fd, (struct sockaddr *) &address, sizeof address), 0);
    cr_assert_eq(listen(server->fd, GUESTS_MAX), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *) &address, &size), 0);
    server->port = ntohs(address.sin_port);
    loop_add_fd(server->loop, server->fd, POLLIN, on_connection, server);
}

static void
teardown(void)
{
    transfer_pool_destroy(&server->pool);
    loop_destroy(&server->loop);
    for (size_t i = 0; i < server->guest_count; i++) {
        if (server->guests[i].fd >= 0) {
            close(server->guests[i].fd);
        }
    }
    close(server->fd);
    free(server);
}

TestSuite(transfer, .init = setup, .fini = teardown, .timeout = 30);

// What came of one transfer.
typedef struct {
    int calls;
    transfer_answer_t answer; // but body and why, which are copied
    char body[64];
    char why[TRANSFER_WHY_SIZE];
    int *left; // ends the loop when it is 0
} outcome_t;

static void
on_answer(void *arg, const transfer_answer_t *answer)
{
    outcome_t *outcome = arg;
    outcome->calls++;
    outcome->answer = *answer;
    (void) snprintf(
        outcome->body, sizeof outcome->body, "%.*s", (int) answer->body.size, answer->body.data);
    (void) snprintf(outcome->why, sizeof outcome->why, "%s", answer->why);
    if (--*outcome->left == 0) {
        loop_stop(server->loop);
    }
}

static const char *
url(char text[64])
{
    (void) snprintf(text, 64, "http://127.0.0.1:%u/path", server->port);
    return text;
}

static void
start(const transfer_request_t *request, outcome_t *outcome, int *left)
{
    uint64_t id = 0;
    *outcome = (outcome_t){.left = left};
    cr_assert_eq(transfer_start(server->pool, request, on_answer, outcome, &id), BUS_OK);
    cr_assert_gt(id, 0);
}

static outcome_t
run_one(const transfer_request_t *request)
{
    int left = 1;
    outcome_t outcome;
    start(request, &outcome, &left);
    loop_run(server->loop);
    cr_assert_eq(outcome.calls, 1);
    cr_assert_eq(transfer_pool_count(server->pool), 0);
    return outcome;
}

Test(transfer, gets_what_the_server_answers)
{
    char text[64];
    outcome_t outcome = run_one(&(transfer_request_t){.url = url(text), .timeout_ms = 5000});
    cr_expect_eq(outcome.answer.err, BUS_OK);
    cr_expect_eq(outcome.answer.status, 200);
    cr_expect_str_eq(outcome.body, "hello");
    cr_expect_str_eq(outcome.why, "");
    cr_expect(outcome.answer.was_sent);
    cr_expect(strstr(server->heard, "GET /path HTTP/1.1\r\n") != NULL);
}

Test(transfer, posts_its_body_headers_and_credential)
{
    char text[64];
    const char *headers[] = {"Content-Type: application/json"};
    outcome_t outcome = run_one(&(transfer_request_t){.url = url(text),
                                                      .headers = headers,
                                                      .header_count = 1,
                                                      .body = VIEW_LITERAL("{\"a\":1}"),
                                                      .bearer = "s3cret",
                                                      .timeout_ms = 5000});
    cr_expect_eq(outcome.answer.status, 200);
    cr_expect(strstr(server->heard, "POST /path HTTP/1.1\r\n") != NULL);
    cr_expect(strstr(server->heard, "Authorization: Bearer s3cret\r\n") != NULL);
    cr_expect(strstr(server->heard, "Content-Type: application/json\r\n") != NULL);
    cr_expect(strstr(server->heard, "\r\n\r\n{\"a\":1}") != NULL);
}

Test(transfer, an_error_status_is_an_answer)
{
    char text[64];
    server->answer = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
    outcome_t outcome = run_one(&(transfer_request_t){.url = url(text), .timeout_ms = 5000});
    cr_expect_eq(outcome.answer.err, BUS_OK);
    cr_expect_eq(outcome.answer.status, 503);
    cr_expect_str_eq(outcome.body, "busy");
}

Test(transfer, one_that_hangs_holds_up_no_other)
{
    char text[64];
    server->manner[0] = HANG;
    int left = 2;
    outcome_t slow;
    outcome_t fast;
    start(&(transfer_request_t){.url = url(text), .timeout_ms = 2000}, &slow, &left);
    start(&(transfer_request_t){.url = url(text), .timeout_ms = 5000}, &fast, &left);
    loop_run(server->loop);
    outcome_t *hung = slow.answer.err == BUS_TIMEOUT ? &slow : &fast; // whichever came first
    outcome_t *fine = hung == &slow ? &fast : &slow;
    cr_expect_eq(fine->answer.err, BUS_OK);
    cr_expect_lt(fine->answer.duration_us, hung->answer.duration_us);
    if (hung == &slow) {
        cr_expect(hung->answer.was_sent);
        cr_expect_geq(hung->answer.duration_us, 1990000);
    }
}

Test(transfer, tells_whether_anything_was_sent)
{
    char text[64];
    server->manner[0] = RESET;
    server->manner[1] = RESET; // libcurl tries once more where a connection had been used before
    outcome_t reset = run_one(&(transfer_request_t){.url = url(text), .timeout_ms = 5000});
    cr_expect_eq(reset.answer.err, BUS_IO);
    cr_expect(reset.answer.was_sent);
    cr_expect_str_neq(reset.why, "");

    int closed = socket(AF_INET, SOCK_STREAM, 0); // bound, not listening: nobody answers there
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    cr_assert_eq(bind(closed, (struct sockaddr *) &address, sizeof address), 0);
    cr_assert_eq(getsockname(closed, (struct sockaddr *) &address, &size), 0);
    (void) snprintf(text, sizeof text, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    outcome_t refused =
        run_one(&(transfer_request_t){.url = text, .bearer = "s3cret", .timeout_ms = 5000});
    close(closed);
    cr_expect_eq(refused.answer.err, BUS_SERVICE_UNAVAILABLE);
    cr_expect_not(refused.answer.was_sent);
    cr_expect(strstr(refused.why, "s3cret") == NULL);
}

Test(transfer, ends_an_answer_that_is_too_large)
{
    char text[64];
    server->manner[0] = FLOOD;
    outcome_t outcome = run_one(
        &(transfer_request_t){.url = url(text), .timeout_ms = 5000, .answer_size_max = 4999});
    cr_expect_eq(outcome.answer.err, BUS_PAYLOAD_TOO_LARGE);
    server->manner[1] = FLOOD;
    outcome = run_one(
        &(transfer_request_t){.url = url(text), .timeout_ms = 5000, .answer_size_max = 5000});
    cr_expect_eq(outcome.answer.err, BUS_OK);
    cr_expect_eq(outcome.answer.body.size, 5000);
}

Test(transfer, refuses_line_ends_and_other_protocols)
{
    char text[64];
    uint64_t id = 0;
    const char *headers[] = {"X: a\r\nY: b"};
    const char *to[] = {"a@b.c\r\nRCPT TO:<d@e.f>"};
    const transfer_request_t bad[] = {
        {.url = url(text), .headers = headers, .header_count = 1, .timeout_ms = 1000},
        {.url = "http://127.0.0.1/\r\nX: y", .timeout_ms = 1000},
        {.url = url(text), .bearer = "a\nb", .timeout_ms = 1000},
        {.url = url(text),
         .mail_from = "a@b.c",
         .mail_to = to,
         .mail_to_count = 1,
         .timeout_ms = 1},
        {.url = url(text)}, // no deadline
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(transfer_start(server->pool, &bad[i], on_answer, NULL, &id),
                     BUS_VALIDATION_FAILED);
    }
    outcome_t file =
        run_one(&(transfer_request_t){.url = "file:///etc/passwd", .timeout_ms = 1000});
    cr_expect_eq(file.answer.err, BUS_IO);
    cr_expect_not(file.answer.was_sent);
    cr_expect_eq(file.answer.body.size, 0);
}

static void
on_enough(void *arg BUS_UNUSED)
{
    loop_stop(server->loop);
}

// libcurl repeats a request by itself where a connection that served before ends without an answer.
Test(transfer, what_is_once_is_heard_once_though_the_server_hangs_up)
{
    char text[64];
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        server->manner[i] = ANSWER_THEN_HANG_UP;
    }
    const transfer_request_t request = {
        .url = url(text), .body = VIEW_LITERAL("pay"), .is_once = true, .timeout_ms = 5000};
    outcome_t first = run_one(&request);
    cr_assert_eq(first.answer.err, BUS_OK);
    outcome_t second = run_one(&request);
    cr_expect_eq(second.answer.err, BUS_IO);
    cr_expect(second.answer.was_sent);
    cr_expect_eq(server->heard_count, 2, "heard %zu times", server->heard_count);
}

Test(transfer, calls_nobody_after_it_was_cancelled)
{
    char text[64];
    int left = 1;
    outcome_t outcome = {.left = &left};
    uint64_t id = 0;
    const transfer_request_t request = {.url = url(text), .timeout_ms = 5000};
    cr_assert_eq(transfer_start(server->pool, &request, on_answer, &outcome, &id), BUS_OK);
    transfer_cancel(server->pool, id);
    transfer_cancel(server->pool, id); // it has ended: nothing
    loop_add_timer(server->loop, 50, 1, on_enough, NULL);
    loop_run(server->loop);
    cr_expect_eq(outcome.calls, 0);
    cr_expect_eq(transfer_pool_count(server->pool), 0);
}

Test(transfer, takes_so_many_and_no_more)
{
    char text[64];
    int left = TRANSFER_MAX + 1;
    outcome_t outcome = {.left = &left};
    uint64_t id = 0;
    const transfer_request_t request = {.url = url(text), .timeout_ms = 5000};
    for (int i = 0; i < TRANSFER_MAX; i++) {
        cr_assert_eq(transfer_start(server->pool, &request, on_answer, &outcome, &id), BUS_OK);
    }
    cr_expect_eq(transfer_start(server->pool, &request, on_answer, &outcome, &id), BUS_BUSY);
}
