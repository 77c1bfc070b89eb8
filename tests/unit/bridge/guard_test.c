// guard_test.c - what stands before every handler, on heads as libmicrohttpd leaves them.
#include "bridge-http/guard.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char bytes[BRIDGE_GUARD_HEAD_SIZE_MAX + 4096];
    char target[8192];
    bridge_guard_head_t head;
} parsed_t;

// Reads lines of CR LF only, and puts NULs where libmicrohttpd does.
static const bridge_guard_head_t *
parse(parsed_t *self, const char *text)
{
    size_t size = strlen(text);
    memset(self, 0, sizeof(*self));
    cr_assert_lt(size, sizeof(self->bytes));
    memcpy(self->bytes, text, size);
    bridge_guard_head_t *head = &self->head;
    head->block = view_from(self->bytes, size);
    char *blank = strchr(self->bytes, ' ');
    char *version = strchr(blank + 1, ' ');
    char *at = strstr(version, "\r\n");
    *blank = *version = '\0';
    head->method = view_from_text(self->bytes);
    strcpy(self->target, blank + 1);
    head->target = view_from_text(self->target);
    at[0] = at[1] = '\0';
    head->version = view_from_text(version + 1);
    for (at += 2; at[0] != '\r';) {
        char *colon = strchr(at, ':');
        char *end = strstr(at, "\r\n");
        char *value = colon + 1 + strspn(colon + 1, " \t");
        *colon = end[0] = end[1] = '\0';
        if (head->count < BRIDGE_GUARD_HEADERS_MAX) {
            head->headers[head->count] =
                (bridge_guard_header_t){.name = view_from_text(at), .value = view_from_text(value)};
        }
        head->count++;
        at = end + 2;
    }
    at[0] = at[1] = '\0';
    return head;
}

static int
status_of(const char *text)
{
    static parsed_t parsed;
    bridge_guard_verdict_t verdict = bridge_guard_check(parse(&parsed, text));
    return verdict.ok ? 200 : verdict.status;
}

#define GET "GET /x?y HTTP/1.1\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"

Test(guard, lets_plain_requests_through)
{
    cr_assert_eq(status_of(GET "Host: a\r\n\r\n"), 200);
    cr_assert_eq(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
    cr_assert_eq(status_of(GET "Host:a\r\nX: \t b \r\nY:\r\n\r\n"), 200);
    cr_assert_eq(status_of(POST "Transfer-Encoding: Chunked\r\n\r\n"), 200);
    cr_assert_eq(status_of(POST "Content-Length: 1048576 \r\n\r\n"), 200);
    cr_assert_eq(status_of(POST "X: 1\r\nX: 2\r\n\r\n"), 200);
}

Test(guard, says_how_large_the_body_will_be)
{
    parsed_t parsed;
    bridge_guard_verdict_t verdict =
        bridge_guard_check(parse(&parsed, POST "content-length: 0123\r\n\r\n"));
    cr_assert(verdict.ok && verdict.body_size == 123 && !verdict.chunked);
    verdict = bridge_guard_check(parse(&parsed, POST "transfer-encoding: chunked\r\n\r\n"));
    cr_assert(verdict.ok && verdict.chunked);
}

Test(guard, refuses_every_doubt_about_framing)
{
    static const char *const bad[] = {
        POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        POST "Content-Length: 3\r\ncontent-length: 3\r\n\r\n",
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "Transfer-Encoding: gzip\r\n\r\n",
        POST "Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST "Transfer-Encoding:\r\n\r\n",
        "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST "HOST: b\r\n\r\n",
        GET "X: y\r\n\r\n",
        POST "Content-Length: +5\r\n\r\n",
        POST "Content-Length: 0x5\r\n\r\n",
        POST "Content-Length: 5, 5\r\n\r\n",
        POST "Content-Length:\r\n\r\n",
        POST "Content-Length: -1\r\n\r\n",
        POST "Authorization: a\r\nAuthorization: b\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(status_of(bad[i]), 400, "%s", bad[i]);
    }
}

Test(guard, refuses_illegal_bytes)
{
    cr_assert_eq(status_of("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Host: a\r\nX: a\x02\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Host: a\r\nX: a\rb\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Host: a\r\nX Y: a\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Host: a\r\nX : a\r\n\r\n"), 400);
    cr_assert_eq(status_of(GET "Host: a\r\n: a\r\n\r\n"), 400);
    cr_assert_eq(status_of("GET /a%0 HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

Test(guard, refuses_more_than_it_takes)
{
    static char text[BRIDGE_GUARD_HEAD_SIZE_MAX + 200];
    cr_assert_eq(status_of(POST "Content-Length: 1048577\r\n\r\n"), 413);
    cr_assert_eq(status_of(POST "Content-Length: 99999999999999999999999\r\n\r\n"), 413);
    size_t front = (size_t) sprintf(text, GET "Host: a\r\nX: ");
    size_t fill = BRIDGE_GUARD_HEAD_SIZE_MAX - front - 4;
    memset(text + front, 'y', fill);
    strcpy(text + front + fill, "\r\n\r\n");
    cr_assert_eq(status_of(text), 200);
    strcpy(text + front + fill, "y\r\n\r\n");
    cr_assert_eq(status_of(text), 431);
    strcpy(text, GET "Host: a\r\n");
    for (int i = 0; i < BRIDGE_GUARD_HEADERS_MAX; i++) {
        strcat(text, "X: y\r\n");
    }
    strcat(text, "\r\n");
    cr_assert_eq(status_of(text), 431);
}

// What libmicrohttpd makes of a lone LF, a NUL, a folded line: bytes that are not where they must
// be.
Test(guard, refuses_a_block_that_is_not_what_its_headers_make)
{
    static parsed_t parsed;
    const char *text = GET "Host: a\r\nX: bcd\r\nY: e\r\n\r\n";
    bridge_guard_head_t head = *parse(&parsed, text);
    cr_assert(bridge_guard_check(&head).ok);

    bridge_guard_head_t cut = head; // a NUL inside a value
    cut.headers[1].value.size = 1;
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
    cut = head; // a header that was not reported
    cut.headers[1] = cut.headers[2];
    cut.count = 2;
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
    cut = head; // the last one was not
    cut.count = 2;
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
    cut = head; // one line end is a single byte
    cut.block.size--;
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
    cut = head; // a value from elsewhere, as a folded line has it
    cut.headers[1].value = VIEW_LITERAL("bcd");
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
    cut = head; // a target that is shorter than what stands before the version
    cut.target.size--;
    cr_assert_eq(bridge_guard_check(&cut).status, 400);
}

Test(guard, finds_a_header_without_case_and_without_blanks_behind)
{
    parsed_t parsed;
    const bridge_guard_head_t *head = parse(&parsed, GET "hOsT: a \t\r\nX:\r\n\r\n");
    cr_assert(view_is(bridge_guard_find(head, "Host"), "a"));
    cr_assert(bridge_guard_find(head, "x").data != NULL);
    cr_assert_eq(bridge_guard_find(head, "x").size, 0);
    cr_assert_null(bridge_guard_find(head, "Hos").data);
}
