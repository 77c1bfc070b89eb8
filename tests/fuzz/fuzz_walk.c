// fuzz_walk.c - any bytes as a body: what walk_check takes can be walked, found in, and shown.
#include "proto/limits.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <assert.h>
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads every item. Returns how many.
static size_t
walk_all(bus_view_t bytes)
{
    walk_t walk = walk_from(bytes);
    size_t count = 0;
    while (walk.at != walk.end) {
        walk_item_t item;
        bus_err_t err = walk_next(&walk, &item);
        assert(err == BUS_OK);
        count++;
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t bytes = view_from(data, size);
    bus_view_t value;
    const char *why = NULL;
    // Unchecked bytes too may be walked: no call may read behind them.
    walk_t walk = walk_from(bytes);
    bool is_whole = walk_skip(&walk, &value) == BUS_OK && walk.at == walk.end;
    (void) !walk_find(bytes, "a", &value);
    (void) !walk_find_path(bytes, "a.b.c", &value);

    bool is_json = walk_check(bytes, WALK_JSON, BODY_DEPTH_MAX, &why) == BUS_OK;
    if (walk_check(bytes, WALK_ANY, BODY_DEPTH_MAX, &why) != BUS_OK) {
        assert(why != NULL);
        assert(!is_json); // what is no msgpack at all is no JSON either
        return 0;
    }
    assert(is_whole);
    size_t count = walk_all(bytes);
    assert(count > 0);
    BUS_AUTO(text_destroy) text_t *text = text_new();
    transcode_to_json(bytes, 0, text);
    // Keys of several types can become the same text, hence no JSON_REJECT_DUPLICATES.
    json_error_t error;
    json_t *json = json_loadb(
        text_view(text).data, text_view(text).size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool has_reason = json != NULL || json_error_code(&error) == json_error_numeric_overflow ||
                      json_error_code(&error) == json_error_null_byte_in_key;
    assert(has_reason);
    json_decref(json);
    return 0;
}
