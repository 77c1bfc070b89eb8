// task.c - tasks that are being worked on. See task.h.
//
// One attempt after another, each at one agent, until one answers well or nobody is left, all
// within one deadline. What must not be forgotten is published before anybody is answered, so
// whoever acts on an answer (a feedback) comes after it in the journal.
#include "task.h"

#include "attempt.h"
#include "choose.h"
#include "core_self.h"
#include "outcome.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { ERROR_STATUS = 500, ERROR_SIZE = CORE_ANSWER_WHY_SIZE + 32 };

// Seconds for all attempts of a task, by what it is about (docs/originals.md 3.5).
static const unsigned timeouts_s[CORE_INPUT_COUNT] = {
    [CORE_INPUT_TEXT] = 120,
    [CORE_INPUT_PDF] = 150,
    [CORE_INPUT_IMAGE] = 180,
    [CORE_INPUT_AUDIO] = 240,
};

unsigned
core_task_timeout_s(core_input_t input_type)
{
    return timeouts_s[input_type];
}

// --- By id ---------------------------------------------------------------------------------------

static core_task_t **
bucket_of(core_state_t *core, bus_view_t task_id)
{
    return &core->buckets[XXH3_64bits(task_id.data, task_id.size) % CORE_TASK_BUCKETS];
}

core_task_t *
core_task_find(core_state_t *core, bus_view_t task_id)
{
    core_task_t *task = *bucket_of(core, task_id);
    while (task != NULL && !view_is(task_id, task->task_id)) {
        task = task->chain;
    }
    return task;
}

static void
enter(core_task_t *self)
{
    core_state_t *core = self->core;
    core_task_t **bucket = bucket_of(core, view_from_text(self->task_id));
    self->chain = *bucket;
    *bucket = self;
    self->next = core->tasks;
    if (core->tasks != NULL) {
        core->tasks->prev = self;
    }
    core->tasks = self;
}

static void
leave(core_task_t *self)
{
    core_state_t *core = self->core;
    core_task_t **link = bucket_of(core, view_from_text(self->task_id));
    while (*link != self) {
        assert(*link != NULL);
        link = &(*link)->chain;
    }
    *link = self->chain;
    *(self->prev != NULL ? &self->prev->next : &core->tasks) = self->next;
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
}

// --- Life ----------------------------------------------------------------------------------------

static void
copy_text(char *text, size_t size, bus_view_t view)
{
    assert(view.size < size); // the schema's own limits
    if (view.size > 0) {
        memcpy(text, view.data, view.size);
    }
    text[view.size] = '\0';
}

static pack_t *
pack_copy(bus_view_t value)
{
    pack_t *pack = pack_new();
    pack_raw(pack, value);
    return pack;
}

static void
name(core_task_t *self, const core_task_ask_t *ask)
{
    char made[ID_TEXT_SIZE];
    if (ask->task_id.data == NULL) {
        id_make(made);
    }
    copy_text(self->task_id,
              sizeof self->task_id,
              ask->task_id.data == NULL ? view_from_text(made) : ask->task_id);
    copy_text(self->trace_id,
              sizeof self->trace_id,
              ask->trace_id.data == NULL ? view_from_text(self->task_id) : ask->trace_id);
    copy_text(self->agent,
              sizeof self->agent,
              ask->agent.data == NULL ? VIEW_LITERAL("auto") : ask->agent);
    copy_text(self->fallback, sizeof self->fallback, ask->fallback);
    copy_text(self->user_id, sizeof self->user_id, ask->user_id);
    (void) snprintf(self->hash,
                    sizeof self->hash,
                    "%016llx",
                    (unsigned long long) XXH3_64bits(ask->hashed.data, ask->hashed.size));
}

core_task_t *
core_task_new(core_state_t *core, const core_task_ask_t *ask)
{
    if (core->running >= CORE_TASKS_MAX || !core_outcome_has_room(core)) {
        return NULL;
    }
    core_task_t *self = calloc(1, sizeof *self);
    assert(self);
    self->core = core;
    name(self, ask);
    self->input_type = ask->input_type;
    self->complexity = ask->complexity;
    self->input = pack_new();
    pack_str(self->input, ask->input);
    self->pdf_path = pack_new();
    pack_str(self->pdf_path, ask->pdf_path.data == NULL ? VIEW_LITERAL("") : ask->pdf_path);
    self->tags = pack_copy(ask->tags.data == NULL ? VIEW_LITERAL("\x90") : ask->tags);
    self->filters = ask->filters.data == NULL ? NULL : pack_copy(ask->filters);
    self->limit = ask->limit;
    self->attempts = pack_new();
    self->tries_left =
        1 + (ask->retries < CORE_TASK_RETRIES_MAX ? ask->retries : CORE_TASK_RETRIES_MAX);
    self->started_us = clock_boot_us();
    self->deadline_us = self->started_us + timeouts_s[ask->input_type] * UINT64_C(1000000);
    self->done = ask->done;
    self->arg = ask->arg;
    enter(self);
    core->running++;
    return self;
}

