// audit_append.c - the channel audit_append: an entry that somebody else wants to be there.
#include "audit.h"

#include "governance.h"
#include "monitor.h"
#include "proto/note.h"
#include "storage.h"

#include <assert.h>

static const char *const event_types[] = {"read", "write", "query", "error", "escalation"};
static const char *const severities[] = {"INFO", "WARNING", "ERROR", "CRITICAL"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The literal of a word that was checked.
static const char *
literal(bus_view_t word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (view_is(word, words[i])) {
            return words[i];
        }
    }
    assert(false); // channel_decode_append knows the same words
    return words[0];
}

static void
pack_answer(const service_apply_t *apply,
            const bucket_audit_t *entry,
            const bucket_audit_place_t *place)
{
    BUS_AUTO(text_destroy) text_t *hash = text_new();
    note_base64(view_from(place->hash.bytes, sizeof place->hash.bytes), hash);
    pack_map(apply->answer, 12);
    pack_pair_text(apply->answer, "channel", "audit_log");
    pack_pair_text(apply->answer, "status", "success");
    bucket_audit_answer(apply->answer, entry, place);
    pack_pair_text(apply->answer, "event_type", entry->event_type);
    pack_pair_rfc3339(apply->answer, "timestamp", apply->header->at);
    pack_pair_rfc3339(apply->answer, "logged_at", apply->header->at);
    pack_pair_str(apply->answer, "product", entry->product);
    pack_pair_uint(apply->answer, "leaf_index", place->leaf_index);
    pack_pair_str(apply->answer, "entry_hash", text_view(hash));
    pack_pair_raw(apply->answer, "details", entry->details);
}

bus_err_t
bucket_audit_append(service_apply_t *apply, const void *message)
{
    (void) message; // the channel checks its body itself
    const char *operation = channel_name(CHANNEL_AUDIT_APPEND);
    const refusal_t *row = refusal_find(apply->body);
    if (row != NULL) {
        return bucket_governance_refuse_row(apply, row, operation, apply->body);
    }
    channel_append_t append;
    schema_problems_t problems = {.count = 0};
    if (channel_decode_append(apply->body, &append, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    const bucket_refusal_t full = {
        .operation = operation,
        .product = view_from_text(channel_product_name(append.product)),
        .requester_id = channel_requester(apply->body),
    };
    bus_err_t err = bucket_storage_require(apply, &full);
    if (err != BUS_OK) {
        return err;
    }
    const bucket_audit_t entry = {
        .event_type = literal(append.event_type, event_types, COUNT(event_types)),
        .operation = operation,
        .product = full.product,
        .requester_id = full.requester_id,
        .severity = literal(append.severity, severities, COUNT(severities)),
        .details = append.details,
    };
    bucket_audit_place_t place;
    err = bucket_audit_add(apply, &entry, &place);
    if (err != BUS_OK) {
        return err;
    }
    pack_answer(apply, &entry, &place);
    bucket_monitor_tell(apply, "audit_log", append.product, pack_view(apply->answer));
    return BUS_OK;
}
