// fake_journal.c - the fake broker's records, streams, fetches and answers.
#include "fake_self.h"

void
fake_copy_view(char text[FAKE_TEXT_SIZE], bus_view_t view)
{
    assert(view.size < FAKE_TEXT_SIZE);
    memset(text, 0, FAKE_TEXT_SIZE);
    if (view.size > 0) {
        memcpy(text, view.data, view.size);
    }
}

bus_view_t
fake_own(bus_view_t view)
{
    char *data = malloc(view.size + 1);
    assert(data != NULL);
    memcpy(data, view.data, view.size);
    return view_from(data, view.size);
}

// Deterministic: a linear congruence is random enough for faults.
bool
fake_happens(fake_broker_t *self, unsigned in_thousand, unsigned *left)
{
    if (left != NULL && *left > 0) {
        (*left)--;
        return true;
    }
    self->random = self->random * 1664525U + 1013904223U;
    return (self->random >> 8) % 1000 < in_thousand;
}

void
fake_publish(fake_broker_t *self, bus_view_t topic, bus_view_t header, bus_view_t body)
{
    if (self->xpub == NULL) {
        return;
    }
    zmq_send(self->xpub, topic.data, topic.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, header.data, header.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, body.data, body.size, 0);
}

void
fake_broker_publish(fake_broker_t *self, const char *topic, const header_t *header, bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(header, out);
    fake_publish(self, view_from_text(topic), pack_view(out), body);
}

void
fake_answer(fake_broker_t *self, const header_t *asked, bool is_error, bool is_ack, bus_view_t body)
{
    if (asked->reply_to.data == NULL) {
        return;
    }
    header_t header = {.source = VIEW_LITERAL("$bus"),
                       .re = asked->id,
                       .status = is_error ? VIEW_LITERAL("error") : VIEW_LITERAL("success"),
                       .is_ack = is_ack};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(&header, out);
    fake_publish(self, asked->reply_to, pack_view(out), body);
}

void
fake_refuse(fake_broker_t *self, const header_t *asked, bus_err_t err, uint64_t expected)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(details, 1);
    pack_pair_uint(details, "expected", expected);
    schema_pack_error(out, err, NULL, expected == 0 ? VIEW_NONE : pack_view(details), 0);
    self->counts.refusals++;
    fake_answer(self, asked, true, true, pack_view(out));
}

void
fake_ack(fake_broker_t *self, const header_t *asked, uint64_t seq, uint64_t at, bool duplicate)
{
    if (fake_happens(self, self->faults.lose_ack, &self->faults.lose_acks_next)) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 3);
    pack_pair_uint(out, "seq", seq);
    pack_pair_uint(out, "at", at);
    pack_pair_bool(out, "duplicate", duplicate);
    fake_answer(self, asked, false, true, pack_view(out));
}

// --- The journal ---------------------------------------------------------------------------------

static bool
matches(bus_view_t filters, const char *topic)
{
    walk_t walk = walk_from(filters);
    walk_item_t head, filter;
    if (filters.data == NULL || walk_next(&walk, &head) != BUS_OK || head.count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (walk_next(&walk, &filter) == BUS_OK &&
            view_starts(view_from_text(topic), filter.bytes)) {
            return true;
        }
    }
    return false;
}

