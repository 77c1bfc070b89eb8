// intent.c - what somebody wants becomes a task.
#include "intent.h"

#include "dispatch.h"
#include "due.h"
#include "enqueue.h"
#include "outcome.h"
#include "proto/walk.h"
#include "say.h"

// details.action, else the intent itself.
static bus_view_t
type_of(const schema_intent_task_t *intent)
{
    if (intent->task_type.data != NULL) {
        return intent->task_type;
    }
    bus_view_t action = walk_text_at(intent->details, "action");
    return action.size > 0 ? action : intent->intent;
}

static bus_view_t
handler_of(const schema_intent_task_t *intent)
{
    if (intent->handler.data != NULL) {
        return intent->handler;
    }
    return view_is(intent->intent, "remediate_drift") ? VIEW_LITERAL("self_healing") : VIEW_NONE;
}

// What its worker is handed: its context, or its details with issue_type and intent.
static void
pack_context(const schema_intent_task_t *intent, pack_t *out)
{
    if (intent->context.data != NULL) {
        pack_raw(out, intent->context);
        return;
    }
    bus_view_t details = intent->details.data != NULL ? intent->details : PACK_EMPTY_MAP;
    walk_pairs_t pairs = walk_pairs(details);
    bus_view_t key, value;
    uint32_t count = 1;
    size_t place = pack_map_begin(out);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "intent") && !view_is(key, "issue_type")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_pair_str(out, "intent", intent->intent);
    if (intent->issue_type.data != NULL) {
        pack_pair_str(out, "issue_type", intent->issue_type);
        count++;
    }
    pack_count(out, place, count);
}

static bus_err_t
take(service_apply_t *apply, const schema_intent_task_t *intent)
{
    const htm_state_t *state = apply->state;
    bus_view_t type = type_of(intent);
    if (type.size > HTM_TASK_NAME_MAX) {
        return service_refuse(
            apply, BUS_VALIDATION_FAILED, "details.action: at most 64 bytes", VIEW_NONE);
    }
    if (intent->sla_seconds.has && intent->sla_seconds.value <= 0) {
        return service_refuse(apply, BUS_VALIDATION_FAILED, "sla_seconds: above 0", VIEW_NONE);
    }
    BUS_AUTO(pack_destroy) pack_t *context = pack_new();
    pack_context(intent, context);
    const htm_enqueue_t wanted = {
        .task_type = type,
        .handler = handler_of(intent),
        .priority = intent->priority,
        .context = pack_view(context),
        .requester = intent->created_by,
        .intent = intent->intent,
        .issue_type = intent->issue_type,
        .sla_seconds = intent->sla_seconds.value,
        .max_retries = -1,
        .is_held = state->totals.settings.is_gated,
    };
    return htm_enqueue_add(apply, &wanted);
}

// It becomes no task: it is over, and who counts it as open (governance, the brain) is to hear so.
static bus_err_t
say_refused(service_apply_t *apply, const schema_intent_task_t *intent, bus_err_t why)
{
    char name[HTM_ENQUEUE_NAME_SIZE];
    htm_enqueue_name(apply->header->seq, name);
    bus_view_t type = type_of(intent);
    bus_view_t handler = handler_of(intent);
    uint64_t at = apply->header->at;
    htm_task_t task = {
        .row = {.seq = apply->header->seq,
                .queued_us = at,
                .finished_us = at,
                .rank = (uint8_t) htm_tables_find_priority(intent->priority),
                .status = HTM_IS_CANCELLED},
        .texts = {[HTM_TASK_ID] = view_from_text(name),
                  [HTM_TASK_TYPE] = type.size <= HTM_TASK_NAME_MAX ? type : intent->intent,
                  [HTM_TASK_HANDLER] = handler.size > 0 ? handler : VIEW_LITERAL("unknown"),
                  [HTM_TASK_TRACE] = apply->header->trace_id,
                  [HTM_TASK_INTENT] = intent->intent,
                  [HTM_TASK_ISSUE] = intent->issue_type,
                  [HTM_TASK_REASON] = view_from_text(error_meaning(why))},
    };
    bus_err_t err = htm_say_done(apply, &task, VIEW_NONE);
    return err == BUS_OK ? why : err;
}

bus_err_t
htm_intent_apply(service_apply_t *apply, const void *message)
{
    const schema_intent_task_t *intent = message;
    bus_err_t err = take(apply, intent);
    bool is_refused = err != BUS_OK && err != BUS_FULL && err != BUS_IO && err != BUS_CORRUPT;
    return is_refused ? say_refused(apply, intent, err) : err;
}

// --- Governance ----------------------------------------------------------------------------------

bus_err_t
htm_intent_gate(service_apply_t *apply, const void *message)
{
    const schema_governance_gate_t *gate = message;
    htm_state_t *state = apply->state;
    state->totals.settings.is_gated = gate->on.value;
    return htm_dispatch_finish(apply, BUS_OK);
}

static bus_err_t
decide(service_apply_t *apply, htm_task_t *task, const schema_governance_verdict_t *verdict)
{
    bus_err_t err = htm_outcome_withdraw(apply, task);
    if (err == BUS_OK && verdict->allowed.value) {
        err = htm_outcome_wait(apply, task, 0);
        return err == BUS_OK ? htm_due_save(apply, task) : err;
    }
    task->texts[HTM_TASK_REASON] = verdict->reason.size > 0 ? verdict->reason : verdict->rule;
    return err == BUS_OK ? htm_outcome_end(apply, task, HTM_IS_CANCELLED, VIEW_NONE) : err;
}

bus_err_t
htm_intent_verdict(service_apply_t *apply, const void *message)
{
    const schema_governance_verdict_t *verdict = message;
    htm_task_t task;
    if (!view_is(apply->header->source, "kernel-governance")) {
        return service_refuse(
            apply, BUS_UNAUTHORIZED_ACCESS, "the kernel governance alone says so", VIEW_NONE);
    }
    bus_err_t err = htm_task_load(apply->txn, (uint64_t) verdict->intent_seq.value, &task);
    if (err == BUS_OK && task.row.status == HTM_IS_HELD) {
        err = decide(apply, &task, verdict);
    }
    return htm_dispatch_finish(apply, store_forgive(err));
}
