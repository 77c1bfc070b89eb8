// outcome.c - what Core tells the others about a task. See outcome.h.
//
//     success: rl_outcome, agent_result, karma.life_event and, where it was asked for,
//              workflow.execute
//     failure: task_error, karma.life_event
//
// Core learns from these same records when it applies them (history.c), so what was told is what
// was learned, and a rebuild learns it again.
#include "outcome.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    // Calls of the client: 8,192 may wait. A task that is worked on has two at most, so what is
    // begun below this can always be told.
    PENDING_MAX = 8192 - 2 * CORE_TASKS_MAX,
    LOG_MS = 1000,
    NOTE_SIZE = 96,
};

#define USER_OF_NOBODY "system"

typedef struct {
    const core_task_t *task;
    const core_answer_t *answer; // NULL: it failed
    pack_t *out;
    uint32_t count; // of messages
} batch_t;

static const char *
user_of(const core_task_t *task)
{
    return task->user_id[0] == '\0' ? USER_OF_NOBODY : task->user_id;
}

static void
begin_message(batch_t *self, const char *topic)
{
    pack_array(self->out, 3);
    pack_text(self->out, topic);
    pack_map(self->out, 1); // id, source and time are the broker's to add
    pack_pair_text(self->out, "trace_id", self->task->trace_id);
    self->count++;
}

// What all of Core's events begin with. `more` pairs are to follow.
enum { EVENT_PAIRS = 7 };
static void
begin_event(batch_t *self, const char *topic, const char *event_type, uint32_t more)
{
    const core_task_t *task = self->task;
    begin_message(self, topic);
    pack_map(self->out, EVENT_PAIRS + more);
    pack_pair_text(self->out, "requester_id", "bhiv_core");
    pack_pair_text(self->out, "event_type", event_type);
    pack_pair_text(self->out, "task_id", task->task_id);
    pack_pair_text(self->out, "agent_id", core_task_agent(task));
    pack_pair_text(self->out, "user_id", user_of(task));
    pack_pair_text(self->out, "trace_id", task->trace_id);
    pack_pair_text(self->out, "karma", "direct");
}

static void
pack_metadata(const batch_t *self)
{
    const core_task_t *task = self->task;
    pack_text(self->out, "metadata");
    pack_map(self->out, 4);
    pack_pair_text(self->out, "task_id", task->task_id);
    pack_pair_real(self->out, "processing_time", task->processing_s);
    pack_pair_text(self->out, "input_type", core_selector_input_text(task->input_type));
    pack_pair_raw(self->out, "tags", pack_view(task->tags));
}

static void
pack_attempts(const batch_t *self)
{
    pack_text(self->out, "attempts");
    pack_array(self->out, self->task->attempt_count);
    pack_raw(self->out, pack_view(self->task->attempts));
}

static void
add_success(batch_t *self)
{
    const core_task_t *task = self->task;
    bool failed_before = task->attempt_count > 0;
    begin_event(self, "core.event.rl_outcome", "rl_outcome", failed_before ? 4 : 3);
    pack_pair_real(self->out, "reward", task->reward);
    pack_metadata(self);
    pack_pair_text(self->out, "request_hash", task->hash);
    if (failed_before) {
        pack_attempts(self);
    }
    begin_event(self, "core.event.agent_result", "agent_result", 1);
    pack_pair_raw(self->out, "result", pack_view(task->output));
}

static void
add_failure(batch_t *self)
{
    const core_task_t *task = self->task;
    begin_event(self, "core.event.task_error", "task_error", 5);
    pack_pair_text(self->out, "error", task->why);
    pack_pair_text(self->out, "input_type", core_selector_input_text(task->input_type));
    pack_metadata(self);
    pack_attempts(self);
    pack_pair_text(self->out, "request_hash", task->hash);
}

static void
add_karma(batch_t *self)
{
    const core_task_t *task = self->task;
    char note[NOTE_SIZE];
    (void) snprintf(note, sizeof note, "Agent execution: %s", core_task_agent(task));
    begin_message(self, "karma.life_event");
    pack_map(self->out, 6);
    pack_pair_text(self->out, "user_id", user_of(task));
    pack_pair_text(self->out, "action", self->answer != NULL ? "agent_success" : "agent_failure");
    pack_pair_text(self->out, "role", "user");
    pack_pair_text(self->out, "note", note);
    pack_text(self->out, "context");
    pack_map(self->out, 4);
    pack_pair_text(self->out, "agent_id", core_task_agent(task));
    pack_pair_text(self->out, "task_id", task->task_id);
    pack_pair_text(self->out, "trace_id", task->trace_id);
    pack_pair_text(self->out, "input_type", core_selector_input_text(task->input_type));
    pack_pair_text(self->out, "source", "bhiv_core");
}

