// audit_entry.c - an audit entry as bytes.
#include "audit_entry.h"

#include "proto/walk.h"

enum { ENTRY_VERSION = 1 };

const char *
bucket_audit_entry_severity(const bucket_audit_t *entry)
{
    if (entry->severity != NULL) {
        return entry->severity;
    }
    return entry->is_refused ? "WARNING" : "INFO";
}

void
bucket_audit_entry_hex(const merkle_hash_t *hash, char ret_hex[BUCKET_AUDIT_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = ret_hex;
    for (size_t i = 0; i < MERKLE_HASH_SIZE; i++) {
        *at++ = digits[hash->bytes[i] >> 4];
        *at++ = digits[hash->bytes[i] & 15];
    }
    *at = '\0';
}

static void
pack_optional(pack_t *out, const char *key, bus_view_t value)
{
    if (value.data != NULL) {
        pack_pair_str(out, key, value);
    }
}

void
bucket_audit_entry_pack(const service_apply_t *apply,
                        const bucket_audit_t *entry,
                        const char *audit_id,
                        pack_t *out)
{
    const header_t *header = apply->header;
    bus_view_t requester = entry->requester_id.data != NULL ? entry->requester_id : header->source;
    // Counted before, so that the head is the smallest, as any other packer would make it.
    uint32_t count = 9u + (entry->product.data != NULL) + (requester.data != NULL) +
                     (header->source.data != NULL) + (header->trace_id.data != NULL) +
                     entry->is_refused + (entry->subject.data != NULL) +
                     (entry->content_hash != NULL) + (entry->details.data != NULL);
    pack_map(out, count);
    pack_pair_uint(out, "v", ENTRY_VERSION);
    pack_pair_text(out, "audit_id", audit_id);
    pack_pair_uint(out, "seq", header->seq);
    pack_pair_uint(out, "at", header->at);
    pack_pair_text(out, "event_type", entry->event_type);
    pack_pair_text(out, "operation", entry->operation);
    pack_optional(out, "product", entry->product);
    pack_optional(out, "requester_id", requester);
    pack_optional(out, "source", header->source);
    pack_optional(out, "trace_id", header->trace_id);
    pack_pair_text(out, "decision", entry->is_refused ? "refused" : "allowed");
    pack_pair_text(out, "rule", entry->rule != NULL ? entry->rule : "contract");
    if (entry->is_refused) {
        pack_pair_text(out, "error_code", error_text(entry->err));
    }
    pack_pair_text(out, "severity", bucket_audit_entry_severity(entry));
    pack_optional(out, "subject", entry->subject);
    if (entry->content_hash != NULL) {
        char hex[BUCKET_AUDIT_HEX_SIZE];
        bucket_audit_entry_hex(entry->content_hash, hex);
        pack_pair_str(out, "content_hash", view_from(hex, sizeof hex - 1));
    }
    if (entry->details.data != NULL) {
        pack_pair_raw(out, "details", entry->details);
    }
}

// --- Reading -------------------------------------------------------------------------------------

typedef struct {
    const char *key;
    size_t offset; // of its view in bucket_audit_entry_t
} text_field_t;

static const text_field_t text_fields[] = {
    {"audit_id", offsetof(bucket_audit_entry_t, audit_id)},
    {"event_type", offsetof(bucket_audit_entry_t, event_type)},
    {"operation", offsetof(bucket_audit_entry_t, operation)},
    {"product", offsetof(bucket_audit_entry_t, product)},
    {"requester_id", offsetof(bucket_audit_entry_t, requester_id)},
    {"trace_id", offsetof(bucket_audit_entry_t, trace_id)},
    {"decision", offsetof(bucket_audit_entry_t, decision)},
    {"severity", offsetof(bucket_audit_entry_t, severity)},
    {"subject", offsetof(bucket_audit_entry_t, subject)},
    {"content_hash", offsetof(bucket_audit_entry_t, content_hash)},
};

// Keeps one pair. False where its value is not of its key's type.
static bool
read_pair(bus_view_t key, bus_view_t value, bucket_audit_entry_t *entry)
{
    if (view_is(key, "seq")) {
        return walk_as_uint(value, &entry->seq) == BUS_OK;
    }
    if (view_is(key, "at")) {
        return walk_as_uint(value, &entry->at) == BUS_OK;
    }
    if (view_is(key, "details")) {
        entry->details = value;
        return true;
    }
    for (size_t i = 0; i < sizeof text_fields / sizeof text_fields[0]; i++) {
        if (view_is(key, text_fields[i].key)) {
            bus_view_t text = VIEW_NONE;
            bool is_text = walk_as_str(value, &text) == BUS_OK;
            memcpy((char *) entry + text_fields[i].offset, &text, sizeof text);
            return is_text;
        }
    }
    return true;
}

bus_err_t
bucket_audit_entry_read(bus_view_t leaf, bucket_audit_entry_t *ret_entry)
{
    bucket_audit_entry_t entry = {0};
    walk_pairs_t pairs = walk_pairs(leaf);
    bus_view_t key;
    bus_view_t value;
    bus_err_t err;
    while ((err = walk_pairs_next(&pairs, &key, &value)) == BUS_OK) {
        if (!read_pair(key, value, &entry)) {
            return BUS_CORRUPT;
        }
    }
    bool is_whole = err == BUS_NOT_FOUND && entry.seq > 0 && entry.at > 0 &&
                    entry.audit_id.size > 0 && entry.event_type.size > 0 &&
                    entry.operation.size > 0 && entry.decision.size > 0 && entry.severity.size > 0;
    if (!is_whole) {
        return BUS_CORRUPT;
    }
    *ret_entry = entry;
    return BUS_OK;
}

// Takes a decimal number in its shortest form off the text. False where there is none.
static bool
take_number(bus_view_t *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t size = 0;
    for (; size < text->size && text->data[size] >= '0' && text->data[size] <= '9'; size++) {
        uint64_t digit = (uint64_t) (text->data[size] - '0');
        if (number > (UINT64_MAX - digit) / 10 || (size == 1 && text->data[0] == '0')) {
            return false;
        }
        number = number * 10 + digit;
    }
    *text = view_from(text->data + size, text->size - size);
    *ret_number = number;
    return size > 0;
}

bus_err_t
bucket_audit_entry_parse(bus_view_t audit_id, uint64_t *ret_seq, uint64_t *ret)
{
    bus_view_t prefix = VIEW_LITERAL("audit_");
    if (!view_starts(audit_id, prefix)) {
        return BUS_VALIDATION_FAILED;
    }
    bus_view_t rest = view_from(audit_id.data + prefix.size, audit_id.size - prefix.size);
    uint64_t seq;
    uint64_t number = 0;
    bool is_id = take_number(&rest, &seq) && seq > 0;
    if (is_id && rest.size > 0) {
        bool has_dot = rest.data[0] == '.';
        rest = view_from(rest.data + 1, rest.size - 1);
        is_id = has_dot && take_number(&rest, &number) && number > 0 && rest.size == 0;
    }
    if (!is_id) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_seq = seq;
    *ret = number;
    return BUS_OK;
}
