// audit_line.c - a line of an export, written and read. See audit.h.
//
// Lines are read in the one form in which they are written, by their punctuation: base64 holds no
// quote, so every field has one end. Whatever else a line could be was not written by an export.
#include "audit.h"

#include "proto/limits.h"
#include "proto/transcode.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <string.h>

enum { ENTRY_DEPTH_MAX = INBOX_BODY_DEPTH_MAX }; // what was kept, within an entry

void
cli_audit_line_entry(bus_view_t leaf, text_t *out)
{
    const char *why = NULL;
    if (leaf.data != NULL && walk_check(leaf, WALK_JSON, ENTRY_DEPTH_MAX, &why) == BUS_OK) {
        transcode_to_json(leaf, 0, out);
    } else {
        text_add(out, VIEW_LITERAL("null"));
    }
}

static void
add_base64(text_t *out, const char *before, bus_view_t bytes)
{
    text_add_format(out, "%s\"", before);
    note_base64(bytes, out);
    text_add(out, VIEW_LITERAL("\""));
}

void
cli_audit_line_format(const cli_audit_line_t *line, text_t *out)
{
    text_add_format(out, "{\"leaf_index\":%" PRIu64, line->index);
    if (line->leaf.data != NULL) {
        add_base64(out, ",\"leaf\":", line->leaf);
    } else {
        text_add(out, VIEW_LITERAL(",\"leaf\":null"));
    }
    add_base64(out, ",\"hash\":", view_from(line->hash.bytes, sizeof line->hash.bytes));
    add_base64(out, ",\"root\":", view_from(line->root.bytes, sizeof line->root.bytes));
    text_add(out, VIEW_LITERAL(",\"entry\":"));
    cli_audit_line_entry(line->leaf, out);
    text_add(out, VIEW_LITERAL("}"));
}

// Takes `word` off the start of `rest`.
static bool
take(bus_view_t *rest, bus_view_t word)
{
    if (!view_starts(*rest, word)) {
        return false;
    }
    *rest = view_from(rest->data + word.size, rest->size - word.size);
    return true;
}

// Takes digits off: a number without a leading zero.
static bool
take_number(bus_view_t *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t size = 0;
    for (; size < rest->size && rest->data[size] >= '0' && rest->data[size] <= '9'; ++size) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t) (rest->data[size] - '0'), &number)) {
            return false;
        }
    }
    if (size == 0 || (size > 1 && rest->data[0] == '0')) {
        return false;
    }
    *rest = view_from(rest->data + size, rest->size - size);
    *ret_number = number;
    return true;
}

// Takes what stands between quotes off.
static bool
take_quoted(bus_view_t *rest, bus_view_t *ret_text)
{
    if (!take(rest, VIEW_LITERAL("\""))) {
        return false;
    }
    const char *end = rest->size == 0 ? NULL : memchr(rest->data, '"', rest->size);
    if (end == NULL) {
        return false;
    }
    *ret_text = view_from(rest->data, (size_t) (end - rest->data));
    *rest = view_from(end + 1, rest->size - ret_text->size - 1);
    return true;
}

static bool
take_hash(bus_view_t *rest, merkle_hash_t *ret_hash)
{
    bus_view_t text;
    size_t size = 0;
    return take_quoted(rest, &text) &&
           note_unbase64(text, ret_hash->bytes, sizeof ret_hash->bytes, &size) == BUS_OK &&
           size == sizeof ret_hash->bytes;
}

bool
cli_audit_line_parse(bus_view_t line, cli_audit_fields_t *ret_fields)
{
    bus_view_t rest = line;
    cli_audit_fields_t fields = {.leaf = VIEW_NONE};
    if (!take(&rest, VIEW_LITERAL("{\"leaf_index\":")) || !take_number(&rest, &fields.index) ||
        !take(&rest, VIEW_LITERAL(",\"leaf\":"))) {
        return false;
    }
    if (!take(&rest, VIEW_LITERAL("null")) && !take_quoted(&rest, &fields.leaf)) {
        return false;
    }
    if (!take(&rest, VIEW_LITERAL(",\"hash\":")) || !take_hash(&rest, &fields.hash) ||
        !take(&rest, VIEW_LITERAL(",\"root\":")) || !take_hash(&rest, &fields.root) ||
        !take(&rest, VIEW_LITERAL(",\"entry\":")) || rest.size < 2 ||
        rest.data[rest.size - 1] != '}') {
        return false;
    }
    fields.entry = view_from(rest.data, rest.size - 1);
    *ret_fields = fields;
    return true;
}