// The agent's payload, and what makes it this task's: a name of ours wins over the agent's.
static void
pack_payload(batch_t *self)
{
    static const char *const ours[] = {"action_type", "trace_id", "execution_id", "user_id"};
    const core_task_t *task = self->task;
    const schema_agent_answer_t *said = &self->answer->said;
    bus_view_t payload = said->workflow_payload;
    bus_view_t user_id;
    bool has_user = payload.data != NULL && walk_find(payload, "user_id", &user_id) == BUS_OK;
    pack_text(self->out, "payload");
    size_t place = pack_map_begin(self->out);
    uint32_t count = 4;
    if (said->workflow_action_type.size > 0) {
        pack_pair_str(self->out, "action_type", said->workflow_action_type);
    } else {
        pack_pair_text(self->out, "action_type", "task");
    }
    if (has_user) {
        pack_pair_raw(self->out, "user_id", user_id);
    } else {
        pack_pair_text(self->out, "user_id", user_of(task));
    }
    pack_pair_text(self->out, "trace_id", task->trace_id);
    // One act a task, however many tasks a trace has.
    pack_pair_text(self->out, "execution_id", task->task_id);
    walk_pairs_t pairs = walk_pairs(payload);
    bus_view_t key;
    bus_view_t value;
    while (payload.data != NULL && walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bool is_ours = false;
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
            is_ours = is_ours || view_is(key, ours[i]);
        }
        if (!is_ours) {
            pack_str(self->out, key);
            pack_raw(self->out, value);
            count++;
        }
    }
    pack_count(self->out, place, count);
}

static void
add_workflow(batch_t *self)
{
    assert(self->answer != NULL); // a task that failed asks for none
    begin_message(self, "workflow.execute");
    pack_map(self->out, 5);
    pack_pair_text(self->out, "trace_id", self->task->trace_id);
    pack_pair_text(self->out, "decision", "workflow");
    pack_pair_text(self->out, "requester_id", "bhiv_core");
    pack_pair_text(self->out, "task_id", self->task->task_id); // by which Core knows it again
    pack_text(self->out, "data");
    pack_map(self->out, 2);
    pack_pair_text(self->out, "workflow_type", "workflow");
    pack_payload(self);
}

// --- Sending -------------------------------------------------------------------------------------

// An outcome is lost only where the broker refuses it for good: its disk is full, it is no more.
static void
lose(core_state_t *core, bus_err_t err)
{
    core->facts_lost++;
    uint64_t now_ms = clock_boot_ms();
    if (now_ms >= core->facts_logged_ms + LOG_MS) {
        core->facts_logged_ms = now_ms;
        log_error("outcome_lost",
                  "error=%s count=%llu",
                  error_text(err),
                  (unsigned long long) core->facts_lost);
    }
}

typedef struct {
    core_state_t *core;
    char task_id[CORE_TASK_ID_MAX + 1];
} sent_t;

static void
on_answer(void *arg, const client_answer_t *answer)
{
    sent_t *sent = arg;
    if (answer->event == CLIENT_FAILED && answer->err != BUS_ABORTED) {
        lose(sent->core, answer->err);
        core_task_applied(sent->core, view_from_text(sent->task_id)); // it never will be
    }
    free(sent);
}

bool
core_outcome_publish(const core_task_t *task, const core_answer_t *answer)
{
    core_state_t *core = task->core;
    pack_clear(core->scratch);
    batch_t batch = {.task = task, .answer = answer, .out = core->scratch};
    size_t place = pack_array_begin(batch.out);
    if (answer != NULL) {
        add_success(&batch);
    } else {
        add_failure(&batch);
    }
    add_karma(&batch);
    if (task->asks_workflow) {
        add_workflow(&batch);
    }
    pack_count(batch.out, place, batch.count);
    sent_t *sent = malloc(sizeof *sent);
    assert(sent);
    sent->core = core;
    memcpy(sent->task_id, task->task_id, sizeof sent->task_id);
    const client_message_t message = {
        .topic = "$bus.batch",
        .body = pack_view(batch.out),
        .trace_id = view_from_text(task->trace_id),
        .want = CLIENT_WANT_ACK,
    };
    bus_err_t err = client_send(service_client(core->service), &message, on_answer, sent, NULL);
    if (err != BUS_OK) {
        free(sent);
        lose(core, err);
    }
    return err == BUS_OK;
}

bool
core_outcome_has_room(const core_state_t *core)
{
    return client_pending(service_client(core->service)) < PENDING_MAX;
}
