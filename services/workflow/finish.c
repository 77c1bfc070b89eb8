// finish.c - an execution ends. See finish.h.
#include "finish.h"

#include "index.h"
#include "metric.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "redact.h"
#include "runtime/log.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>

enum {
    EVENT_SIZE_MAX = WORKFLOW_RESULT_SIZE_MAX, // of result and payload
    NOTE_SIZE = 128,
    REPEAT_KEY_SIZE = 2 * sizeof(uint64_t),
};

// --- The result ----------------------------------------------------------------------------------

// The adapter's pairs, then trace_id and timestamp.
static void
pack_result(const workflow_execution_t *execution, bus_view_t given, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    walk_pairs_t pairs = walk_pairs(given);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "trace_id") && !view_is(key, "timestamp")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_pair_str(out, "trace_id", execution->trace_id);
    pack_pair_str(out, "timestamp", execution->finished_at);
    pack_count(out, place, count + 2);
}

// --- What is said of it --------------------------------------------------------------------------

static void
pack_metadata(bus_view_t payload, size_t used, pack_t *out)
{
    pack_text(out, "metadata");
    size_t before = pack_view(out).size;
    bool fits = payload.data != NULL && payload.size + used <= EVENT_SIZE_MAX;
    if (fits) {
        workflow_redact(payload, out); // may be larger: it has a word where a secret was
        fits = pack_view(out).size - before + used <= EVENT_SIZE_MAX;
    }
    if (!fits) {
        pack_truncate(out, before);
        pack_map(out, 1);
        pack_pair_text(out, "omitted", payload.data == NULL ? "it is damaged" : "it is too large");
    }
}

static void
pack_event(const workflow_execution_t *execution, bus_view_t payload, pack_t *out)
{
    bool has_id = execution->execution_id.data != NULL;
    pack_map(out, has_id ? 11 : 10);
    pack_pair_text(out, "requester_id", "workflow_executor");
    pack_pair_text(out, "event_type", "workflow_execution");
    pack_pair_str(out, "trace_id", execution->trace_id);
    if (has_id) {
        pack_pair_str(out, "execution_id", execution->execution_id);
    }
    pack_pair_str(out, "action_type", execution->action_type);
    pack_pair_str(out, "status", execution->status);
    pack_pair_raw(out, "execution_result", execution->execution_result);
    pack_metadata(payload, execution->execution_result.size, out);
    pack_pair_text(out, "karma", "direct");
    pack_pair_str(out, "user_id", execution->user_id);
    pack_pair_str(out, "timestamp", execution->finished_at);
}

static void
pack_life_event(const workflow_execution_t *execution, bool success, pack_t *out)
{
    char note[NOTE_SIZE];
    bus_view_t action = execution->action_type;
    bus_view_t shown = action.data == NULL ? VIEW_LITERAL("none") : action;
    int size =
        snprintf(note, sizeof note, "Workflow execution: %.*s", (int) shown.size, shown.data);
    assert(size > 0 && size < NOTE_SIZE); // an action_type has at most 64 bytes
    pack_map(out, 7);
    pack_pair_str(out, "user_id", execution->user_id);
    pack_pair_text(out, "action", success ? "workflow_success" : "workflow_failure");
    pack_pair_text(out, "role", "user");
    pack_pair_str(out, "note", view_from(note, strlen(note)));
    pack_text(out, "context");
    pack_map(out, 3);
    pack_pair_str(out, "trace_id", execution->trace_id);
    pack_pair_str(out, "action_type", action);
    pack_pair_text(out, "source", "workflow_executor");
    pack_pair_str(out, "timestamp", execution->finished_at);
    pack_pair_text(out, "source", "workflow_executor");
}

// The payload as it is kept; absent where it is damaged.
static bus_err_t
find_payload(store_txn_t *txn, uint64_t seq, bus_view_t *ret_payload)
{
    bus_err_t err = store_get(txn, WORKFLOW_PAYLOADS, STORE_U64(seq), ret_payload);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        *ret_payload = VIEW_NONE;
        return BUS_OK;
    }
    return err;
}

static bus_err_t
tell_bucket(service_apply_t *apply, const workflow_execution_t *execution, bus_view_t payload)
{
    workflow_state_t *state = apply->state;
    bus_err_t err = BUS_OK;
    if (payload.data == NULL) {
        err = find_payload(apply->txn, (uint64_t) execution->seq.value, &payload);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_clear(state->said);
    pack_event(execution, payload, state->said); // a copy: the payload's view dies with a write
    err = service_say(apply, "core.event.workflow_execution", pack_view(state->said));
    assert(err != BUS_PAYLOAD_TOO_LARGE);
    return err;
}

static bus_err_t
tell(service_apply_t *apply,
     const workflow_execution_t *execution,
     const workflow_outcome_t *outcome)
{
    workflow_state_t *state = apply->state;
    workflow_switches_t switches;
    bus_err_t err = workflow_config_get(apply->txn, &switches);
    if (err == BUS_OK && switches.events) {
        err = tell_bucket(apply, execution, outcome->payload);
    }
    if (err == BUS_OK && switches.karma) {
        pack_clear(state->said);
        pack_life_event(execution, outcome->success, state->said);
        err = service_say(apply, "karma.life_event", pack_view(state->said));
        assert(err != BUS_PAYLOAD_TOO_LARGE);
    }
    return err;
}

// --- Ending --------------------------------------------------------------------------------------

bus_err_t
workflow_finish(service_apply_t *apply,
                workflow_execution_t *execution,
                const workflow_outcome_t *outcome)
{
    workflow_state_t *state = apply->state;
    store_txn_t *txn = apply->txn;
    uint64_t seq = (uint64_t) execution->seq.value;
    bool is_ours = outcome->action < WORKFLOW_ACTION_COUNT;
    const char *action = is_ours ? workflow_adapter_of(outcome->action)->action : "other";
    bus_view_t before = execution->status;
    char at[RFC3339_SIZE];
    rfc3339_format(apply->header->at, at);
    execution->status = view_from_text(outcome->success ? WORKFLOW_SUCCESS : WORKFLOW_FAILED);
    execution->finished_at = view_from_text(at);
    execution->duration_ms =
        (schema_real_t){.has = true, .value = (double) outcome->duration_us / 1000};
    pack_clear(state->result);
    pack_result(execution, outcome->result, state->result);
    execution->execution_result = pack_view(state->result);
    bus_err_t err = workflow_execution_save(txn, execution, state->written);
    if (err == BUS_OK && before.size > 0) {
        err = workflow_index_remove(txn, WORKFLOW_INDEX_STATUS, before, seq);
    }
    if (err == BUS_OK) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_STATUS, execution->status, seq);
    }
    if (err == BUS_OK && is_ours) {
        err = workflow_execution_close(txn, WORKFLOW_IS_STARTED, outcome->action, seq);
    }
    if (err == BUS_OK) {
        err = workflow_metric_count(txn, action, outcome->success, outcome->duration_us);
    }
    err = err == BUS_OK ? tell(apply, execution, outcome) : err;
    execution->finished_at = VIEW_NONE; // `at` goes; the record has it
    return err;
}