// Answers a fetch, unless it may wait and there is nothing.
static bool
serve(fake_broker_t *self, const header_t *asked, const schema_fetch_t *fetch, bool may_wait)
{
    uint64_t next = fetch->from.value == 0 ? 1 : (uint64_t) fetch->from.value;
    if (next > self->count + 1) {
        fake_refuse(self, asked, BUS_AHEAD, 0);
        return true;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    uint32_t max = fetch->max.has ? (uint32_t) fetch->max.value : 1000;
    uint32_t found = 0;
    pack_map(out, 5);
    pack_text(out, "records");
    size_t place = pack_array_begin(out);
    while (next <= self->count && found < max) {
        const fake_record_t *record = &self->records[next - 1];
        next++;
        if (matches(fetch->filters, record->topic)) {
            pack_array(out, 3);
            pack_text(out, record->topic);
            pack_raw(out, record->header);
            pack_raw(out, record->body);
            found++;
        }
    }
    pack_count(out, place, found);
    if (found == 0 && may_wait) {
        return false;
    }
    pack_pair_text(out, "epoch", self->epoch);
    pack_pair_uint(out, "first", 1);
    pack_pair_uint(out, "next", next);
    pack_pair_uint(out, "head", self->count);
    fake_answer(self, asked, false, false, pack_view(out));
    return true;
}

void
fake_release_parked(parked_t *parked)
{
    free(parked->body);
    *parked = (parked_t){.is_used = false};
}

void
fake_look_at_parked(void *arg)
{
    fake_broker_t *self = arg;
    for (size_t i = 0; i < PARKED; i++) {
        parked_t *parked = &self->parked[i];
        if (!parked->is_used) {
            continue;
        }
        header_t asked = {.id = view_from_text(parked->id),
                          .reply_to = view_from_text(parked->reply_to)};
        schema_fetch_t fetch;
        schema_problems_t problems;
        bus_err_t err = schema_decode(
            &SCHEMA_fetch, view_from(parked->body, parked->body_size), &fetch, &problems);
        assert(err == BUS_OK);
        if (serve(self, &asked, &fetch, clock_boot_ms() < parked->until_ms)) {
            fake_release_parked(parked);
        }
    }
}

void
fake_on_fetch(fake_broker_t *self, const header_t *asked, bus_view_t body)
{
    schema_fetch_t fetch;
    schema_problems_t problems;
    bus_err_t err = schema_decode(&SCHEMA_fetch, body, &fetch, &problems);
    assert(err == BUS_OK);
    self->counts.fetches++;
    self->last_ack = (uint64_t) fetch.ack.value;
    self->last_from = (uint64_t) fetch.from.value;
    parked_t *place = NULL;
    for (size_t i = 0; i < PARKED; i++) {
        parked_t *parked = &self->parked[i];
        if (parked->is_used && view_is(fetch.consumer, parked->consumer)) {
            fake_release_parked(parked);
        }
        place = parked->is_used ? place : parked;
    }
    if (serve(self, asked, &fetch, fetch.wait_ms.has && fetch.wait_ms.value > 0)) {
        return;
    }
    assert(place != NULL);
    place->is_used = true;
    fake_copy_view(place->consumer, fetch.consumer);
    fake_copy_view(place->id, asked->id);
    fake_copy_view(place->reply_to, asked->reply_to);
    place->body = (char *) fake_own(body).data;
    place->body_size = body.size;
    place->until_ms = clock_boot_ms() + (uint64_t) fetch.wait_ms.value;
}

uint64_t
fake_append(
    fake_broker_t *self, bus_view_t topic, bus_view_t header_bytes, bus_view_t body, uint64_t at)
{
    header_t header;
    const char *why;
    bus_err_t err = header_decode(header_bytes, &header, &why);
    assert(err == BUS_OK && self->count < FAKE_RECORDS_MAX);
    fake_record_t *record = &self->records[self->count++];
    fake_copy_view(record->topic, topic);
    fake_copy_view(record->id, header.id);
    fake_copy_view(record->source, header.source);
    fake_copy_view(record->pstream, header.pstream);
    record->seq = self->count;
    record->at = at == 0 ? clock_wall_us() : at;
    record->pseq = header.pseq;
    record->cause_seq = header.cause_seq;
    record->cause_n = header.cause_n;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(header_bytes, &(header_stamp_t){.journaled = true}, out);
    record->header = fake_own(pack_view(out));
    header_place((uint8_t *) record->header.data + record->header.size, record->seq, record->at, 0);
    record->body = fake_own(body);
    return record->seq;
}

uint64_t
fake_broker_append(
    fake_broker_t *self, const char *topic, const header_t *header, bus_view_t body, uint64_t at)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(header, out);
    uint64_t seq = fake_append(self, view_from_text(topic), pack_view(out), body, at);
    fake_look_at_parked(self);
    return seq;
}

stream_t *
fake_find_stream(fake_broker_t *self, bus_view_t source, bus_view_t name)
{
    for (size_t i = 0; i < self->stream_count; i++) {
        if (view_equal(source, view_from_text(self->streams[i].source)) &&
            view_equal(name, view_from_text(self->streams[i].name))) {
            return &self->streams[i];
        }
    }
    assert(self->stream_count < STREAMS);
    stream_t *stream = &self->streams[self->stream_count++];
    *stream = (stream_t){.last = 0};
    fake_copy_view(stream->source, source);
    fake_copy_view(stream->name, name);
    return stream;
}

static uint64_t
seq_of(const fake_broker_t *self, const stream_t *stream, uint64_t pseq)
{
    for (size_t i = 0; i < self->count; i++) {
        const fake_record_t *record = &self->records[i];
        if (record->pseq == pseq && strcmp(record->pstream, stream->name) == 0 &&
            strcmp(record->source, stream->source) == 0) {
            return record->seq;
        }
    }
    return 0;
}

void
fake_on_journaled(fake_broker_t *self,
                  bus_view_t topic,
                  const header_t *header,
                  bus_view_t header_bytes,
                  bus_view_t body)
{
    fake_faults_t *faults = &self->faults;
    stream_t *stream = NULL;
    if (fake_happens(self, 0, &faults->refuse_next)) {
        fake_refuse(self, header, BUS_UNAUTHORIZED_ACCESS, 0);
        return;
    }
    if (fake_happens(self, faults->busy, &faults->busy_next)) {
        fake_refuse(self, header, BUS_BUSY, 0);
        return;
    }
    if (header->pseq > 0) {
        stream =
            fake_find_stream(self,
                             header->source,
                             header->pstream.data == NULL ? VIEW_LITERAL("") : header->pstream);
        if (header->pseq > stream->last + 1) {
            fake_refuse(self, header, BUS_PSEQ_GAP, stream->last + 1);
            return;
        }
        if (header->pseq <= stream->last) {
            uint64_t seq = seq_of(self, stream, header->pseq);
            self->counts.duplicates++;
            fake_ack(self, header, seq, seq == 0 ? 0 : self->records[seq - 1].at, true);
            return;
        }
    }
    if (fake_happens(self, faults->full, &faults->full_next)) {
        fake_refuse(self, header, BUS_JOURNAL_FULL, 0);
        return;
    }
    uint64_t seq = fake_append(self, topic, header_bytes, body, 0);
    if (stream != NULL) {
        stream->last = header->pseq;
        stream->cause_seq = header->cause_seq;
        stream->cause_n = header->cause_n;
    }
    if (header->ack != HEADER_ACK_NONE) {
        fake_ack(self, header, seq, self->records[seq - 1].at, false);
    }
    fake_look_at_parked(self);
}
