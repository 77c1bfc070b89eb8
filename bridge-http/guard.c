// guard.c - the checks before every handler.
//
// The block's form: libmicrohttpd has put NULs over each colon and over the CR and LF of each line,
// and gives names and values as pointers into the block. So between one value's end and the next
// name's start there must be exactly two NULs: one NUL is a lone LF, NUL with something behind it
// is a NUL that was sent, a name from elsewhere is a folded line. All of that is refused, and so is
// a header that the parser did not report.
#include "guard.h"
#include <strings.h>

enum { LINE_END_SIZE = 2 };

static const bridge_guard_verdict_t fine = {.ok = true};

static bridge_guard_verdict_t
refusal(int status, const char *why)
{
    return (bridge_guard_verdict_t){.ok = false, .status = status, .why = why};
}

static bool
is_line_end(const char *at, const char *end)
{
    return end - at >= LINE_END_SIZE && at[0] == '\0' && at[1] == '\0';
}

static bool
inside(bus_view_t view, const char *from, const char *end)
{
    return view.data >= from && view.data <= end && view.size <= (size_t) (end - view.data);
}

// Whether a header begins at `at` and holds nothing but its name, a colon, blanks and its value.
static bool
header_is_whole(const bridge_guard_header_t *header, const char *at, const char *end)
{
    if (header->name.data != at || header->name.size == 0 || !inside(header->name, at, end)) {
        return false;
    }
    const char *gap = header->name.data + header->name.size;
    if (!inside(header->value, gap + 1, end)) {
        return header->value.size == 0;
    }
    if (*gap != '\0') {
        return false;
    }
    for (gap++; gap < header->value.data; gap++) {
        if (*gap != ' ' && *gap != '\t') {
            return false;
        }
    }
    return true;
}

static bool
block_is_whole(const bridge_guard_head_t *head)
{
    const char *end = head->block.data + head->block.size;
    const char *version = head->block.data + head->method.size + 1 + head->target.size + 1;
    const char *at = head->version.data + head->version.size;
    if (head->version.data != version || !inside(head->version, head->block.data, end) ||
        !is_line_end(at, end)) {
        return false;
    }
    at += LINE_END_SIZE;
    for (size_t i = 0; i < head->count; i++) {
        const bridge_guard_header_t *header = &head->headers[i];
        if (!header_is_whole(header, at, end)) {
            return false;
        }
        at = header->value.data + header->value.size;
        if (!is_line_end(at, end)) {
            return false;
        }
        at += LINE_END_SIZE;
    }
    return end - at == LINE_END_SIZE;
}

static bool
name_is(bus_view_t name, const char *wanted)
{
    return name.size == strlen(wanted) && strncasecmp(name.data, wanted, name.size) == 0;
}

// Blanks behind a value belong to the line, not to the value (RFC 9112 5.1).
static bus_view_t
without_blanks_behind(bus_view_t value)
{
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t')) {
        value.size--;
    }
    return value;
}

bus_view_t
bridge_guard_find(const bridge_guard_head_t *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++) {
        if (name_is(head->headers[i].name, name)) {
            return without_blanks_behind(head->headers[i].value);
        }
    }
    return VIEW_NONE;
}

static size_t
count_of(const bridge_guard_head_t *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->count; i++) {
        count += name_is(head->headers[i].name, name) ? 1 : 0;
    }
    return count;
}

// A token of RFC 9110 5.6.2.
static bool
is_token(bus_view_t name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char byte = (unsigned char) name.data[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", byte) != NULL) {
            return false;
        }
    }
    return name.size > 0;
}

static bool
has_control(bus_view_t value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char byte = (unsigned char) value.data[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

// Printable ASCII alone, and no %00.
static bool
target_is_clean(bus_view_t target)
{
    for (size_t i = 0; i < target.size; i++) {
        unsigned char byte = (unsigned char) target.data[i];
        if (byte <= ' ' || byte >= 0x7f) {
            return false;
        }
        if (target.size - i >= 3 && memcmp(target.data + i, "%00", 3) == 0) {
            return false;
        }
    }
    return target.size > 0;
}

// Digits alone, up to what fits; more than the limit stays more.
static bool
parse_length(bus_view_t text, uint64_t *ret_size)
{
    uint64_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        if (size <= UINT32_MAX) {
            size = size * 10 + (uint64_t) (text.data[i] - '0');
        }
    }
    *ret_size = size;
    return text.size > 0;
}

static bridge_guard_verdict_t
check_framing(const bridge_guard_head_t *head)
{
    static const char *const once[] = {"Host",
                                       "Origin",
                                       "Content-Length",
                                       "Transfer-Encoding",
                                       "Content-Type",
                                       "Authorization",
                                       "Expect",
                                       "X-Requester-Id",
                                       "Idempotency-Key"};
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        if (count_of(head, once[i]) > 1) {
            return refusal(400, "a header that may stand once is repeated");
        }
    }
    if (view_is(head->version, "HTTP/1.1") && bridge_guard_find(head, "Host").data == NULL) {
        return refusal(400, "HTTP/1.1 without Host");
    }
    bridge_guard_verdict_t verdict = fine;
    bus_view_t length = bridge_guard_find(head, "Content-Length");
    bus_view_t coding = bridge_guard_find(head, "Transfer-Encoding");
    if (length.data != NULL && coding.data != NULL) {
        return refusal(400, "both Content-Length and Transfer-Encoding");
    }
    if (coding.data != NULL) {
        if (!name_is(coding, "chunked") || !view_is(head->version, "HTTP/1.1")) {
            return refusal(400, "an unknown transfer coding");
        }
        verdict.chunked = true;
    }
    if (length.data != NULL && !parse_length(length, &verdict.body_size)) {
        return refusal(400, "Content-Length is no number");
    }
    if (verdict.body_size > BRIDGE_GUARD_BODY_SIZE_MAX) {
        return refusal(413, "the body is over 1 MiB");
    }
    return verdict;
}

bridge_guard_verdict_t
bridge_guard_check(const bridge_guard_head_t *head)
{
    if (head->block.size > BRIDGE_GUARD_HEAD_SIZE_MAX || head->count > BRIDGE_GUARD_HEADERS_MAX) {
        return refusal(431, "the headers are over 16 KiB or 100 lines");
    }
    if (!target_is_clean(head->target)) {
        return refusal(400, "the target holds an illegal byte");
    }
    if (!block_is_whole(head)) {
        return refusal(400, "a line without CR LF, folded, or with a NUL");
    }
    for (size_t i = 0; i < head->count; i++) {
        if (!is_token(head->headers[i].name) || has_control(head->headers[i].value)) {
            return refusal(400, "a header's name or value holds an illegal byte");
        }
    }
    return check_framing(head);
}
