// event.c - CloudEvents and server-sent events (https://cloudevents.io, WHATWG HTML 9.2).
#include "event.h"
#include "proto/limits.h"
#include "proto/rfc3339.h"
#include "proto/topic.h"
#include "proto/transcode.h"
#include <stdio.h>

// `source` is a URI reference: what cannot stand in one is percent-encoded.
static void
write_source(bus_view_t source, text_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    if (source.size == 0) {
        text_add(out, VIEW_LITERAL("unknown"));
    }
    for (size_t i = 0; i < source.size; i++) {
        unsigned char byte = (unsigned char) source.data[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || (byte != 0 && strchr("-._~$", byte));
        const char escaped[] = {'%', digits[byte >> 4], digits[byte & 15]};
        text_add(out, plain ? view_from(source.data + i, 1) : view_from(escaped, sizeof(escaped)));
    }
}

// The object: specversion, id, source, type (the topic), time, datacontenttype, data; for a
// journaled message its place as `sequence`, and `traceid` where it has a trace.
static void
write_event(const client_heard_t *heard, text_t *out)
{
    const header_t *header = &heard->header;
    char time[RFC3339_SIZE];
    rfc3339_format(header->at != 0 ? header->at : header->time, time);
    text_add_format(out, "{\"specversion\":\"1.0\",\"id\":");
    transcode_json_string(header->id.data == NULL ? VIEW_LITERAL("unknown") : header->id, out);
    text_add_format(out, ",\"source\":\"");
    write_source(header->source, out);
    text_add_format(out, "\",\"type\":");
    transcode_json_string(heard->topic, out);
    text_add_format(out, ",\"time\":\"%s\",\"datacontenttype\":\"application/json\"", time);
    if (header->seq != 0) {
        text_add_format(out, ",\"sequence\":\"%llu\"", (unsigned long long) header->seq);
    }
    if (header->trace_id.data != NULL) {
        text_add_format(out, ",\"traceid\":");
        transcode_json_string(header->trace_id, out);
    }
    text_add_format(out, ",\"data\":");
    transcode_to_json(heard->body, 0, out);
    text_add_format(out, "}");
}

void
bridge_event_frame(const client_heard_t *heard, text_t *out)
{
    if (heard->header.seq != 0) {
        text_add_format(out, "id: %llu\n", (unsigned long long) heard->header.seq);
    }
    text_add_format(out, "data: ");
    write_event(heard, out); // JSON on one line: no newline can be in it
    text_add_format(out, "\n\n");
}

void
bridge_event_dropped(const char *reason, uint64_t count, text_t *out)
{
    text_add_format(out, "event: dropped\ndata: {\"reason\":\"%s\",\"count\":", reason);
    if (count == 0) {
        text_add_format(out, "null}\n\n");
    } else {
        text_add_format(out, "%llu}\n\n", (unsigned long long) count);
    }
}

void
bridge_event_damaged(uint64_t seq, text_t *out)
{
    text_add_format(out,
                    "id: %llu\nevent: dropped\ndata: {\"reason\":\"damaged\",\"count\":1,"
                    "\"seq\":%llu}\n\n",
                    (unsigned long long) seq,
                    (unsigned long long) seq);
}

// The first token of the pattern, where it is written out whole.
static bool
first_token(bus_view_t pattern, bus_view_t *ret_token)
{
    bus_view_t prefix = topic_pattern_prefix(pattern);
    *ret_token = topic_first_token(prefix);
    bool is_whole = ret_token->size < prefix.size || prefix.size == pattern.size;
    return is_whole && ret_token->size > 0;
}

static bool
is_family(bus_view_t token)
{
    for (uint32_t i = 0; i < topic_family_count(); i++) {
        if (view_is(token, topic_family_text(i))) {
            return true;
        }
    }
    return false;
}

bool
bridge_event_wants_journal(bus_view_t pattern)
{
    bus_view_t token;
    return !first_token(pattern, &token) || is_family(token);
}

// Under a journaled token some second tokens are live (bucket.out.): only where that one is written
// out is it clear which of the two a pattern means.
bool
bridge_event_wants_live(bus_view_t pattern)
{
    bus_view_t token;
    if (!first_token(pattern, &token) || !is_family(token)) {
        return true;
    }
    bus_view_t prefix = topic_pattern_prefix(pattern);
    if (prefix.size <= token.size + 1) {
        return true;
    }
    size_t second = token.size + 1;
    bool ends_in_dot = prefix.data[prefix.size - 1] == '.';
    bool is_whole = memchr(prefix.data + second, '.', prefix.size - second) != NULL ||
                    prefix.size == pattern.size;
    char topic[TOPIC_SIZE_MAX + 2]; // with one more token where the prefix asks for one
    int size = snprintf(
        topic, sizeof(topic), "%.*s%s", (int) prefix.size, prefix.data, ends_in_dot ? "x" : "");
    return !is_whole || topic_class(view_from(topic, (size_t) size)) != TOPIC_JOURNALED;
}
