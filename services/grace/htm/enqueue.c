// enqueue.c - how tasks come in. Everything is checked before the first write.
#include "enqueue.h"

#include "dispatch.h"
#include "due.h"
#include "outcome.h"
#include "over.h"
#include "proto/topic.h"

#include <assert.h>
#include <stdio.h>
#include <xxhash.h>

#define NAME_PREFIX "task_"

enum {
    LEASE_SECONDS_MAX = 86400,
    LEASE_MS_MIN = 50,
    DAY_SECONDS = 86400,
};

static const uint64_t sla_seconds[HTM_RANK_COUNT] = {
    [HTM_CRITICAL] = 300,
    [HTM_HIGH] = 1800,
    [HTM_NORMAL] = 14400,
    [HTM_LOW] = 86400,
};

static const uint32_t max_retries[HTM_RANK_COUNT] = {
    [HTM_CRITICAL] = 3,
    [HTM_HIGH] = 1,
    [HTM_NORMAL] = 1,
    [HTM_LOW] = 1,
};

static uint64_t
to_us(double seconds)
{
    return (uint64_t) (seconds * 1e6 + 0.5);
}

bool
htm_enqueue_is_token(bus_view_t text)
{
    return text.size > 0 && memchr(text.data, '.', text.size) == NULL &&
           topic_is_legal(text, NULL) && text.data[0] != '$';
}

// --- Checks --------------------------------------------------------------------------------------

bus_err_t
htm_enqueue_check_room(service_apply_t *apply)
{
    const htm_state_t *state = apply->state;
    const htm_totals_t *totals = &state->totals;
    uint64_t open = totals->held + totals->running;
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        open += totals->waiting[i];
    }
    return open < HTM_ENQUEUE_OPEN_MAX
               ? BUS_OK
               : service_refuse(apply, BUS_BUSY, "too many tasks are open", VIEW_NONE);
}