// Frees what is of no use once it was told.
static void
clear_work(core_task_t *self)
{
    core_attempt_cancel(self);
    core_context_clear(self);
    pack_destroy(&self->input);
    pack_destroy(&self->pdf_path);
    pack_destroy(&self->filters);
    pack_destroy(&self->tags);
    pack_destroy(&self->attempts);
}

static void
destroy(core_task_t *self)
{
    core_state_t *core = self->core;
    leave(self);
    clear_work(self);
    if (self->is_done) {
        core->done--;
        core->done_bytes -= pack_view(self->output).size;
    } else {
        core->running--;
    }
    pack_destroy(&self->output);
    free(self);
}

void
core_task_abandon(core_task_t *self)
{
    destroy(self);
}

const char *
core_task_agent(const core_task_t *self)
{
    return self->tried_count == 0 ? self->agent : self->tried[self->tried_count - 1];
}

void
core_task_clear(core_state_t *core)
{
    for (core_task_t *task = core->tasks, *next = NULL; task != NULL; task = next) {
        next = task->next;
        destroy(task);
    }
}

// --- The end -------------------------------------------------------------------------------------

void
core_task_pack_answer(const core_task_t *self, pack_t *out)
{
    assert(self->is_done);
    pack_map(out, self->asks_workflow ? 5 : 4);
    pack_pair_text(out, "task_id", self->task_id);
    pack_pair_raw(out, "agent_output", pack_view(self->output));
    pack_pair_text(out, "status", self->succeeded ? "success" : "error");
    pack_pair_text(out, "agent_id", core_task_agent(self));
    if (self->asks_workflow) {
        pack_text(out, "workflow");
        pack_map(out, 2);
        pack_pair_text(out, "trace_id", self->trace_id);
        pack_pair_text(out, "status", "requested");
    }
}

static void
answer_all(core_task_t *self)
{
    if (self->question_count > 0) {
        BUS_AUTO(pack_destroy) pack_t *answer = pack_new();
        core_task_pack_answer(self, answer);
        for (unsigned i = 0; i < self->question_count; i++) {
            service_question_answer(&self->questions[i], BUS_OK, pack_view(answer));
        }
        self->question_count = 0;
    }
    if (self->done != NULL) {
        self->done(self->arg, self);
    }
}

// Tells everybody. The task stays until its outcome is applied, where there is room for that.
static void
finish(core_task_t *self, const core_answer_t *answer)
{
    core_state_t *core = self->core;
    bool is_told = core_outcome_publish(self, answer);
    self->is_done = true;
    core->running--;
    core->done++;
    core->done_bytes += pack_view(self->output).size;
    clear_work(self);
    answer_all(self);
    if (!is_told || core->done > CORE_TASKS_DONE_MAX ||
        core->done_bytes > CORE_TASK_DONE_BYTES_MAX) {
        destroy(self);
    }
}

static void
succeed(core_task_t *self, const core_answer_t *answer)
{
    self->succeeded = true;
    self->reward = answer->reward;
    self->processing_s = (double) (clock_boot_us() - self->started_us) / 1e6;
    self->output = pack_new();
    core_answer_pack(answer, self->processing_s, self->output);
    const schema_bool_t *wants = &answer->said.requires_workflow;
    self->asks_workflow = self->core->runs_workflows && wants->has && wants->value;
    finish(self, answer);
}

void
core_task_pack_error(bus_view_t why, pack_t *out)
{
    char error[ERROR_SIZE];
    (void) snprintf(error, sizeof error, "Task processing failed: %.*s", (int) why.size, why.data);
    pack_map(out, 2);
    pack_pair_text(out, "error", error);
    pack_pair_int(out, "status", ERROR_STATUS);
}

static void
fail(core_task_t *self)
{
    self->processing_s = (double) (clock_boot_us() - self->started_us) / 1e6;
    self->output = pack_new();
    core_task_pack_error(view_from_text(self->why), self->output);
    finish(self, NULL);
}

// --- One attempt after another -------------------------------------------------------------------

static void
set_why(core_task_t *self, const char *why)
{
    (void) snprintf(self->why, sizeof self->why, "%s", why);
    self->why[walk_utf8_size(view_from_text(self->why))] = '\0';
}

static void
note(core_task_t *self, const char *why, bool asked)
{
    set_why(self, why);
    pack_map(self->attempts, asked ? 2 : 3);
    pack_pair_text(self->attempts, "agent_id", core_task_agent(self));
    pack_pair_text(self->attempts, "error", self->why);
    if (!asked) {
        pack_pair_bool(self->attempts, "asked", false);
    }
    self->attempt_count++;
}

static void
note_failure(core_task_t *self, const char *why)
{
    note(self, why, true);
}

// Who had left before it was asked was not tried.
static void
note_absence(core_task_t *self, const char *why)
{
    note(self, why, false);
    self->tries_left++;
}

