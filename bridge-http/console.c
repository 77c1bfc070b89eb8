// console.c - the console's port: publishing, reading the journal, the topic catalogue.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "journal.h"
#include "params.h"
#include "proto/limits.h"
#include "proto/rfc3339.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "shapes.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE_RECORDS = 100,               // where no limit was given
    PAGE_BYTES_MAX = 3 * 1024 * 1024, // of one answer
    PAGE_FETCHES_MAX = 20             // for one page: a rare topic in a long journal
};

// --- POST /bus/publish --------------------------------------------------------------------------

static void
on_published(bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t topic = VIEW_NONE;
    bus_view_t value;
    if (walk_find(self->body, "topic", &value) == BUS_OK && walk_as_str(value, &topic) != BUS_OK) {
        topic = VIEW_NONE;
    }
    char at[RFC3339_SIZE];
    rfc3339_format(answer->at != 0 ? answer->at : clock_wall_us(), at);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 6);
    pack_pair_text(body, "status", "success");
    pack_pair_str(body, "topic", topic);
    pack_pair_text(body, "id", self->message_id);
    pack_pair_uint(body, "seq", answer->seq);
    pack_pair_text(body, "at", at);
    pack_pair_text(body, "trace_id", bridge_request_trace(self));
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_console_publish(bridge_request_t *self)
{
    bridge_shape_bus_publish_t asked;
    if (!bridge_params_decode(self, &BRIDGE_SHAPE_bus_publish, self->body, &asked)) {
        return;
    }
    bool legal = topic_is_legal(asked.topic, NULL);
    topic_class_t class_ = legal ? topic_class(asked.topic) : TOPIC_BUS;
    if (class_ != TOPIC_JOURNALED && class_ != TOPIC_LIVE) {
        bridge_answer_refuse(self,
                             BUS_INVALID_TOPIC,
                             legal ? "only journaled and live application topics may be published"
                                   : "the topic is no legal topic");
        return;
    }
    if (!bridge_params_may_say(self, asked.topic, asked.data)) {
        return;
    }
    // What only the owner may say is signed here as it is at its own door.
    BUS_AUTO(pack_destroy) pack_t *proved = pack_new();
    const bridge_route_t *guarding = bridge_route_guarding(asked.topic);
    bool is_owners = guarding != NULL && guarding->access == BRIDGE_OWNER;
    if (is_owners && !bridge_bucket_owner_sign(self, asked.topic, asked.data, proved)) {
        return;
    }
    char topic[TOPIC_SIZE_MAX + 1];
    (void) snprintf(topic, sizeof(topic), "%.*s", (int) asked.topic.size, asked.topic.data);
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_RECORD,
                               .topic = topic,
                               .body = is_owners ? pack_view(proved) : asked.data,
                               .idem = true,
                               .then = on_published});
}

// --- GET /bus/events ----------------------------------------------------------------------------

typedef struct {
    bridge_request_t *request;
    bridge_journal_job_t job;
    char pattern[TOPIC_SIZE_MAX + 1];
    uint64_t limit;
    uint64_t count;
    unsigned fetches;
    uint64_t first, head; // of the journal, with the last fetch that went well
    pack_t *records;      // an array, open
    size_t place;
} page_t;

static void
free_page(void *arg)
{
    page_t *self = arg;
    bridge_journal_cancel(self->request->bridge->journal, &self->job);
    pack_destroy(&self->records);
    free(self);
}

static void
pack_time(pack_t *out, const char *key, uint64_t time_us)
{
    char text[RFC3339_SIZE];
    rfc3339_format(time_us, text);
    pack_pair_text(out, key, text);
}

static void
pack_record(const client_heard_t *record, pack_t *out)
{
    pack_map(out, 8);
    pack_pair_uint(out, "seq", record->header.seq);
    pack_time(out, "at", record->header.at);
    pack_pair_str(out, "topic", record->topic);
    pack_pair_str(out, "id", record->header.id);
    pack_pair_str(out, "source", record->header.source);
    pack_pair_str(out, "trace_id", record->header.trace_id);
    pack_time(out, "time", record->header.time);
    pack_pair_raw(out, "data", record->body);
}

// Takes what fits. *ret_next: where the following page begins. True: the page is full.
static bool
take_records(page_t *self, const client_page_t *page, uint64_t *ret_next)
{
    client_records_t records = client_records(page);
    client_heard_t record;
    *ret_next = page->next;
    while (client_next_record(&records, &record) == BUS_OK) {
        bool is_seen = bridge_identity_sees_record(
            &self->request->identity, record.topic, &record.header, record.body);
        bool full =
            self->count == self->limit ||
            (self->count > 0 && pack_view(self->records).size + record.body.size > PAGE_BYTES_MAX);
        if (full) {
            *ret_next = record.header.seq;
            return true;
        }
        if (is_seen && topic_pattern_matches(view_from_text(self->pattern), record.topic)) {
            pack_record(&record, self->records);
            self->count++;
        }
    }
    return self->count == self->limit;
}

