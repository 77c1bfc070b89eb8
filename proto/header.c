// header.c - one pass over a header's pairs, driven by a table of the keys that we know.
//
// A broken header is read to its end where its structure permits: a refusal needs `id` and
// `reply_to`, wherever in the map they stand. Restamping copies bytes: a peer's own keys, ours or
// not, leave the broker as they came.
#include "header.h"
#include "limits.h"
#include "topic.h"
#include "walk.h"
#include "walk_item.h"
#include <assert.h>

typedef enum {
    KEY_ID,
    KEY_SOURCE,
    KEY_TRACE_ID,
    KEY_REPLY_TO,
    KEY_PSTREAM,
    KEY_IDEM,
    KEY_RE,
    KEY_STATUS,
    KEY_TOPIC,
    KEY_TIME,
    KEY_PSEQ,
    KEY_CAUSE,
    KEY_SEQ,
    KEY_AT,
    KEY_PREV,
    KEY_ACK,
    KEY_COUNT,
    KEY_UNKNOWN = KEY_COUNT
} header_key_t;

typedef enum { VALUE_TEXT, VALUE_INBOX, VALUE_STATUS, VALUE_UINT, VALUE_CAUSE, VALUE_ACK } value_t;

typedef struct {
    const char *name;
    value_t type;
    unsigned min;      // fewest bytes of a text, smallest value of an integer
    unsigned max;      // most bytes of a text
    size_t offset;     // of the field in header_t
    const char *rule;  // what is said where it is broken
    const char *twice; // what is said where the key stands twice
} key_row_t;

#define ROW(name, type, min, max, rule)                                                            \
    {                                                                                              \
#name, VALUE_##type, min, max, offsetof(header_t, name), #name " must be " rule,           \
            #name " stands twice"                                                                  \
    }

static const key_row_t key_rows[KEY_COUNT] = {
    [KEY_ID] = ROW(id, TEXT, 1, ID_SIZE_MAX, "a text of 1 to 64 bytes"),
    [KEY_SOURCE] = ROW(source, TEXT, 1, ID_SIZE_MAX, "a text of 1 to 64 bytes"),
    [KEY_TRACE_ID] = ROW(trace_id, TEXT, 1, NAME_SIZE_MAX, "a text of 1 to 128 bytes"),
    [KEY_REPLY_TO] = ROW(reply_to, INBOX, 1, NAME_SIZE_MAX, "_inbox.<name>.<unique>"),
    [KEY_PSTREAM] = ROW(pstream, TEXT, 0, ID_SIZE_MAX, "a text of at most 64 bytes"),
    [KEY_IDEM] = ROW(idem, TEXT, 1, IDEM_SIZE_MAX, "a text of 1 to 384 bytes"),
    [KEY_RE] = ROW(re, TEXT, 1, ID_SIZE_MAX, "a text of 1 to 64 bytes"),
    [KEY_STATUS] = ROW(status, STATUS, 1, ID_SIZE_MAX, "success or error"),
    [KEY_TOPIC] = ROW(topic, TEXT, 1, TOPIC_SIZE_MAX, "a text of 1 to 255 bytes"),
    [KEY_TIME] = ROW(time, UINT, 0, 0, "an unsigned integer"),
    [KEY_PSEQ] = ROW(pseq, UINT, 1, 0, "an integer from 1"),
    [KEY_CAUSE] = {"cause",
                   VALUE_CAUSE,
                   1,
                   0,
                   offsetof(header_t, cause_seq),
                   "cause must be [seq, n]",
                   "cause stands twice"},
    [KEY_SEQ] = ROW(seq, UINT, 0, 0, "an unsigned integer"),
    [KEY_AT] = ROW(at, UINT, 0, 0, "an unsigned integer"),
    [KEY_PREV] = ROW(prev, UINT, 0, 0, "an unsigned integer"),
    [KEY_ACK] = ROW(ack, ACK, 0, 0, "true, false or \"last\""),
};

// Which known key it is. Comparing by size first leaves comparisons of constant size, which are one
// or two instructions each.
static inline header_key_t
key_find(bus_view_t name)
{
#define IS(text) (memcmp(name.data, text, sizeof(text) - 1) == 0)
    switch (name.size) {
    case 2:
        return IS("id") ? KEY_ID : IS("re") ? KEY_RE : IS("at") ? KEY_AT : KEY_UNKNOWN;
    case 3:
        return IS("ack") ? KEY_ACK : IS("seq") ? KEY_SEQ : KEY_UNKNOWN;
    case 4:
        return IS("time")   ? KEY_TIME
               : IS("pseq") ? KEY_PSEQ
               : IS("prev") ? KEY_PREV
               : IS("idem") ? KEY_IDEM
                            : KEY_UNKNOWN;
    case 5:
        return IS("cause") ? KEY_CAUSE : IS("topic") ? KEY_TOPIC : KEY_UNKNOWN;
    case 6:
        return IS("source") ? KEY_SOURCE : IS("status") ? KEY_STATUS : KEY_UNKNOWN;
    case 7:
        return IS("pstream") ? KEY_PSTREAM : KEY_UNKNOWN;
    case 8:
        return IS("trace_id") ? KEY_TRACE_ID : IS("reply_to") ? KEY_REPLY_TO : KEY_UNKNOWN;
    default:
        return KEY_UNKNOWN;
    }
#undef IS
}

