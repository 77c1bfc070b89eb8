// transcode.c - JSON text to msgpack, over jansson, and msgpack to JSON text, directly.
//
// jansson 2.14 refuses what must be refused (duplicate keys, bad UTF-8, lone surrogates, U+0000,
// numbers out of range, text behind the value) but recurses to 2,048 levels: so the depth is
// counted here first, and then its tree is written out with a stack of our own.
//
// The other way, what JSON has no word for is said in the nearest one that it has, since whoever
// asks to see a message must see it whatever is in it; journaled bodies have none of that.
#include "transcode.h"
#include "limits.h"
#include "walk.h"
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

// Open containers in msgpack: a page of records is three levels around bodies of BODY_DEPTH_MAX.
enum { OPEN_MAX = 64 };

// Where the scan stands, for a message to a person.
typedef struct {
    unsigned line;   // from 1
    unsigned column; // from 1, in bytes
} place_t;

// What jansson must not see: a container deeper than JSON_DEPTH_MAX, or a NUL, which it swallows
// behind a number. Returns what is wrong, with *ret_place, or NULL. Text that is no JSON may pass:
// jansson refuses it next, and by a path of its own of at most this depth.
static const char *
scan(bus_view_t json, place_t *ret_place)
{
    unsigned depth = 0;
    bool in_string = false;
    const char *why = json.size == 0 ? "there is no JSON" : NULL;
    place_t place = {.line = 1, .column = 1};
    for (size_t i = 0; i < json.size && why == NULL; i++) {
        *ret_place = place;
        char byte = json.data[i];
        place.column++;
        if (byte == '\0') {
            why = "a NUL byte";
        } else if (byte == '\n') {
            place = (place_t){.line = place.line + 1, .column = 1};
        } else if (in_string && byte == '\\' && i + 1 < json.size && json.data[i + 1] != '\0') {
            i++; // what is escaped, if only a quote, ends nothing
            place.column++;
        } else if (byte == '"') {
            in_string = !in_string;
        } else if (!in_string && (byte == '[' || byte == '{')) {
            depth++;
            why = depth > JSON_DEPTH_MAX ? "nested over 20 levels" : NULL;
        } else if (!in_string && (byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return why;
}

// A container of jansson's tree that is being read.
typedef struct {
    json_t *container;
    void *pair;   // objects: jansson's iterator, NULL behind the last
    size_t index; // arrays: the next member
} read_t;

// The next member of `open`, its key already written; NULL where there is none left.
static json_t *
next_member(read_t *open, pack_t *out)
{
    if (json_is_array(open->container)) {
        return json_array_get(open->container, open->index++);
    }
    if (open->pair == NULL) {
        return NULL;
    }
    void *pair = open->pair;
    open->pair = json_object_iter_next(open->container, pair);
    pack_str(out, view_from(json_object_iter_key(pair), json_object_iter_key_len(pair)));
    return json_object_iter_value(pair);
}

// Writes a scalar, or the head of a container.
static void
pack_node(json_t *node, pack_t *out)
{
    switch (json_typeof(node)) {
    case JSON_OBJECT:
        pack_map(out, (uint32_t) json_object_size(node));
        break;
    case JSON_ARRAY:
        pack_array(out, (uint32_t) json_array_size(node));
        break;
    case JSON_STRING:
        pack_str(out, view_from(json_string_value(node), json_string_length(node)));
        break;
    case JSON_INTEGER:
        pack_int(out, json_integer_value(node));
        break;
    case JSON_REAL:
        pack_real(out, json_real_value(node));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        pack_bool(out, json_is_true(node));
        break;
    case JSON_NULL:
        pack_nil(out);
        break;
    }
}

static void
pack_tree(json_t *root, pack_t *out)
{
    read_t open[JSON_DEPTH_MAX];
    unsigned depth = 0;
    json_t *node = root;
    while (node != NULL) {
        pack_node(node, out);
        if (json_is_object(node) || json_is_array(node)) {
            assert(depth < JSON_DEPTH_MAX);
            open[depth++] = (read_t){.container = node, .pair = json_object_iter(node)};
        }
        node = NULL;
        while (depth > 0 && node == NULL) {
            node = next_member(&open[depth - 1], out);
            depth -= node == NULL;
        }
    }
}

// Says what is wrong, cut to what fits, never inside a character.
static void
explain(char *message, size_t size, place_t place, const char *what)
{
    if (message == NULL || size == 0) {
        return;
    }
    int written = snprintf(message, size, "line %u, column %u: %s", place.line, place.column, what);
    assert(written >= 0);
    message[walk_utf8_size(view_from_text(message))] = '\0';
}

bus_err_t
transcode_from_json(bus_view_t json, pack_t *out, char *reterr_message, size_t message_size)
{
    place_t place = {.line = 1, .column = 1};
    const char *why = scan(json, &place);
    if (why != NULL) {
        explain(reterr_message, message_size, place, why);
        return BUS_MALFORMED_JSON;
    }
    json_error_t error;
    BUS_AUTO(json_decrefp)
    json_t *root =
        json_loadb(json.data, json.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        place = (place_t){.line = (unsigned) error.line, .column = (unsigned) error.column};
        explain(reterr_message, message_size, place, error.text);
        return BUS_MALFORMED_JSON;
    }
    pack_tree(root, out);
    return BUS_OK;
}

// Bytes as base64 text, RFC 4648 section 4, quotes included.
static void
add_base64(bus_view_t bytes, text_t *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = (const uint8_t *) bytes.data;
    text_add(out, VIEW_LITERAL("\""));
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t three = (uint32_t) at[i] << 16 | (left > 1 ? (uint32_t) at[i + 1] << 8 : 0) |
                         (left > 2 ? at[i + 2] : 0);
        char four[4] = {letters[three >> 18], letters[three >> 12 & 63], '=', '='};
        if (left > 1) {
            four[2] = letters[three >> 6 & 63];
        }
        if (left > 2) {
            four[3] = letters[three & 63];
        }
        text_add(out, view_from(four, sizeof(four)));
    }
    text_add(out, VIEW_LITERAL("\""));
}

// A scalar.
static void
add_scalar(const walk_item_t *item, text_t *out)
{
    switch (item->type) {
    case WALK_NIL:
        text_add(out, VIEW_LITERAL("null"));
        break;
    case WALK_BOOL:
        text_add(out, item->boolean ? VIEW_LITERAL("true") : VIEW_LITERAL("false"));
        break;
    case WALK_INT:
        text_add_format(out, "%lld", (long long) item->integer);
        break;
    case WALK_UINT:
        text_add_format(out, "%llu", (unsigned long long) item->unsigned_);
        break;
    case WALK_FLOAT:
        transcode_json_real(item->real, out);
        break;
    case WALK_STR:
        transcode_json_string(item->bytes, out);
        break;
    case WALK_BIN:
    case WALK_EXT:
        add_base64(item->bytes, out);
        break;
    case WALK_ARRAY:
    case WALK_MAP:
        assert(false);
        break;
    }
}

// A key. One that is no string: a scalar's JSON text in quotes, a container's msgpack in base64,
// since text within text within text would double its backslashes at each level.
static void
add_key(walk_t *walk, text_t *out)
{
    walk_t before = *walk;
    walk_item_t item;
    bus_err_t err = walk_next(walk, &item);
    assert(err == BUS_OK);
    if (item.type == WALK_ARRAY || item.type == WALK_MAP) {
        *walk = before;
        bus_view_t bytes;
        err = walk_skip(walk, &bytes);
        assert(err == BUS_OK);
        add_base64(bytes, out);
        return;
    }
    bool is_quoted = item.type == WALK_STR || item.type == WALK_BIN || item.type == WALK_EXT;
    text_add(out, is_quoted ? VIEW_NONE : VIEW_LITERAL("\""));
    add_scalar(&item, out);
    text_add(out, is_quoted ? VIEW_NONE : VIEW_LITERAL("\""));
}

// A container that is being written as JSON.
typedef struct {
    uint32_t left; // members, or pairs, still to come
    bool is_map;
    bool is_begun; // a member is out: a comma stands before the next
} written_t;

static void
add_line(unsigned indent, unsigned depth, text_t *out)
{
    if (indent > 0) {
        text_add_format(out, "\n%*s", (int) (indent * depth), "");
    }
}

// What stands before the next member: a comma, a line, a key.
static void
begin_member(written_t *open, walk_t *walk, unsigned indent, unsigned depth, text_t *out)
{
    if (open->is_begun) {
        text_add(out, VIEW_LITERAL(","));
    }
    open->is_begun = true;
    open->left--;
    add_line(indent, depth, out);
    if (open->is_map) {
        add_key(walk, out);
        text_add(out, indent > 0 ? VIEW_LITERAL(": ") : VIEW_LITERAL(":"));
    }
}

void
transcode_to_json(bus_view_t value, unsigned indent, text_t *out)
{
    written_t open[OPEN_MAX] = {{0}};
    unsigned depth = 0;
    walk_t walk = walk_from(value);
    do {
        if (depth > 0) {
            begin_member(&open[depth - 1], &walk, indent, depth, out);
        }
        walk_item_t item;
        bus_err_t err = walk_next(&walk, &item);
        assert(err == BUS_OK);
        if (item.type == WALK_ARRAY || item.type == WALK_MAP) {
            bool is_map = item.type == WALK_MAP;
            assert(depth < OPEN_MAX);
            text_add(out, is_map ? VIEW_LITERAL("{") : VIEW_LITERAL("["));
            open[depth++] = (written_t){.left = item.count, .is_map = is_map};
        } else {
            add_scalar(&item, out);
        }
        for (; depth > 0 && open[depth - 1].left == 0; depth--) {
            if (open[depth - 1].is_begun) {
                add_line(indent, depth - 1, out);
            }
            text_add(out, open[depth - 1].is_map ? VIEW_LITERAL("}") : VIEW_LITERAL("]"));
        }
    } while (depth > 0);
}