// Chooses the next agent, and notes it as tried. NULL: there is none.
static const core_agent_t *
next_agent(core_task_t *self, store_txn_t *txn)
{
    core_choice_t choice = {.agent = NULL};
    bool may_try = self->tries_left > 0 && self->tried_count <= CORE_TASK_RETRIES_MAX &&
                   clock_boot_us() < self->deadline_us;
    if (may_try) {
        bus_err_t err = core_choose_agent(self, txn, &choice);
        if (err != BUS_OK) {
            set_why(self, error_meaning(err));
            choice.agent = NULL;
        }
    }
    if (choice.agent == NULL) {
        if (self->tried_count == 0 && self->why[0] == '\0') {
            char why[CORE_ANSWER_WHY_SIZE];
            (void) snprintf(why,
                            sizeof why,
                            "no agent is there that takes %s",
                            core_selector_input_text(self->input_type));
            set_why(self, why);
        }
        return NULL;
    }
    self->tries_left--;
    memcpy(self->tried[self->tried_count++], choice.agent->id, sizeof choice.agent->id);
    return choice.agent;
}

// Looks at what an agent answered. True: the task is finished, and may be gone. False: that was a
// failure, and is noted.
static bool
take(core_task_t *self, bus_err_t err, const char *why, bus_view_t body)
{
    char problem[CORE_ANSWER_WHY_SIZE];
    core_answer_t answer;
    if (err == BUS_NO_RESPONDERS) {
        note_absence(self, why);
        return false;
    }
    if (err != BUS_OK) {
        note_failure(self, why);
        return false;
    }
    if (core_answer_read(body, &answer, problem) != BUS_OK) {
        note_failure(self, problem);
        return false;
    }
    if (!core_answer_is_success(answer.status)) {
        core_answer_explain(&answer, problem);
        note_failure(self, problem);
        return false;
    }
    succeed(self, &answer);
    return true;
}

// Asks the agent. True: it is under way, or the task is finished. False: it failed, and is noted.
static bool
ask_one(core_task_t *self, const core_agent_t *agent, store_txn_t *txn)
{
    core_attempt_t attempt = core_attempt_ask(self, agent, txn);
    bool ends = !attempt.is_under_way &&
                take(self,
                     attempt.err,
                     attempt.why,
                     attempt.answer == NULL ? VIEW_NONE : pack_view(attempt.answer));
    pack_destroy(&attempt.answer);
    return attempt.is_under_way || ends;
}

// Goes on until something is under way or the task is finished. It may be gone then.
static void
go_on(core_task_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = service_begin_read(self->core->service, &txn);
    if (err != BUS_OK) {
        set_why(self, error_meaning(err));
        fail(self);
        return;
    }
    const core_agent_t *agent = next_agent(self, txn);
    while (agent != NULL) {
        bool uses_context = agent->kind == CORE_AGENT_BUS || agent->kind == CORE_AGENT_HTTP;
        if (uses_context && core_context_begin(self)) {
            return;
        }
        if (ask_one(self, agent, txn)) {
            return;
        }
        agent = next_agent(self, txn);
    }
    fail(self);
}

void
core_task_start(core_task_t *self)
{
    go_on(self);
}

void
core_task_answered(core_task_t *self, bus_err_t err, const char *why, bus_view_t body)
{
    if (!take(self, err, why, body)) {
        go_on(self);
    }
}

void
core_task_context_ready(core_task_t *self)
{
    bus_view_t id = view_from_text(core_task_agent(self));
    const core_agent_t *agent = core_registry_find(self->core->registry, id);
    if (agent == NULL) {
        note_absence(self, "the agent has gone");
        go_on(self);
    } else if (!ask_one(self, agent, NULL)) {
        go_on(self);
    }
}

void
core_task_applied(core_state_t *core, bus_view_t task_id)
{
    core_task_t *task = core_task_find(core, task_id);
    if (task != NULL && task->is_done) {
        destroy(task);
    }
}

// Who was asked after the list was is told of by the broker itself, where nobody was there.
static bool
has_lost_its_agent(const core_task_t *self, uint64_t asked_us)
{
    if (self->is_done || self->call == 0 || self->called_us > asked_us) {
        return false;
    }
    bus_view_t id = view_from_text(core_task_agent(self));
    const core_agent_t *agent = core_registry_find(self->core->registry, id);
    return agent == NULL || agent->instances == 0;
}

void
core_task_look(core_state_t *core, uint64_t asked_us)
{
    core_task_t *task = core->tasks;
    while (task != NULL) {
        core_task_t *next = task->next; // it ends alone: what it makes anew comes before it
        if (has_lost_its_agent(task, asked_us)) {
            core_attempt_cancel(task);
            core_task_answered(task, BUS_SERVICE_UNAVAILABLE, "the agent has gone", VIEW_NONE);
        }
        task = next;
    }
}