// --- Answering -----------------------------------------------------------------------------------

static bus_view_t
make_repeat_key(uint64_t seq, uint64_t repeat, uint8_t key[REPEAT_KEY_SIZE])
{
    uint64_t big[2] = {htobe64(seq), htobe64(repeat)};
    memcpy(key, big, sizeof big);
    return view_from(key, REPEAT_KEY_SIZE);
}

// Who waits for it beside its own command: at most WORKFLOW_REPEATS_MAX seqs.
static bus_err_t
find_repeats(store_txn_t *txn, uint64_t seq, uint64_t *ret_repeats, size_t *ret_count)
{
    uint8_t start[REPEAT_KEY_SIZE] = {0};
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, WORKFLOW_REPEATS, &cursor);
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    *ret_count = 0;
    if (err == BUS_OK) {
        err = store_seek(cursor, make_repeat_key(seq, 0, start), &key, &value);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && key.size == REPEAT_KEY_SIZE &&
           memcmp(key.data, start, sizeof seq) == 0 && *ret_count < WORKFLOW_REPEATS_MAX) {
        uint64_t big;
        memcpy(&big, key.data + sizeof big, sizeof big);
        ret_repeats[(*ret_count)++] = be64toh(big);
        err = store_next(cursor, &key, &value);
    }
    return store_forgive(err);
}

static bus_err_t
answer_all(service_apply_t *apply, uint64_t seq, bus_err_t what, bus_view_t body)
{
    uint64_t repeats[WORKFLOW_REPEATS_MAX];
    size_t count = 0;
    bus_err_t err = service_answer(apply, seq, what, body);
    if (err == BUS_OK) {
        err = find_repeats(apply->txn, seq, repeats, &count);
    }
    for (size_t i = 0; i < count && err == BUS_OK; i++) {
        uint8_t key[REPEAT_KEY_SIZE];
        err = service_answer(apply, repeats[i], what, body);
        if (err == BUS_OK) {
            err = store_del(apply->txn, WORKFLOW_REPEATS, make_repeat_key(seq, repeats[i], key));
        }
    }
    return err;
}

bus_err_t
workflow_finish_answer(service_apply_t *apply, const workflow_execution_t *execution)
{
    workflow_state_t *state = apply->state;
    pack_clear(state->said);
    workflow_execution_answer(execution, state->said);
    return answer_all(apply, (uint64_t) execution->seq.value, BUS_OK, pack_view(state->said));
}

bus_err_t
workflow_finish_damaged(service_apply_t *apply, uint64_t seq)
{
    workflow_state_t *state = apply->state;
    log_error("execution_damaged", "seq=%llu", (unsigned long long) seq);
    bus_err_t err = BUS_OK;
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT && err == BUS_OK; i++) {
        err = workflow_execution_close(apply->txn, WORKFLOW_IS_QUEUED, (workflow_action_t) i, seq);
        if (err == BUS_OK) {
            err = workflow_execution_close(
                apply->txn, WORKFLOW_IS_STARTED, (workflow_action_t) i, seq);
        }
    }
    pack_clear(state->said);
    schema_pack_error(state->said, BUS_CORRUPT, NULL, VIEW_NONE, 0);
    return err == BUS_OK ? answer_all(apply, seq, BUS_CORRUPT, pack_view(state->said)) : err;
}

bus_err_t
workflow_finish_wait(service_apply_t *apply, uint64_t seq)
{
    uint64_t repeats[WORKFLOW_REPEATS_MAX];
    size_t count = 0;
    bus_err_t err = find_repeats(apply->txn, seq, repeats, &count);
    if (err == BUS_OK && count >= WORKFLOW_REPEATS_MAX) {
        return service_refuse(
            apply, BUS_BUSY, "too many wait for this execution already", VIEW_NONE);
    }
    uint8_t key[REPEAT_KEY_SIZE];
    if (err == BUS_OK) {
        err = store_put(apply->txn,
                        WORKFLOW_REPEATS,
                        make_repeat_key(seq, apply->header->seq, key),
                        view_from("", 0));
    }
    return err == BUS_OK ? service_defer(apply) : err;
}