static void
answer_page(page_t *self, uint64_t next)
{
    pack_count(self->records, self->place, (uint32_t) self->count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 5);
    pack_pair_raw(body, "events", pack_view(self->records));
    pack_pair_uint(body, "count", self->count);
    pack_pair_uint(body, "next", next);
    pack_pair_uint(body, "first", self->first);
    pack_pair_uint(body, "head", self->head);
    bridge_answer(self->request, MHD_HTTP_OK, pack_view(body));
}

// A damaged record is named, so that a reader can go on behind it.
static void
refuse_page(page_t *self, const client_page_t *page)
{
    if (page->damaged == 0) {
        bridge_answer_refuse(self->request, page->err, NULL);
        return;
    }
    if (self->count > 0) {
        answer_page(self, page->damaged); // what is before it; the next page names it
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 1);
    pack_pair_uint(details, "seq", page->damaged);
    char message[96];
    (void) snprintf(message,
                    sizeof(message),
                    "record %llu does not match its checksum; read on from %llu",
                    (unsigned long long) page->damaged,
                    (unsigned long long) page->damaged + 1);
    bridge_answer_error(self->request,
                        &(bridge_error_t){.err = page->err,
                                          .message = view_from_text(message),
                                          .details = pack_view(details)});
}

static void
on_page(void *arg, const client_page_t *page)
{
    page_t *self = arg;
    if (page->err != BUS_OK) {
        refuse_page(self, page);
        return;
    }
    self->first = page->first;
    self->head = page->head;
    uint64_t next = 0;
    bool full = take_records(self, page, &next);
    if (full || next > page->head || ++self->fetches == PAGE_FETCHES_MAX) {
        answer_page(self, next);
        return;
    }
    self->job.from = next;
    bus_err_t err = bridge_journal_read(self->request->bridge->journal, &self->job);
    if (err != BUS_OK) {
        bridge_answer_refuse(self->request, err, NULL);
    }
}

void
bridge_console_events(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    bridge_shape_bus_events_t asked;
    if (!bridge_params_read(self, params, &asked)) {
        return;
    }
    bus_view_t pattern = asked.topic.data != NULL ? asked.topic : VIEW_LITERAL(">");
    if (!topic_pattern_is_legal(pattern)) {
        bridge_answer_invalid(self, "topic", "is no pattern over topics");
        return;
    }
    if (!bridge_is_connected(self->bridge)) {
        bridge_answer_refuse(self, BUS_SERVICE_UNAVAILABLE, "the broker is not there");
        return;
    }
    page_t *page = calloc(1, sizeof(*page));
    assert(page != NULL);
    page->request = self;
    page->limit = asked.limit.has ? (uint64_t) asked.limit.value : PAGE_RECORDS;
    (void) snprintf(page->pattern, sizeof(page->pattern), "%.*s", (int) pattern.size, pattern.data);
    bus_view_t prefix = topic_pattern_prefix(pattern);
    (void) snprintf(
        page->job.prefix, sizeof(page->job.prefix), "%.*s", (int) prefix.size, prefix.data);
    (void) snprintf(page->job.trace_id,
                    sizeof(page->job.trace_id),
                    "%.*s",
                    (int) asked.trace_id.size,
                    asked.trace_id.data == NULL ? "" : asked.trace_id.data);
    page->job.from = asked.from.has ? (uint64_t) asked.from.value : 0;
    page->job.max = (uint32_t) page->limit;
    page->job.fn = on_page;
    page->job.arg = page;
    page->records = pack_new();
    page->place = pack_array_begin(page->records);
    self->state_data = page;
    self->state_free = free_page;
    bus_err_t err = bridge_journal_read(self->bridge->journal, &page->job);
    if (err != BUS_OK) {
        bridge_answer_refuse(self, err, NULL);
    }
}

// --- GET /bus/topics ----------------------------------------------------------------------------

void
bridge_console_topics(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_text(body, "topics");
    pack_array(body, (uint32_t) topic_row_count);
    for (size_t i = 0; i < topic_row_count; i++) {
        pack_map(body, 4);
        pack_pair_text(body, "prefix", topic_rows[i].prefix);
        pack_pair_text(body, "class", topic_class_text(topic_rows[i].class_));
        pack_pair_text(body, "owner", topic_rows[i].owner);
        pack_pair_text(body, "meaning", topic_rows[i].meaning);
    }
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}
