// prana.c - attention packets: kept, summed up by person, told to Karma.
//
// A packet's number is its record's seq and its place in it, so that several in one record stand
// beside each other, in order. What is kept of one are its known fields: it is as large as the
// schema says and no larger. What is asked of them is in prana_query.c.
#include "prana_self.h"

#include "audit.h"
#include "governance.h"
#include "index.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PLACE_BITS = 7, // of a packet in its record
    NOTE_SIZE = 64,
};

static_assert(PRANA_PACKETS_MAX <= 1 << PLACE_BITS, "each packet of a record has a number");

// What each state is to Karma: docs/originals.md section 5.
static const char *
action_of(prana_state_t state)
{
    switch (state) {
    case PRANA_DEEP_FOCUS:
        return "deep_focus_learning";
    case PRANA_ON_TASK:
        return "active_engagement";
    case PRANA_THINKING:
        return "contemplative_learning";
    case PRANA_IDLE:
        return "passive_state";
    case PRANA_DISTRACTED:
        return "attention_drift";
    case PRANA_AWAY:
        return "disengagement";
    case PRANA_OFF_TASK:
        return "task_avoidance";
    case PRANA_STATE_COUNT:
        break;
    }
    return "user_activity";
}

static void
pack_packet(const service_apply_t *apply, const schema_prana_packet_t *packet, pack_t *out)
{
    bool has_trace = apply->header->trace_id.data != NULL;
    pack_map(out, has_trace ? 16 : 15);
    pack_pair_uint(out, "seq", apply->header->seq);
    pack_pair_rfc3339(out, "received_at", apply->header->at);
    if (has_trace) {
        pack_pair_str(out, "trace_id", apply->header->trace_id);
    }
    pack_pair_str(out, "user_id", packet->user_id);
    pack_pair_str(out, "session_id", packet->session_id);
    pack_pair_str(out, "lesson_id", packet->lesson_id);
    pack_pair_str(out, "task_id", packet->task_id);
    pack_pair_str(out, "system_type", packet->system_type);
    pack_pair_str(out, "role", packet->role);
    pack_pair_str(out, "timestamp", packet->timestamp);
    pack_pair_str(out, "cognitive_state", packet->cognitive_state);
    pack_pair_real(out, "active_seconds", packet->active_seconds.value);
    pack_pair_real(out, "idle_seconds", packet->idle_seconds.value);
    pack_pair_real(out, "away_seconds", packet->away_seconds.value);
    pack_pair_int(out, "focus_score", packet->focus_score.value);
    pack_pair_raw(out, "raw_signals", packet->raw_signals);
}

bus_err_t
bucket_prana_person(store_txn_t *txn, bus_view_t user_id, bucket_prana_person_t *ret_person)
{
    bus_view_t value;
    *ret_person = (bucket_prana_person_t){.packets = 0};
    bus_err_t err = store_get(txn, BUCKET_PEOPLE, user_id, &value);
    if (err == BUS_OK && value.size != sizeof *ret_person) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_person, value.data, sizeof *ret_person);
    }
    return err;
}

