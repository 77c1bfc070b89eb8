// context.c - what an agent is told of the one whose task it is. See context.h.
#include "context.h"

#include "core_self.h"
#include "proto/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>

enum {
    READ_MS = 2000,            // of each: docs/contract.md section 6
    PART_SIZE_MAX = 30 * 1024, // of each: both fit agent_request's context
};

static const char *const topics[CORE_PEER_COUNT] = {
    [CORE_PEER_BUCKET] = "bucket.context.read",
    [CORE_PEER_KARMA] = "req.karma.profile",
};

static bool
is_waiting(const core_context_t *self)
{
    return self->calls[CORE_PEER_BUCKET] != 0 || self->calls[CORE_PEER_KARMA] != 0;
}

static void
on_told(BUS_UNUSED void *arg, BUS_UNUSED const client_answer_t *answer)
{
    // Once in a while is enough: the next failure tells again.
}

// Bucket did not answer in its time: whoever keeps the service level is told, once in a while.
static void
tell_failure(const core_task_t *task)
{
    core_state_t *core = task->core;
    char now[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), now);
    pack_clear(core->scratch);
    pack_map(core->scratch, 6);
    pack_pair_text(core->scratch, "service_failure", "write_timeout");
    pack_pair_text(core->scratch, "timestamp", now);
    pack_pair_text(core->scratch, "sla_violated", "5_second_response_time");
    pack_pair_text(core->scratch, "escalation", "EXECUTOR_NOTIFIED");
    pack_pair_text(core->scratch, "service", "bucket");
    pack_pair_text(core->scratch, "requester_id", "bhiv_core");
    const client_message_t message = {
        .topic = "governance.service_failure",
        .body = pack_view(core->scratch),
        .trace_id = view_from_text(task->trace_id),
        .want = CLIENT_WANT_ACK,
    };
    bus_err_t err = client_send(service_client(core->service), &message, on_told, NULL, NULL);
    if (err != BUS_OK) {
        log_warning("failure_not_told", "error=%s", error_text(err));
    }
}

static void
take(core_task_t *task, core_peer_t peer, const client_answer_t *answer)
{
    core_context_t *self = &task->context;
    if (answer->event == CLIENT_ACKED) {
        return; // journaled: the answer is to come
    }
    self->calls[peer] = 0;
    if (answer->err == BUS_ABORTED) {
        return; // the process stops
    }
    if (answer->event == CLIENT_REPLIED && answer->err == BUS_OK &&
        answer->body.size <= PART_SIZE_MAX) {
        self->parts[peer] = pack_new();
        pack_raw(self->parts[peer], answer->body);
    } else if (answer->err == BUS_TIMEOUT) {
        bool is_first = core_presence_timed_out(task->core->presence, peer);
        if (is_first && peer == CORE_PEER_BUCKET) {
            tell_failure(task);
        }
    }
    if (!is_waiting(self)) {
        core_task_context_ready(task);
    }
}

static void
on_bucket(void *arg, const client_answer_t *answer)
{
    take(arg, CORE_PEER_BUCKET, answer);
}

static void
on_karma(void *arg, const client_answer_t *answer)
{
    take(arg, CORE_PEER_KARMA, answer);
}

static void
ask(core_task_t *task, core_peer_t peer, client_answer_fn *fn)
{
    core_state_t *core = task->core;
    if (!core_presence_can_ask(core->presence, peer)) {
        return;
    }
    pack_clear(core->scratch);
    if (peer == CORE_PEER_BUCKET) {
        pack_map(core->scratch, 2);
        pack_pair_text(core->scratch, "agent_id", core_task_agent(task));
        pack_pair_text(core->scratch, "requester_id", "bhiv_core");
    } else {
        pack_map(core->scratch, 1);
        pack_pair_text(core->scratch, "user_id", task->user_id);
    }
    const client_message_t message = {
        .topic = topics[peer],
        .body = pack_view(core->scratch),
        .trace_id = view_from_text(task->trace_id),
        .want = peer == CORE_PEER_BUCKET ? CLIENT_WANT_ACK | CLIENT_WANT_REPLY : CLIENT_WANT_REPLY,
        .timeout_ms = READ_MS,
    };
    bus_err_t err =
        client_send(service_client(core->service), &message, fn, task, &task->context.calls[peer]);
    if (err != BUS_OK) {
        task->context.calls[peer] = 0; // in silence: it is optional
    }
}

bool
core_context_begin(core_task_t *task)
{
    core_context_clear(task);
    if (task->user_id[0] == '\0') {
        return false;
    }
    ask(task, CORE_PEER_BUCKET, on_bucket);
    ask(task, CORE_PEER_KARMA, on_karma);
    return is_waiting(&task->context);
}

void
core_context_clear(core_task_t *task)
{
    core_context_t *self = &task->context;
    for (unsigned i = 0; i < CORE_PEER_COUNT; i++) {
        if (self->calls[i] != 0) {
            client_cancel(service_client(task->core->service), self->calls[i]);
        }
        self->calls[i] = 0;
        pack_destroy(&self->parts[i]);
    }
}

bool
core_context_is_there(const core_context_t *self)
{
    return self->parts[CORE_PEER_BUCKET] != NULL || self->parts[CORE_PEER_KARMA] != NULL;
}

void
core_context_pack(const core_context_t *self, pack_t *out)
{
    const pack_t *events = self->parts[CORE_PEER_BUCKET];
    const pack_t *karma = self->parts[CORE_PEER_KARMA];
    pack_map(out, (events != NULL ? 1u : 0u) + (karma != NULL ? 1u : 0u));
    if (karma != NULL) {
        pack_pair_raw(out, "karma", pack_view(karma));
    }
    if (events != NULL) {
        pack_pair_raw(out, "bucket", pack_view(events));
    }
}
