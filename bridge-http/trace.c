// trace.c - choosing a trace id.
#include "trace.h"
#include "runtime/id.h"

enum { PARENT_ID_AT = 3, PARENT_ID_SIZE = 32, PARENT_SIZE = 55 };

bool
bridge_trace_is_legal(bus_view_t text)
{
    if (text.size == 0 || text.size > NAME_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '\'' || byte == '\\') {
            return false;
        }
    }
    return true;
}

bus_view_t
bridge_trace_from_parent(bus_view_t traceparent)
{
    if (traceparent.data == NULL || traceparent.size < PARENT_SIZE) {
        return VIEW_NONE;
    }
    const char *text = traceparent.data;
    bus_view_t version = view_from(text, 2);
    bus_view_t id = view_from(text + PARENT_ID_AT, PARENT_ID_SIZE);
    bus_view_t parent = view_from(text + 36, 16);
    bus_view_t flags = view_from(text + 53, 2);
    bool longer = traceparent.size > PARENT_SIZE; // a later version may have more behind a dash
    if (text[2] != '-' || text[35] != '-' || text[52] != '-' || (longer && text[55] != '-') ||
        (longer && view_is(version, "00")) || view_is(version, "ff")) {
        return VIEW_NONE;
    }
    if (!id_is_hex(version) || !id_is_hex(id) || !id_is_hex(parent) || !id_is_hex(flags) ||
        view_is(id, "00000000000000000000000000000000") || view_is(parent, "0000000000000000")) {
        return VIEW_NONE;
    }
    return id;
}

// A UUIDv7 without its dashes: new ones sort behind older ones, so that whoever keeps an index by
// trace id appends to it, instead of touching a page of the index with each.
static void
make_trace(char ret_text[BRIDGE_TRACE_TEXT_SIZE])
{
    char id[ID_TEXT_SIZE];
    id_make(id);
    for (const char *at = id; *at != '\0'; at++) {
        *ret_text = *at;
        ret_text += *at != '-';
    }
    *ret_text = '\0';
}

void
bridge_trace_choose(bus_view_t body,
                    bus_view_t header,
                    bus_view_t traceparent,
                    char ret_text[BRIDGE_TRACE_TEXT_SIZE])
{
    const bus_view_t offered[] = {body, header, bridge_trace_from_parent(traceparent)};
    for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
        if (offered[i].data != NULL && bridge_trace_is_legal(offered[i])) {
            memcpy(ret_text, offered[i].data, offered[i].size);
            ret_text[offered[i].size] = '\0';
            return;
        }
    }
    make_trace(ret_text);
}
