// task.c - tasks that are kept, listed and completed here.
#include "task.h"

#include "index.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CREATED "CREATED"
#define COMPLETED "COMPLETED"
#define ID_PREFIX "task_"

enum {
    ID_SIZE = 32,
    REFERENCE_SIZE = 64,
    LIMIT_DEFAULT = 100,
    LIST_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1: a page
};

// --- The record ----------------------------------------------------------------------------------

static bus_err_t
load(store_txn_t *txn, uint64_t seq, pack_t *copy, schema_workflow_task_t *ret_task)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, WORKFLOW_TASKS, STORE_U64(seq), &value);
    if (err != BUS_OK) {
        return err;
    }
    schema_problems_t problems = {.count = 0};
    pack_clear(copy);
    pack_raw(copy, value);
    err = schema_decode(&SCHEMA_workflow_task, pack_view(copy), ret_task, &problems);
    return err == BUS_OK ? BUS_OK : BUS_CORRUPT;
}

static bus_err_t
save(store_txn_t *txn, uint64_t seq, const schema_workflow_task_t *task, pack_t *written)
{
    pack_clear(written);
    schema_encode(&SCHEMA_workflow_task, task, written);
    return store_put(txn, WORKFLOW_TASKS, STORE_U64(seq), pack_view(written));
}

// The seq in a task's id. False: it is none of ours.
static bool
parse_id(bus_view_t id, uint64_t *ret_seq)
{
    char text[ID_SIZE];
    size_t prefix = strlen(ID_PREFIX);
    if (id.size >= sizeof text || !view_starts(id, VIEW_LITERAL(ID_PREFIX)) ||
        id.size < prefix + 8 || !isxdigit((unsigned char) id.data[prefix])) {
        return false;
    }
    memcpy(text, id.data, id.size);
    text[id.size] = '\0';
    char *end = NULL;
    errno = 0;
    *ret_seq = strtoull(text + prefix, &end, 16);
    return errno == 0 && *end == '\0';
}

// --- Creating ------------------------------------------------------------------------------------

static bus_err_t
add_indexes(store_txn_t *txn, uint64_t seq, const schema_workflow_task_t *task)
{
    bus_err_t err = workflow_index_add(txn, WORKFLOW_INDEX_TASK, VIEW_LITERAL("all"), seq);
    if (err == BUS_OK) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_TASK_STATUS, task->task_status, seq);
    }
    if (err == BUS_OK) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_TASK_USER, task->user_id, seq);
    }
    return err;
}

bus_err_t
workflow_task_create(service_apply_t *apply,
                     const workflow_execution_t *execution,
                     const workflow_values_t *values,
                     pack_t *result)
{
    workflow_state_t *state = apply->state;
    uint64_t seq = apply->header->seq;
    char id[ID_SIZE];
    char reference[REFERENCE_SIZE];
    (void) snprintf(id, sizeof id, ID_PREFIX "%08llx", (unsigned long long) seq);
    (void) snprintf(reference, sizeof reference, "local://tasks/%s", id);
    const schema_workflow_task_t task = {
        .task_id = view_from_text(id),
        .title = values->at[0],
        .description = values->at[1],
        .task_status = VIEW_LITERAL(CREATED),
        .reference = view_from_text(reference),
        .user_id = execution->user_id,
        .trace_id = execution->trace_id,
        .created_at = execution->requested_at,
    };
    bus_err_t err = save(apply->txn, seq, &task, state->written);
    if (err == BUS_OK) {
        err = add_indexes(apply->txn, seq, &task);
    }
    if (err == BUS_OK) {
        err = service_say(apply, "workflow.task.created", pack_view(state->written));
        assert(err != BUS_PAYLOAD_TOO_LARGE); // its fields have limits
    }
    pack_map(result, 5);
    pack_pair_bool(result, "success", true);
    pack_pair_text(result, "task_id", id);
    pack_pair_text(result, "task_status", CREATED);
    pack_pair_text(result, "reference", reference);
    pack_pair_str(result, "created_at", execution->requested_at);
    return err;
}

// --- Completing ----------------------------------------------------------------------------------