typedef struct {
    header_t *header; // what was read so far
    const char *why;  // the first rule that was broken, or NULL
    uint32_t seen;    // a bit a known key
    bool says_ack;    // `ack: true`: a wish, or, beside `re`, an answer
} decode_t;

static void
refuse(decode_t *self, const char *why)
{
    if (self->why == NULL) {
        self->why = why;
    }
}

static bool
take_text(const key_row_t *row, const walk_item_t *item, bus_view_t *ret_text)
{
    if (item->type != WALK_STR || item->bytes.size < row->min || item->bytes.size > row->max ||
        !walk_utf8(item->bytes)) {
        return false;
    }
    if (row->type == VALUE_INBOX && !topic_is_inbox(item->bytes)) {
        return false;
    }
    if (row->type == VALUE_STATUS && !view_is(item->bytes, "success") &&
        !view_is(item->bytes, "error")) {
        return false;
    }
    *ret_text = item->bytes;
    return true;
}

static bool
take_uint(const walk_item_t *item, uint64_t min, uint64_t *ret_value)
{
    uint64_t value;
    if (item->type == WALK_UINT) {
        value = item->unsigned_;
    } else if (item->type == WALK_INT && item->integer >= 0) {
        value = (uint64_t) item->integer;
    } else {
        return false;
    }
    if (value < min) {
        return false;
    }
    *ret_value = value;
    return true;
}

// `walk` is behind the array's head; it moves only where both numbers are there.
static bool
take_cause(walk_t *walk, const walk_item_t *item, header_t *header)
{
    walk_t members = *walk;
    walk_item_t seq;
    walk_item_t n;
    if (item->type != WALK_ARRAY || item->count != 2 || !walk_item_read(&members, &seq) ||
        !walk_item_read(&members, &n)) {
        return false;
    }
    uint64_t seq_value;
    uint64_t n_value;
    if (!take_uint(&seq, 1, &seq_value) || !take_uint(&n, 0, &n_value)) {
        return false;
    }
    header->cause_seq = seq_value;
    header->cause_n = n_value;
    *walk = members;
    return true;
}

static bool
take_ack(decode_t *self, const walk_item_t *item)
{
    if (item->type == WALK_BOOL) {
        self->says_ack = item->boolean;
        return true;
    }
    if (item->type == WALK_STR && view_is(item->bytes, "last")) {
        self->header->ack = HEADER_ACK_LAST;
        return true;
    }
    return false;
}

// Reads the value of a known key into its field. `walk` is before the value; it has moved behind
// it, or not at all where the value breaks its rule.
static bool
take_value(decode_t *self, const key_row_t *row, walk_t *walk)
{
    walk_t after = *walk;
    walk_item_t item;
    if (!walk_item_read(&after, &item)) {
        return false;
    }
    void *field = (char *) self->header + row->offset;
    bool taken = false;
    switch (row->type) {
    case VALUE_TEXT:
    case VALUE_INBOX:
    case VALUE_STATUS:
        taken = take_text(row, &item, field);
        break;
    case VALUE_UINT:
        taken = take_uint(&item, row->min, field);
        break;
    case VALUE_CAUSE:
        taken = take_cause(&after, &item, self->header);
        break;
    case VALUE_ACK:
        taken = take_ack(self, &item);
        break;
    }
    if (taken) {
        *walk = after;
    }
    return taken;
}

// Whether every text in a whole value is one. A value that we do not read, others will: one bad
// text in the journal would stop each of them there, for good.
static bool
has_utf8_only(bus_view_t value)
{
    walk_t walk = walk_from(value);
    walk_item_t item;
    while (walk.at != walk.end && walk_item_read(&walk, &item)) {
        if (item.type == WALK_STR && !walk_utf8(item.bytes)) {
            return false;
        }
    }
    return true;
}

// Steps over a value that we do not read. False where it is cut off.
static bool
pass_value(walk_t *walk, const char **reterr_why)
{
    bus_view_t value;
    if (walk_skip(walk, &value) != BUS_OK) {
        return false;
    }
    if (walk_check(value, WALK_ANY, BODY_DEPTH_MAX, reterr_why) != BUS_OK) {
        assert(*reterr_why != NULL);
    } else if (!has_utf8_only(value)) {
        *reterr_why = "a text is not UTF-8";
    }
    return true;
}

