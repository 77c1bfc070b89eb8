// group.c - one pass over the array: every message is checked as if it had come alone.
#include "group.h"
#include "access.h"
#include "proto/limits.h"
#include "proto/pack.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>

enum { RECORDS_FIRST = 128 }; // room that is made first

// As group_record_t, but the headers lie in one buffer that may still move.
typedef struct {
    bus_view_t topic;
    bus_view_t body;
    size_t header_at;
    size_t header_size;
    bus_view_t trace_id;
    uint64_t cause_seq;
    uint64_t cause_n;
} record_t;

struct group {
    record_t *records; // `room` of them
    uint32_t count;
    uint32_t room;
    pack_t *headers;        // all stamped headers, one behind another
    size_t bytes;           // of topics and bodies
    const header_t *outer;  // of the batch that is being read; borrowed
    const who_peer_t *peer; // who sent it; borrowed; NULL: trusted
    group_claims_t claims;
};

group_t *
group_new(void)
{
    group_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->headers = pack_new();
    return self;
}

void
group_destroy(group_t **self_p)
{
    group_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    pack_destroy(&self->headers);
    free(self->records);
    free(self);
    *self_p = NULL;
}

static void
push(group_t *self, const record_t *record)
{
    if (self->count == self->room) {
        self->room = self->room == 0 ? RECORDS_FIRST : self->room * 2;
        self->records = realloc(self->records, self->room * sizeof(self->records[0]));
        assert(self->records != NULL);
    }
    self->records[self->count++] = *record;
}