static bus_err_t
person_add(service_apply_t *apply, const schema_prana_packet_t *packet)
{
    bucket_state_t *state = apply->state;
    bucket_prana_person_t person;
    bus_err_t err = bucket_prana_person(apply->txn, packet->user_id, &person);
    if (err == BUS_CORRUPT) { // begins anew, rather than stop at every packet of this person
        log_error("person_damaged", "seq=%llu", (unsigned long long) apply->header->seq);
        state->totals.damaged++;
        err = BUS_NOT_FOUND;
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    person.packets++;
    person.focus += (uint64_t) packet->focus_score.value;
    person.states[prana_state(packet->cognitive_state)]++;
    person.systems[prana_system(packet->system_type)]++;
    return store_put(apply->txn, BUCKET_PEOPLE, packet->user_id, view_from(&person, sizeof person));
}

static void
pack_life_event(const service_apply_t *apply, const schema_prana_packet_t *packet, pack_t *out)
{
    char note[NOTE_SIZE];
    (void) snprintf(note,
                    sizeof note,
                    "PRANA %.*s, focus %d",
                    (int) packet->cognitive_state.size,
                    packet->cognitive_state.data,
                    (int) packet->focus_score.value);
    pack_map(out, 8);
    pack_pair_str(out, "user_id", packet->user_id);
    pack_pair_text(out, "action", action_of(prana_state(packet->cognitive_state)));
    pack_pair_str(out, "role", packet->role);
    pack_pair_text(out, "note", note);
    pack_text(out, "context");
    pack_map(out, 6);
    pack_pair_str(out, "session_id", packet->session_id);
    pack_pair_str(out, "system_type", packet->system_type);
    pack_pair_str(out, "lesson_id", packet->lesson_id);
    pack_pair_str(out, "task_id", packet->task_id);
    pack_pair_str(out, "cognitive_state", packet->cognitive_state);
    pack_pair_int(out, "focus_score", packet->focus_score.value);
    pack_text(out, "metadata");
    pack_map(out, 3);
    pack_pair_str(out, "event_id", apply->header->id);
    pack_pair_uint(out, "event_seq", apply->header->seq);
    pack_pair_text(out, "source", "prana_bucket");
    pack_pair_str(out, "timestamp", packet->timestamp);
    pack_pair_text(out, "source", "prana_bucket");
}

// Once, in the transaction that keeps the packet; never later where the forwarding is off.
static bus_err_t
tell_karma(service_apply_t *apply, const schema_prana_packet_t *packet, pack_t *scratch)
{
    bucket_state_t *state = apply->state;
    if (state->totals.forwarding == 0) {
        state->totals.skipped++;
        return BUS_OK;
    }
    pack_clear(scratch);
    pack_life_event(apply, packet, scratch);
    bus_err_t err = service_say(apply, "karma.life_event", pack_view(scratch));
    assert(err != BUS_PAYLOAD_TOO_LARGE); // of a dozen short fields
    if (err == BUS_OK) {
        state->totals.forwarded++;
    }
    return err;
}

static bus_err_t
keep(service_apply_t *apply, const schema_prana_packet_t *packet, uint32_t place, pack_t *scratch)
{
    bucket_state_t *state = apply->state;
    uint64_t number = apply->header->seq << PLACE_BITS | place;
    pack_clear(scratch);
    pack_packet(apply, packet, scratch);
    bus_err_t err = store_append(apply->txn, BUCKET_PACKETS, STORE_U64(number), pack_view(scratch));
    if (err == BUS_OK) {
        err = bucket_index_add(apply->txn, BUCKET_INDEX_PERSON, packet->user_id, number);
    }
    if (err == BUS_OK) {
        err = bucket_index_add(apply->txn, BUCKET_INDEX_SYSTEM, packet->system_type, number);
    }
    err = err == BUS_OK ? person_add(apply, packet) : err;
    err = err == BUS_OK ? tell_karma(apply, packet, scratch) : err;
    state->totals.packets += err == BUS_OK ? 1 : 0;
    return err;
}

static bus_err_t
audit(service_apply_t *apply, const char *operation, uint32_t count)
{
    merkle_hash_t hash;
    merkle_sha256(apply->body, &hash);
    const bucket_audit_t entry = {
        .event_type = "write",
        .operation = operation,
        .subject = apply->header->id,
        .content_hash = &hash,
    };
    bucket_audit_place_t place;
    bus_err_t err = bucket_audit_add(apply, &entry, &place);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(apply->answer, 7);
    pack_pair_bool(apply->answer, "success", true);
    pack_pair_text(apply->answer, "message", "Packet received");
    pack_pair_uint(apply->answer, "count", count);
    pack_pair_uint(apply->answer, "seq", apply->header->seq);
    bucket_audit_answer(apply->answer, &entry, &place);
    return BUS_OK;
}

static bus_err_t
keep_all(service_apply_t *apply,
         const schema_prana_packet_t *packets,
         uint32_t count,
         const char *operation)
{
    bucket_state_t *state = apply->state;
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    bus_err_t err = BUS_OK;
    for (uint32_t i = 0; i < count && err == BUS_OK; i++) {
        err = keep(apply, &packets[i], i, scratch);
    }
    err = err == BUS_OK ? bucket_tables_save(apply->txn, &state->totals) : err;
    return err == BUS_OK ? audit(apply, operation, count) : err;
}

bus_err_t
bucket_prana_packet(service_apply_t *apply, const void *message)
{
    static const char operation[] = "prana.packet";
    schema_problems_t problems;
    if (prana_check(message, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    return keep_all(apply, message, 1, operation);
}

bus_err_t
bucket_prana_several(service_apply_t *apply, const void *message)
{
    static const char operation[] = "prana.packets";
    const schema_prana_packets_t *several = message;
    schema_prana_packet_t *packets = calloc(PRANA_PACKETS_MAX, sizeof *packets);
    assert(packets != NULL);
    schema_problems_t problems;
    uint32_t count = 0;
    bus_err_t err = prana_decode(several->packets, packets, &count, &problems);
    if (err == BUS_OK) {
        err = keep_all(apply, packets, count, operation);
    } else {
        err = bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    free(packets);
    return err;
}
