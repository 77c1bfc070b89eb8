// say.c - what the queue says of a task.
#include "say.h"

#include "proto/schema.h"

#include <stdio.h>

static schema_int_t
whole(uint64_t value)
{
    return (schema_int_t){.has = true, .value = (int64_t) value};
}

static schema_real_t
seconds(int64_t us)
{
    return (schema_real_t){.has = true, .value = (double) us / 1e6};
}

static bus_view_t
priority(const htm_task_t *task)
{
    return view_from_text(htm_tables_priority((htm_rank_t) task->row.rank));
}

static uint64_t
since(uint64_t at, uint64_t then)
{
    return at > then ? at - then : 0;
}

static bus_err_t
say(service_apply_t *apply,
    const htm_task_t *task,
    const char *topic,
    const schema_t *schema,
    const void *message)
{
    const htm_state_t *state = apply->state;
    pack_clear(state->said);
    schema_encode(schema, message, state->said);
    service_trace(apply, htm_task_text(task, HTM_TASK_TRACE));
    return service_say(apply, topic, pack_view(state->said));
}

// --- Starts --------------------------------------------------------------------------------------

void
htm_say_pack_execute(const htm_task_t *task, bus_view_t context, pack_t *out)
{
    const schema_task_execute_t execute = {
        .task_id = task->texts[HTM_TASK_ID],
        .task_type = task->texts[HTM_TASK_TYPE],
        .handler = task->texts[HTM_TASK_HANDLER],
        .priority = priority(task),
        .context = context,
        .worker = task->texts[HTM_TASK_WORKER],
        .attempt = whole(task->row.attempts),
        .lease_seconds = seconds((int64_t) task->row.lease_us),
        .sla_seconds = seconds((int64_t) task->row.sla_us),
    };
    pack_clear(out);
    schema_encode(&SCHEMA_task_execute, &execute, out);
}

void
htm_say_execute_topic(const htm_task_t *task, char ret_topic[HTM_SAY_TOPIC_SIZE])
{
    bus_view_t handler = task->texts[HTM_TASK_HANDLER];
    (void) snprintf(
        ret_topic, HTM_SAY_TOPIC_SIZE, "task.execute.%.*s", (int) handler.size, handler.data);
}

bus_err_t
htm_say_started(service_apply_t *apply, const htm_say_start_t *start)
{
    const htm_state_t *state = apply->state;
    const htm_task_t *task = start->task;
    const uint64_t at = apply->header->at;
    const schema_task_started_t started = {
        .task_id = task->texts[HTM_TASK_ID],
        .task_type = task->texts[HTM_TASK_TYPE],
        .handler = task->texts[HTM_TASK_HANDLER],
        .priority = priority(task),
        .worker = task->texts[HTM_TASK_WORKER],
        .attempt = whole(task->row.attempts),
        .at = whole(at),
        .cause = whole(apply->header->seq),
        .queued_us = whole(since(at, task->row.queued_us)),
        .dispatch_us = whole(start->dispatch_us),
        .overtook = whole(start->overtook),
    };
    bus_err_t err = say(apply, task, "task.started", &SCHEMA_task_started, &started);
    if (err == BUS_OK) {
        char topic[HTM_SAY_TOPIC_SIZE];
        htm_say_execute_topic(task, topic);
        htm_say_pack_execute(task, start->context, state->said);
        service_tell(apply, topic, pack_view(state->said));
    }
    return err;
}

// --- On the way ----------------------------------------------------------------------------------

bus_err_t
htm_say_retry(service_apply_t *apply,
              const htm_task_t *task,
              const char *reason,
              bus_view_t error,
              uint64_t delay_us)
{
    const schema_task_retry_t retry = {
        .task_id = task->texts[HTM_TASK_ID],
        .attempt = whole(task->row.attempts),
        .reason = view_from_text(reason),
        .error = error,
        .delay_seconds = seconds((int64_t) delay_us),
    };
    return say(apply, task, "task.retry", &SCHEMA_task_retry, &retry);
}

bus_err_t
htm_say_escalated(service_apply_t *apply, const htm_task_t *task, htm_rank_t from)
{
    const schema_task_escalated_t escalated = {
        .task_id = task->texts[HTM_TASK_ID],
        .from = view_from_text(htm_tables_priority(from)),
        .to = priority(task),
        .left_seconds = seconds((int64_t) htm_task_deadline(task) - (int64_t) apply->header->at),
    };
    return say(apply, task, "task.escalated", &SCHEMA_task_escalated, &escalated);
}

bus_err_t
htm_say_sla(service_apply_t *apply, const htm_task_t *task, const char *topic)
{
    const schema_task_sla_t sla = {
        .task_id = task->texts[HTM_TASK_ID],
        .task_type = task->texts[HTM_TASK_TYPE],
        .handler = task->texts[HTM_TASK_HANDLER],
        .priority = priority(task),
        .status = view_from_text(htm_tables_status((htm_status_t) task->row.status)),
        .sla_seconds = seconds((int64_t) task->row.sla_us),
        .elapsed_seconds = seconds((int64_t) since(apply->header->at, task->row.queued_us)),
    };
    return say(apply, task, topic, &SCHEMA_task_sla, &sla);
}

// --- The end -------------------------------------------------------------------------------------

bus_err_t
htm_say_done(service_apply_t *apply, const htm_task_t *task, bus_view_t result)
{
    const htm_task_row_t *row = &task->row;
    bool is_started = row->started_us >= row->queued_us && row->started_us > 0;
    const schema_task_done_t done = {
        .task_id = task->texts[HTM_TASK_ID],
        .task_type = task->texts[HTM_TASK_TYPE],
        .handler = task->texts[HTM_TASK_HANDLER],
        .priority = priority(task),
        .status = view_from_text(htm_tables_status((htm_status_t) row->status)),
        .reason = htm_task_text(task, HTM_TASK_REASON),
        .attempts = whole(row->attempts),
        .worker = htm_task_text(task, HTM_TASK_WORKER),
        .queued_us = whole(since(is_started ? row->started_us : row->finished_us, row->queued_us)),
        .run_us = whole(is_started ? since(row->finished_us, row->started_us) : 0),
        .sla_seconds = seconds((int64_t) row->sla_us),
        .sla_met = {.has = true,
                    .value = row->status == HTM_IS_COMPLETED &&
                             row->finished_us <= htm_task_deadline(task)},
        .intent = htm_task_text(task, HTM_TASK_INTENT),
        .issue_type = htm_task_text(task, HTM_TASK_ISSUE),
        .result = result,
    };
    return say(apply, task, "task.done", &SCHEMA_task_done, &done);
}