static bus_err_t
check_header(bus_view_t bytes, header_t *ret_header, const char **reterr_why)
{
    if (bytes.size > HEADER_SIZE_MAX) {
        *reterr_why = "the header is over 4 KiB";
        return BUS_VALIDATION_FAILED;
    }
    if (header_decode(bytes, ret_header, reterr_why) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    if (ret_header->reply_to.data != NULL || ret_header->ack != HEADER_ACK_NONE ||
        ret_header->pseq != 0 || ret_header->pstream.data != NULL) {
        *reterr_why = "reply_to, ack and pseq belong to the batch's own header";
        return BUS_VALIDATION_FAILED;
    }
    return BUS_OK;
}

// What is claimed is replaced by the peer's own name, and dropped.
static void
replace_claims(group_t *self, header_t *header)
{
    bool is_other = header->source.data != NULL && !view_equal(header->source, self->outer->source);
    if (is_other) {
        self->claims.sources++;
        self->claims.source = header->source;
    }
    self->claims.stamps += header->seq != 0 || header->at != 0 || header->prev != 0;
    header->source = self->outer->source;
}

// What a message of the batch takes over from it is what it does not say itself.
static void
stamp(group_t *self, bus_view_t bytes, const header_t *header)
{
    const header_t *outer = self->outer;
    char id[ID_TEXT_SIZE];
    header_stamp_t add = {.journaled = true};
    if (header->id.data == NULL) {
        id_make(id);
        add.id = view_from(id, sizeof(id) - 1);
    }
    if (header->source.data == NULL || self->peer != NULL) {
        add.source = outer->source;
    }
    if (header->time == 0) {
        add.time = clock_wall_us();
    }
    header_restamp(bytes, &add, self->headers);
}

static bus_err_t
read_parts(walk_t *walk, bus_view_t ret_parts[3], const char **reterr_why)
{
    walk_item_t item;
    *reterr_why = "a message of a batch is [topic, header, body]";
    if (walk_next(walk, &item) != BUS_OK || item.type != WALK_ARRAY || item.count != 3) {
        return BUS_VALIDATION_FAILED;
    }
    if (walk_next(walk, &item) != BUS_OK || item.type != WALK_STR) {
        return BUS_VALIDATION_FAILED;
    }
    ret_parts[0] = item.bytes;
    if (walk_skip(walk, &ret_parts[1]) != BUS_OK || walk_skip(walk, &ret_parts[2]) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    return BUS_OK;
}

static bus_err_t
read_record(group_t *self, walk_t *walk, group_problem_t *reterr_problem)
{
    const char **reterr_why = &reterr_problem->why;
    bus_view_t parts[3];
    header_t header;
    bus_err_t err = read_parts(walk, parts, reterr_why);
    if (err != BUS_OK) {
        return err;
    }
    if (!topic_is_legal(parts[0], reterr_why)) {
        return BUS_INVALID_TOPIC;
    }
    if (topic_class(parts[0]) != TOPIC_JOURNALED) {
        *reterr_why = "a batch takes journaled topics only";
        return BUS_INVALID_TOPIC;
    }
    err = check_header(parts[1], &header, reterr_why);
    if (err == BUS_OK && self->peer != NULL) {
        replace_claims(self, &header);
    }
    if (err == BUS_OK) {
        err = access_say(parts[0], TOPIC_JOURNALED, &header, reterr_why);
    }
    breach_reason_t reason;
    if (err == BUS_OK && self->peer != NULL &&
        !access_may_say(self->peer, parts[0], TOPIC_JOURNALED, &reason)) {
        *reterr_why = "your certificate's rules do not let you publish this";
        reterr_problem->topic = parts[0];
        err = BUS_UNAUTHORIZED_ACCESS;
    }
    if (err == BUS_OK && self->peer != NULL && header.idem.data != NULL &&
        !access_is_own_idem(self->peer, header.idem)) {
        *reterr_why = ACCESS_IDEM_WHY;
        reterr_problem->topic = parts[0];
        err = BUS_UNAUTHORIZED_ACCESS;
    }
    if (err == BUS_OK && walk_check(parts[2], WALK_JSON, BODY_DEPTH_MAX, reterr_why) != BUS_OK) {
        err = BUS_VALIDATION_FAILED;
    }
    if (err != BUS_OK) {
        return err;
    }
    record_t record = {
        .topic = parts[0],
        .body = parts[2],
        .header_at = pack_view(self->headers).size,
        .trace_id = header.trace_id,
        .cause_seq = header.cause_seq,
        .cause_n = header.cause_n,
    };
    stamp(self, parts[1], &header);
    record.header_size = pack_view(self->headers).size - record.header_at;
    self->bytes += record.topic.size + record.body.size;
    push(self, &record);
    return BUS_OK;
}

bus_err_t
group_read(group_t *self,
           bus_view_t body,
           const header_t *outer,
           const who_peer_t *peer,
           group_problem_t *reterr_problem)
{
    self->outer = outer;
    self->peer = peer;
    self->count = 0;
    self->bytes = 0;
    self->claims = (group_claims_t){.sources = 0};
    pack_clear(self->headers);
    walk_t walk = walk_from(body);
    walk_item_t item;
    *reterr_problem = (group_problem_t){.index = UINT32_MAX};
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY || item.count == 0) {
        reterr_problem->why = "a batch is an array of messages";
        return BUS_VALIDATION_FAILED;
    }
    const uint32_t count = item.count;
    if (count > BATCH_COUNT_MAX) {
        reterr_problem->why = "a batch has at most 10,000 messages";
        return BUS_PAYLOAD_TOO_LARGE;
    }
    for (uint32_t i = 0; i < count; i++) {
        bus_err_t err = read_record(self, &walk, reterr_problem);
        if (err != BUS_OK) {
            reterr_problem->index = i;
            return err;
        }
    }
    if (walk.at != walk.end) {
        reterr_problem->why = "something follows the batch's array";
        return BUS_VALIDATION_FAILED;
    }
    return BUS_OK;
}

group_claims_t
group_claims(const group_t *self)
{
    return self->claims;
}

uint32_t
group_count(const group_t *self)
{
    return self->count;
}

size_t
group_bytes(const group_t *self)
{
    return self->bytes + pack_view(self->headers).size;
}

group_record_t
group_record(const group_t *self, uint32_t index)
{
    assert(index < self->count);
    const record_t *record = &self->records[index];
    return (group_record_t){
        .topic = record->topic,
        .header = view_from(pack_view(self->headers).data + record->header_at, record->header_size),
        .body = record->body,
        .trace_id = record->trace_id,
        .cause_seq = record->cause_seq,
        .cause_n = record->cause_n,
    };
}