// One pair. False where the structure does not permit to go on.
static bool
decode_pair(decode_t *self, walk_t *walk)
{
    walk_t before = *walk;
    walk_item_t name;
    if (!walk_item_read(walk, &name)) {
        return false;
    }
    const char *why = NULL;
    header_key_t key = KEY_UNKNOWN;
    if (name.type != WALK_STR) {
        why = "a key is not a string";
        *walk = before;
        if (walk_skip(walk, NULL) != BUS_OK) {
            return false;
        }
    } else {
        key = key_find(name.bytes);
    }
    if (key != KEY_UNKNOWN) {
        const key_row_t *row = &key_rows[key];
        uint32_t bit = (uint32_t) 1 << key;
        if ((self->seen & bit) != 0) {
            why = row->twice;
        } else {
            self->seen |= bit;
            if (take_value(self, row, walk)) {
                return true;
            }
            why = row->rule;
        }
    } else if (why == NULL && !walk_utf8(name.bytes)) {
        why = "a key is not UTF-8";
    }
    const char *deeper = NULL;
    if (!pass_value(walk, &deeper)) {
        return false;
    }
    if (why != NULL || deeper != NULL) {
        refuse(self, why != NULL ? why : deeper);
    }
    return true;
}

// The rules that bind one key to another.
static void
decode_relations(decode_t *self)
{
    header_t *header = self->header;
    if (self->says_ack && header->re.data != NULL) {
        header->is_ack = true;
    } else if (self->says_ack) {
        header->ack = HEADER_ACK_EACH;
    }
    if (header->reply_to.data != NULL && header->id.data == NULL) {
        refuse(self, "reply_to needs an id");
    }
    if (header->ack == HEADER_ACK_LAST && header->pseq == 0) {
        refuse(self, "ack \"last\" needs a pseq");
    }
}

bus_err_t
header_decode(bus_view_t bytes, header_t *ret_header, const char **reterr_why)
{
    *ret_header = (header_t){.ack = HEADER_ACK_NONE};
    decode_t decode = {.header = ret_header};
    if (bytes.size > HEADER_SIZE_MAX + HEADER_STAMP_SIZE_MAX) {
        refuse(&decode, "the header is over 4 KiB");
    }
    walk_t walk = walk_from(bytes);
    walk_item_t head;
    if (!walk_item_read(&walk, &head) || head.type != WALK_MAP) {
        refuse(&decode, "the header is not a map");
        head.count = 0;
        walk.at = walk.end;
    }
    bool is_whole = true;
    for (uint32_t i = 0; i < head.count && is_whole; i++) {
        is_whole = decode_pair(&decode, &walk);
    }
    if (!is_whole) {
        refuse(&decode, "the header is cut off");
    } else if (walk.at != walk.end) {
        refuse(&decode, "something follows the header's map");
    }
    decode_relations(&decode);
    if (decode.why == NULL) {
        return BUS_OK;
    }
    if (reterr_why != NULL) {
        *reterr_why = decode.why;
    }
    return BUS_MALFORMED_MESSAGE;
}

static bool
has_ack(const header_t *self)
{
    return self->is_ack || self->ack != HEADER_ACK_NONE;
}

static bool
has_field(const header_t *self, header_key_t key)
{
    const void *field = (const char *) self + key_rows[key].offset;
    switch (key_rows[key].type) {
    case VALUE_TEXT:
    case VALUE_INBOX:
    case VALUE_STATUS:
        return ((const bus_view_t *) field)->data != NULL;
    case VALUE_UINT:
        // Of a family's first record `prev` is 0, and there all the same.
        return key == KEY_PREV ? self->seq != 0 : *(const uint64_t *) field != 0;
    case VALUE_CAUSE:
        return self->cause_seq != 0;
    case VALUE_ACK:
        return has_ack(self);
    }
    return false;
}

static void
encode_field(const header_t *self, header_key_t key, pack_t *out)
{
    const key_row_t *row = &key_rows[key];
    const void *field = (const char *) self + row->offset;
    switch (row->type) {
    case VALUE_TEXT:
    case VALUE_INBOX:
    case VALUE_STATUS:
        pack_pair_str(out, row->name, *(const bus_view_t *) field);
        break;
    case VALUE_UINT:
        pack_pair_uint(out, row->name, *(const uint64_t *) field);
        break;
    case VALUE_CAUSE:
        pack_text(out, row->name);
        pack_array(out, 2);
        pack_uint(out, self->cause_seq);
        pack_uint(out, self->cause_n);
        break;
    case VALUE_ACK:
        pack_text(out, row->name);
        if (self->ack == HEADER_ACK_LAST) {
            pack_text(out, "last");
        } else {
            pack_bool(out, true);
        }
        break;
    }
}