static bus_err_t
complete(service_apply_t *apply,
         const schema_workflow_task_complete_t *asked,
         uint64_t seq,
         schema_workflow_task_t *task)
{
    workflow_state_t *state = apply->state;
    char at[RFC3339_SIZE];
    rfc3339_format(apply->header->at, at);
    bus_err_t err =
        workflow_index_remove(apply->txn, WORKFLOW_INDEX_TASK_STATUS, task->task_status, seq);
    task->task_status = VIEW_LITERAL(COMPLETED);
    task->completed_at = view_from_text(at);
    task->note = asked->note;
    if (err == BUS_OK) {
        err = workflow_index_add(apply->txn, WORKFLOW_INDEX_TASK_STATUS, task->task_status, seq);
    }
    if (err == BUS_OK) {
        err = save(apply->txn, seq, task, state->written);
    }
    if (err == BUS_OK) {
        pack_raw(apply->answer, pack_view(state->written));
    }
    return err;
}

bus_err_t
workflow_task_complete(service_apply_t *apply, const void *message)
{
    const schema_workflow_task_complete_t *asked = message;
    workflow_state_t *state = apply->state;
    uint64_t seq = 0;
    schema_workflow_task_t task;
    bus_err_t err = BUS_NOT_FOUND;
    if (parse_id(asked->task_id, &seq)) {
        err = load(apply->txn, seq, state->record, &task);
    }
    if (err == BUS_NOT_FOUND) {
        return service_refuse(apply, BUS_NOT_FOUND, "there is no such task", VIEW_NONE);
    }
    if (err == BUS_CORRUPT) { // the store's word for it would have the record tried for ever
        return service_refuse(apply, BUS_INTERNAL, "the task's record is damaged", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (view_is(task.task_status, COMPLETED)) {
        pack_raw(apply->answer, pack_view(state->record));
        return BUS_OK;
    }
    return complete(apply, asked, seq, &task);
}

// --- Asking --------------------------------------------------------------------------------------

typedef struct {
    service_query_t *query;
    const schema_workflow_tasks_query_t *asked;
    int64_t limit;
    pack_t *copy;
    uint32_t count;
    bus_err_t err;
} listing_t;

static bool
take(void *arg, uint64_t seq)
{
    listing_t *self = arg;
    schema_workflow_task_t task;
    bus_err_t err = load(self->query->txn, seq, self->copy, &task);
    if (err != BUS_OK) { // a damaged one is left out, not the list's end
        self->err = err == BUS_CORRUPT || err == BUS_NOT_FOUND ? BUS_OK : err;
        return self->err == BUS_OK;
    }
    const schema_workflow_tasks_query_t *asked = self->asked;
    bool is_it = (asked->status.data == NULL || view_equal(asked->status, task.task_status)) &&
                 (asked->user_id.data == NULL || view_equal(asked->user_id, task.user_id));
    size_t size = pack_view(self->query->answer).size + pack_view(self->copy).size;
    if (is_it && self->count > 0 && size > LIST_BYTES_MAX) {
        return false;
    }
    if (is_it) {
        pack_raw(self->query->answer, pack_view(self->copy));
        self->count++;
    }
    return self->count < self->limit;
}

bus_err_t
workflow_task_query_list(service_query_t *query, const void *message)
{
    const schema_workflow_tasks_query_t *asked = message;
    workflow_index_kind_t kind = WORKFLOW_INDEX_TASK;
    bus_view_t value = VIEW_LITERAL("all");
    if (asked->user_id.data != NULL) {
        kind = WORKFLOW_INDEX_TASK_USER;
        value = asked->user_id;
    } else if (asked->status.data != NULL) {
        kind = WORKFLOW_INDEX_TASK_STATUS;
        value = asked->status;
    }
    listing_t listing = {
        .query = query,
        .asked = asked,
        .limit = asked->limit.has ? asked->limit.value : LIMIT_DEFAULT,
        .copy = pack_new(),
    };
    pack_map(query->answer, 2);
    pack_text(query->answer, "tasks");
    size_t place = pack_array_begin(query->answer);
    bus_err_t err = workflow_index_walk(query->txn, kind, value, take, &listing);
    pack_count(query->answer, place, listing.count);
    pack_pair_uint(query->answer, "count", listing.count);
    pack_destroy(&listing.copy);
    return err == BUS_OK ? listing.err : err;
}

bus_err_t
workflow_task_query_one(service_query_t *query, const void *message)
{
    const schema_workflow_task_query_t *asked = message;
    uint64_t seq = 0;
    bus_view_t task;
    bus_err_t err = BUS_NOT_FOUND;
    if (parse_id(asked->task_id, &seq)) {
        err = store_get(query->txn, WORKFLOW_TASKS, STORE_U64(seq), &task);
    }
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(query, BUS_NOT_FOUND, "there is no such task", VIEW_NONE);
    }
    if (err == BUS_OK) {
        pack_raw(query->answer, task);
    }
    return err;
}
