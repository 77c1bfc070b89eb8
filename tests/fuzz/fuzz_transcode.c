// fuzz_transcode.c - any bytes as JSON: what is taken is a legal body, and survives the way to JSON
// and back to the byte.
#include "proto/limits.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUS_AUTO(pack_destroy) pack_t *first = pack_new();
    BUS_AUTO(pack_destroy) pack_t *second = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    char message[160] = "";
    const char *why = NULL;
    if (transcode_from_json(view_from(data, size), first, message, sizeof(message)) != BUS_OK) {
        assert(message[0] != '\0' && walk_utf8(view_from_text(message)));
        assert(pack_view(first).size == 0);
        return 0;
    }
    bus_err_t err = walk_check(pack_view(first), WALK_JSON, JSON_DEPTH_MAX, &why);
    assert(err == BUS_OK);
    transcode_to_json(pack_view(first), (unsigned) (size % 3), text);
    err = transcode_from_json(text_view(text), second, message, sizeof(message));
    assert(err == BUS_OK);
    assert(view_equal(pack_view(first), pack_view(second)));
    return 0;
}