void
header_encode(const header_t *self, pack_t *out)
{
    uint32_t count = 0;
    for (unsigned key = 0; key < KEY_COUNT; key++) {
        count += has_field(self, (header_key_t) key);
    }
    pack_map(out, count);
    for (unsigned key = 0; key < KEY_COUNT; key++) {
        if (has_field(self, (header_key_t) key)) {
            encode_field(self, (header_key_t) key, out);
        }
    }
}

// What stands at the end of a journaled message's header, before header_place.
static const uint8_t places[] = {
    0xa3, 's', 'e', 'q',  0xcf, 0,    0, 0, 0, 0, 0, 0, 0,    // 35 bytes from the end: the 0xcf
    0xa2, 'a', 't', 0xcf, 0,    0,    0, 0, 0, 0, 0, 0,       // 23
    0xa4, 'p', 'r', 'e',  'v',  0xcf, 0, 0, 0, 0, 0, 0, 0, 0, // 9
};

// Reads the key of the pair at `walk` and steps behind the pair. `bytes` passed header_decode.
static header_key_t
pass_pair(walk_t *walk)
{
    walk_item_t name;
    walk_item_t value;
    bool is_name = walk_item_read(walk, &name) && name.type == WALK_STR;
    assert(is_name);
    walk_t before = *walk;
    bool is_value = walk_item_read(walk, &value);
    assert(is_value);
    if (value.type == WALK_ARRAY || value.type == WALK_MAP) {
        *walk = before;
        is_value = walk_skip(walk, NULL) == BUS_OK;
        assert(is_value);
    }
    return key_find(name.bytes);
}

static uint32_t
stamp_count(const header_stamp_t *stamp)
{
    return (uint32_t) (stamp->id.data != NULL) + (uint32_t) (stamp->source.data != NULL) +
           (uint32_t) (stamp->topic.data != NULL) + (uint32_t) (stamp->time != 0) +
           (stamp->journaled ? 3 : 0);
}

// A bit for each known key that does not survive.
static uint32_t
stamp_dropped(const header_stamp_t *stamp)
{
    uint32_t dropped = 1U << KEY_SEQ | 1U << KEY_AT | 1U << KEY_PREV;
    dropped |= stamp->id.data != NULL ? 1U << KEY_ID : 0;
    dropped |= stamp->source.data != NULL ? 1U << KEY_SOURCE : 0;
    dropped |= stamp->topic.data != NULL ? 1U << KEY_TOPIC : 0;
    dropped |= stamp->time != 0 ? 1U << KEY_TIME : 0;
    return dropped;
}

static void
pack_stamp(const header_stamp_t *stamp, pack_t *out)
{
    if (stamp->id.data != NULL) {
        pack_pair_str(out, "id", stamp->id);
    }
    if (stamp->source.data != NULL) {
        pack_pair_str(out, "source", stamp->source);
    }
    if (stamp->topic.data != NULL) {
        pack_pair_str(out, "topic", stamp->topic);
    }
    if (stamp->time != 0) {
        pack_pair_uint(out, "time", stamp->time);
    }
    if (stamp->journaled) {
        pack_raw(out, view_from(places, sizeof(places)));
    }
}

void
header_restamp(bus_view_t bytes, const header_stamp_t *stamp, pack_t *out)
{
    const uint32_t dropped = stamp_dropped(stamp);
    walk_t walk = walk_from(bytes);
    walk_item_t head;
    bool is_map = walk_item_read(&walk, &head) && head.type == WALK_MAP;
    assert(is_map);
    const walk_t first = walk;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head.count; i++) {
        kept += (dropped >> pass_pair(&walk) & 1) == 0;
    }
    assert(walk.at == walk.end);
    pack_map(out, kept + stamp_count(stamp));
    if (kept == head.count) {
        pack_raw(out, view_from(first.at, (size_t) (first.end - first.at)));
    } else {
        walk = first;
        for (uint32_t i = 0; i < head.count; i++) {
            const uint8_t *pair = walk.at;
            if ((dropped >> pass_pair(&walk) & 1) == 0) {
                pack_raw(out, view_from(pair, (size_t) (walk.at - pair)));
            }
        }
    }
    pack_stamp(stamp, out);
}

static void
place_one(uint8_t *at, uint64_t value)
{
    assert(at[0] == 0xcf);
    for (int i = 0; i < 8; i++) {
        at[1 + i] = (uint8_t) (value >> (56 - 8 * i));
    }
}

void
header_place(uint8_t *end, uint64_t seq, uint64_t at, uint64_t prev)
{
    place_one(end - HEADER_SEQ_BACK, seq);
    place_one(end - HEADER_AT_BACK, at);
    place_one(end - HEADER_PREV_BACK, prev);
}