static bus_err_t
invalid(service_apply_t *apply, const char *field, const char *problem)
{
    schema_problems_t problems = {.count = 1, .at = {{.field = field, .problem = problem}}};
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_refuse(apply, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

static bus_err_t
check_numbers(service_apply_t *apply, const htm_enqueue_t *wanted)
{
    if (!(wanted->sla_seconds >= 0 &&
          wanted->sla_seconds <= (double) HTM_ENQUEUE_SLA_DAYS_MAX * DAY_SECONDS) ||
        (wanted->sla_seconds > 0 && to_us(wanted->sla_seconds) == 0)) {
        return invalid(apply, "sla_seconds", "must be above 0, at most ten years");
    }
    if (wanted->lease_seconds != 0 && !(wanted->lease_seconds * 1000 >= LEASE_MS_MIN &&
                                        wanted->lease_seconds <= LEASE_SECONDS_MAX)) {
        return invalid(apply, "lease_seconds", "must be 0.05 to 86400");
    }
    if (!(wanted->delay_seconds >= 0 &&
          wanted->delay_seconds <= (double) HTM_ENQUEUE_DELAY_DAYS_MAX * DAY_SECONDS)) {
        return invalid(apply, "delay_seconds", "must be 0 to a year");
    }
    return BUS_OK;
}

// task_<seq> is what the queue calls a task: governance and memory know an intent's task by it.
static bool
is_ours(bus_view_t name)
{
    const bus_view_t prefix = VIEW_LITERAL(NAME_PREFIX);
    size_t at = prefix.size;
    if (!view_starts(name, prefix)) {
        return false;
    }
    while (at < name.size && name.data[at] >= '0' && name.data[at] <= '9') {
        at++;
    }
    return at > prefix.size && at == name.size;
}

static bus_err_t
check(service_apply_t *apply, const htm_enqueue_t *wanted, bus_view_t handler)
{
    const htm_state_t *state = apply->state;
    if (is_ours(wanted->task_id)) {
        return invalid(apply, "task_id", "task_ and a number is the queue's own name for a task");
    }
    if (!htm_enqueue_is_token(handler)) {
        return invalid(apply, "handler", "must be one token of A-Z a-z 0-9 _ -");
    }
    bus_err_t err = check_numbers(apply, wanted);
    if (err == BUS_OK) {
        err = htm_enqueue_check_room(apply);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (wanted->is_held && state->totals.held >= HTM_ENQUEUE_HELD_MAX) {
        return service_refuse(apply, BUS_BUSY, "too many intents wait for governance", VIEW_NONE);
    }
    if (htm_queue_find(state->queue, handler) == NULL &&
        htm_queue_handlers(state->queue) >= HTM_QUEUE_HANDLERS_MAX) {
        return service_refuse(apply, BUS_BUSY, "too many handlers have tasks", VIEW_NONE);
    }
    return BUS_OK;
}

void
htm_enqueue_name(uint64_t seq, char ret_name[HTM_ENQUEUE_NAME_SIZE])
{
    (void) snprintf(ret_name, HTM_ENQUEUE_NAME_SIZE, NAME_PREFIX "%llu", (unsigned long long) seq);
}

// --- Making it -----------------------------------------------------------------------------------

static void
fill(const service_apply_t *apply, const htm_enqueue_t *wanted, htm_task_t *task)
{
    const htm_state_t *state = apply->state;
    htm_rank_t rank = htm_tables_find_priority(wanted->priority);
    uint64_t at = apply->header->at;
    task->row = (htm_task_row_t){
        .seq = apply->header->seq,
        .created_us = at,
        .queued_us = at,
        .sla_us = wanted->sla_seconds > 0 ? to_us(wanted->sla_seconds)
                                          : sla_seconds[rank] * UINT64_C(1000000),
        .ready_us = at,
        .lease_us = wanted->lease_seconds > 0 ? to_us(wanted->lease_seconds)
                                              : state->totals.settings.lease_us,
        .asked_hash = wanted->asked_hash,
        .max_retries =
            wanted->max_retries >= 0 ? (uint32_t) wanted->max_retries : max_retries[rank],
        .context_size = (uint32_t) wanted->context.size,
        .status = wanted->is_held ? HTM_IS_HELD : HTM_IS_WAITING,
        .rank = (uint8_t) rank,
        .asked_rank = rank,
    };
    task->texts[HTM_TASK_TYPE] = wanted->task_type;
    task->texts[HTM_TASK_HANDLER] =
        wanted->handler.size > 0 ? wanted->handler : VIEW_LITERAL("unknown");
    task->texts[HTM_TASK_WORKER] = VIEW_NONE;
    task->texts[HTM_TASK_TRACE] = apply->header->trace_id;
    task->texts[HTM_TASK_REQUESTER] = wanted->requester;
    task->texts[HTM_TASK_INTENT] = wanted->intent;
    task->texts[HTM_TASK_ISSUE] = wanted->issue_type;
    task->texts[HTM_TASK_REASON] = VIEW_NONE;
}

static bus_err_t
write_new(service_apply_t *apply, htm_task_t *task, const htm_enqueue_t *wanted)
{
    htm_state_t *state = apply->state;
    bus_view_t key = STORE_U64(task->row.seq);
    bus_err_t err = store_put(apply->txn, HTM_IDS, task->texts[HTM_TASK_ID], key);
    if (err == BUS_OK && wanted->context.size > 0) {
        err = store_put(apply->txn, HTM_CONTEXTS, key, wanted->context);
    }
    state->totals.bytes += wanted->context.size;
    state->totals.statistics.queued++;
    if (err == BUS_OK && wanted->is_held) {
        state->totals.held++;
        err = store_put(apply->txn, HTM_HELD, key, view_from("", 0));
    } else if (err == BUS_OK) {
        err = htm_outcome_wait(apply, task, to_us(wanted->delay_seconds));
    }
    return err == BUS_OK ? htm_due_save(apply, task) : err;
}

// --- Answers -------------------------------------------------------------------------------------

static void
pack_answer(const htm_task_t *task, bool is_duplicate, pack_t *out)
{
    pack_map(out, 7);
    pack_pair_str(out, "task_id", task->texts[HTM_TASK_ID]);
    pack_pair_uint(out, "seq", task->row.seq);
    pack_pair_text(out, "status", htm_tables_status((htm_status_t) task->row.status));
    pack_pair_text(out, "priority", htm_tables_priority((htm_rank_t) task->row.rank));
    pack_pair_str(out, "handler", task->texts[HTM_TASK_HANDLER]);
    pack_pair_rfc3339(out, "deadline", htm_task_deadline(task));
    pack_pair_bool(out, "duplicate", is_duplicate);
}

// Answers as the task is once what could start has started.
static bus_err_t
conclude(service_apply_t *apply, htm_task_t *task)
{
    bus_err_t err = htm_dispatch_finish(apply, BUS_OK);
    if (err == BUS_OK) {
        err = htm_task_load(apply->txn, apply->header->seq, task);
    }
    if (err == BUS_OK) {
        pack_answer(task, false, apply->answer);
    }
    return err == BUS_NOT_FOUND || err == BUS_CORRUPT ? BUS_INTERNAL : err;
}

// There is a task of this name.
static bus_err_t
repeat(service_apply_t *apply, const htm_task_t *task, const htm_enqueue_t *wanted)
{
    htm_state_t *state = apply->state;
    if (task->row.asked_hash != wanted->asked_hash) {
        return service_refuse(apply, BUS_CONFLICT, "another task has this task_id", VIEW_NONE);
    }
    state->totals.statistics.duplicates++;
    pack_answer(task, true, apply->answer);
    return htm_dispatch_finish(apply, BUS_OK);
}

// Looks for a task of the wanted name. BUS_NOT_FOUND: the name is free.
static bus_err_t
find_same(service_apply_t *apply, const htm_enqueue_t *wanted, htm_task_t *task)
{
    if (wanted->task_id.size == 0) {
        return BUS_NOT_FOUND;
    }
    bus_err_t err = htm_task_find(apply->txn, wanted->task_id, task);
    if (err == BUS_CORRUPT) {
        return service_refuse(
            apply, BUS_CONFLICT, "a task with this task_id is damaged", VIEW_NONE);
    }
    return err == BUS_OK ? repeat(apply, task, wanted) : err;
}

bus_err_t
htm_enqueue_add(service_apply_t *apply, const htm_enqueue_t *wanted)
{
    htm_task_t task;
    bus_err_t err = find_same(apply, wanted, &task);
    if (err != BUS_NOT_FOUND) {
        return err;
    }
    fill(apply, wanted, &task);
    err = check(apply, wanted, task.texts[HTM_TASK_HANDLER]);
    char name[HTM_ENQUEUE_NAME_SIZE];
    task.texts[HTM_TASK_ID] = wanted->task_id;
    if (wanted->task_id.size == 0) {
        htm_enqueue_name(apply->header->seq, name);
        task.texts[HTM_TASK_ID] = view_from_text(name);
    }
    bool fits = false;
    if (err == BUS_OK) {
        err = htm_over_make_room(apply, wanted->context.size, &fits);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (!fits) {
        return htm_dispatch_finish(
            apply, service_refuse(apply, BUS_BUSY, "too many bytes are kept", VIEW_NONE));
    }
    err = write_new(apply, &task, wanted);
    return err == BUS_OK ? conclude(apply, &task) : err;
}

bus_err_t
htm_enqueue_apply(service_apply_t *apply, const void *message)
{
    const schema_task_enqueue_t *asked = message;
    const htm_state_t *state = apply->state;
    if (asked->sla_seconds.has && asked->sla_seconds.value <= 0) {
        return invalid(apply, "sla_seconds", "must be above 0, at most ten years");
    }
    pack_clear(state->said);
    schema_encode(&SCHEMA_task_enqueue, asked, state->said);
    bus_view_t whole = pack_view(state->said);
    const htm_enqueue_t wanted = {
        .task_id = asked->task_id,
        .task_type = asked->task_type,
        .handler = asked->handler,
        .priority = asked->priority,
        .context = asked->context,
        .requester = asked->requester_id,
        .sla_seconds = asked->sla_seconds.value,
        .lease_seconds = asked->lease_seconds.has ? asked->lease_seconds.value : 0,
        .delay_seconds = asked->delay_seconds.value,
        .max_retries = asked->max_retries.has ? asked->max_retries.value : -1,
        .asked_hash = XXH3_64bits(whole.data, whole.size),
    };
    return htm_enqueue_add(apply, &wanted);
}
