// redact.c - a payload as others are told of it.
//
// msgpack is a flat row of items in which a container only says how many follow: so the copy is a
// loop with the open containers on a stack.
#include "redact.h"

#include "proto/limits.h"
#include "proto/walk.h"

#include <assert.h>
#include <strings.h>

enum { DEPTH_MAX = INBOX_BODY_DEPTH_MAX };

typedef struct {
    uint32_t left; // items to come: of a map, keys and values
    bool is_map;
} level_t;

static bool
holds(bus_view_t key, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= key.size; i++) {
        if (strncasecmp(key.data + i, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_secret(bus_view_t key)
{
    static const char *const words[] = {"password",
                                        "passwd",
                                        "secret",
                                        "token",
                                        "api_key",
                                        "apikey",
                                        "authorization",
                                        "credential"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (holds(key, words[i])) {
            return true;
        }
    }
    return false;
}

static void
open_container(const walk_item_t *item, pack_t *out)
{
    if (item->type == WALK_MAP) {
        pack_map(out, item->count);
    } else {
        pack_array(out, item->count);
    }
}

// Copies the key in front of the walk, and its value too where nobody is to see that. Returns how
// many items it took.
static uint32_t
copy_key(walk_t *walk, pack_t *out)
{
    bus_view_t key, text;
    bus_err_t err = walk_skip(walk, &key);
    assert(err == BUS_OK);
    pack_raw(out, key);
    if (walk_as_str(key, &text) != BUS_OK || !is_secret(text)) {
        return 1;
    }
    err = walk_skip(walk, NULL);
    assert(err == BUS_OK);
    pack_text(out, "[redacted]");
    return 2;
}

// Copies the value in front of the walk, or opens it where it is a container.
static void
copy_value(walk_t *walk, level_t stack[DEPTH_MAX], size_t *depth, pack_t *out)
{
    walk_t before = *walk;
    walk_item_t item;
    bus_err_t err = walk_next(walk, &item);
    assert(err == BUS_OK);
    bool is_container = item.type == WALK_MAP || item.type == WALK_ARRAY;
    if (is_container && *depth < DEPTH_MAX) {
        open_container(&item, out);
        bool is_map = item.type == WALK_MAP;
        stack[(*depth)++] =
            (level_t){.left = is_map ? 2 * item.count : item.count, .is_map = is_map};
        return;
    }
    bus_view_t whole;
    *walk = before;
    err = walk_skip(walk, &whole);
    assert(err == BUS_OK);
    pack_raw(out, whole);
}

void
workflow_redact(bus_view_t value, pack_t *out)
{
    level_t stack[DEPTH_MAX];
    size_t depth = 0;
    walk_t walk = walk_from(value);
    copy_value(&walk, stack, &depth, out);
    while (depth > 0) {
        level_t *level = &stack[depth - 1];
        if (level->left == 0) {
            depth--;
        } else if (level->is_map && level->left % 2 == 0) {
            level->left -= copy_key(&walk, out);
        } else {
            level->left--;
            copy_value(&walk, stack, &depth, out);
        }
    }
}
