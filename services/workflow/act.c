// act.c - what this process does in the world. See act.h.
//
// A run is an execution in this process's hands: asked for (`started` is on its way), acting, or
// done (`finished` is on its way). It leaves the list when the store says that its record went on.
//
// At most one effect, even where the store falls back to an older commit under a living process (a
// disk that failed): a run acts only on its way from asked to acting, and one is asked for only
// once, because the seqs below `from` never are again. A started execution without a run is
// nobody's any more, whatever boot its record names.
#include "act.h"

#include "execution.h"
#include "proto/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    TRACE_TEXT_SIZE = 129, // of a trace_id, with its NUL
    RUNS_MAX = 512,        // above all that may act: what others left open is ended in portions
};

typedef enum { RUN_ASKED, RUN_ACTING, RUN_DONE } run_state_t;

typedef struct run {
    struct run *next;
    workflow_act_t *act;
    uint64_t seq; // of the command
    workflow_action_t action;
    run_state_t state;
    bool is_seen;      // by the look in hand: it is started
    bool is_said;      // what its state says was given to the client
    uint64_t call;     // that waits for the ack; 0: none
    uint64_t transfer; // 0: none
    char trace_id[TRACE_TEXT_SIZE];
    uint64_t at;        // journal's time when it was taken up
    pack_t *payload;    // copied: of one that acts
    workflow_job_t job; // its values point into `payload`
    pack_t *finished;   // the body of workflow.finished
} run_t;

struct workflow_act {
    service_t *service;
    transfers_t *transfers;
    workflow_servers_t servers;
    run_t *runs;
    size_t count;
    size_t counts[WORKFLOW_ACTION_COUNT];
    uint64_t from[WORKFLOW_ACTION_COUNT]; // queued ones below were asked for
    service_query_t *query;               // of the look in hand
    bool is_draining;                     // asks for nothing more
    pack_t *record;
    pack_t *body;
};

// --- Runs ----------------------------------------------------------------------------------------

static run_t *
run_find(const workflow_act_t *self, uint64_t seq)
{
    run_t *run = self->runs;
    while (run != NULL && run->seq != seq) {
        run = run->next;
    }
    return run;
}

static run_t *
run_add(workflow_act_t *self, workflow_action_t action, uint64_t seq)
{
    run_t *run = calloc(1, sizeof *run);
    assert(run);
    *run = (run_t){.next = self->runs,
                   .act = self,
                   .seq = seq,
                   .action = action,
                   .payload = pack_new(),
                   .finished = pack_new()};
    self->runs = run;
    self->count++;
    self->counts[action]++;
    return run;
}

// Its ack does not matter any more.
static void
forget_call(run_t *run)
{
    if (run->call != 0) {
        client_cancel(service_client(run->act->service), run->call);
        run->call = 0;
    }
}

static void
run_free(run_t *run)
{
    forget_call(run);
    if (run->transfer != 0) {
        transfer_cancel(run->act->transfers, run->transfer);
    }
    pack_destroy(&run->payload);
    pack_destroy(&run->finished);
    free(run);
}

static void
run_remove(run_t *run)
{
    workflow_act_t *self = run->act;
    run_t **at = &self->runs;
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    self->count--;
    self->counts[run->action]--;
    run_free(run);
}

// --- Saying --------------------------------------------------------------------------------------

static void
on_ack(void *arg, const client_answer_t *answer)
{
    run_t *run = arg;
    run->call = 0;
    if (answer->event == CLIENT_FAILED) {
        run->is_said = false; // said again in a second
        if (answer->err != BUS_ABORTED) {
            log_warning("fact_refused",
                        "execution=%llu error=%s",
                        (unsigned long long) run->seq,
                        error_text(answer->err));
        }
    }
}

static void
say(run_t *run, const char *topic, bus_view_t body)
{
    forget_call(run);
    const client_message_t message = {
        .topic = topic,
        .body = body,
        .trace_id = run->trace_id[0] == '\0' ? VIEW_NONE : view_from_text(run->trace_id),
        .want = CLIENT_WANT_ACK,
    };
    bus_err_t err =
        client_send(service_client(run->act->service), &message, on_ack, run, &run->call);
    run->is_said = err == BUS_OK;
    if (err != BUS_OK) {
        run->call = 0;
        log_warning("fact_not_said",
                    "execution=%llu error=%s",
                    (unsigned long long) run->seq,
                    error_text(err));
    }
}

static void
say_started(run_t *run)
{
    pack_t *body = run->act->body;
    pack_clear(body);
    pack_map(body, 2);
    pack_pair_uint(body, "execution", run->seq);
    pack_pair_text(body, "boot", service_boot(run->act->service));
    say(run, "workflow.started", pack_view(body));
}

// The run is done: `result` is what came of it.
static void
finish(run_t *run, bool success, bus_view_t result, uint64_t duration_us)
{
    run->state = RUN_DONE;
    run->transfer = 0;
    pack_clear(run->finished);
    pack_map(run->finished, 5);
    pack_pair_uint(run->finished, "execution", run->seq);
    pack_pair_text(run->finished, "boot", service_boot(run->act->service));
    pack_pair_bool(run->finished, "success", success);
    pack_pair_raw(run->finished, "result", result);
    pack_pair_uint(run->finished, "duration_us", duration_us);
    say(run, "workflow.finished", pack_view(run->finished));
}

static void
fail(run_t *run, const char *error_code, const char *message, bool was_sent)
{
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    workflow_adapter_pack_fault(error_code, message, was_sent, result);
    finish(run, false, pack_view(result), 0);
}

// --- Acting --------------------------------------------------------------------------------------

static void
on_transfer(void *arg, const transfer_answer_t *answer)
{
    run_t *run = arg;
    workflow_act_t *self = run->act;
    const workflow_adapter_t *adapter = workflow_adapter_of(run->action);
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    bool success = workflow_adapter_conclude(adapter, &run->job, &self->servers, answer, result);
    log_line(success ? LOG_DEBUG : LOG_INFO,
             "acted",
             "execution=%llu action=%s success=%d ms=%llu",
             (unsigned long long) run->seq,
             adapter->action,
             (int) success,
             (unsigned long long) (answer->duration_us / 1000));
    finish(run, success, pack_view(result), answer->duration_us);
}

// Reads the record and payload of the run. False: they are damaged.
static bool
read_run(run_t *run, store_txn_t *txn)
{
    workflow_act_t *self = run->act;
    workflow_execution_t execution;
    bus_view_t payload;
    if (workflow_execution_load(txn, run->seq, self->record, &execution) != BUS_OK ||
        store_get(txn, WORKFLOW_PAYLOADS, STORE_U64(run->seq), &payload) != BUS_OK) {
        return false;
    }
    pack_clear(run->payload);
    pack_raw(run->payload, payload);
    assert(execution.trace_id.size < sizeof run->trace_id); // the schema's limit
    memcpy(run->trace_id, execution.trace_id.data, execution.trace_id.size);
    run->trace_id[execution.trace_id.size] = '\0';
    if (execution.started_at.data == NULL ||
        rfc3339_parse(execution.started_at, &run->at) != BUS_OK) {
        run->at = self->query->header->at;
    }
    return true;
}

static void
start_transfer(run_t *run, const workflow_adapter_t *adapter)
{
    workflow_act_t *self = run->act;
    workflow_letter_t letter;
    workflow_adapter_letter_init(&letter);
    run->job.boot = service_boot(self->service);
    run->job.seq = run->seq;
    run->job.trace_id = view_from_text(run->trace_id);
    run->job.at = run->at;
    run->job.wall_us = clock_wall_us();
    adapter->compose(&run->job, &self->servers, &letter);
    letter.request.timeout_ms = self->servers.timeouts_ms[run->action];
    letter.request.ca_file = self->servers.ca_file;
    letter.request.is_once = true;
    bus_err_t err =
        transfer_start(self->transfers, &letter.request, on_transfer, run, &run->transfer);
    workflow_adapter_letter_clear(&letter);
    if (err != BUS_OK) {
        fail(run, "adapter_execution_failed", error_meaning(err), false);
    }
}

// It is this process's, and nobody has acted on it: acts.
static void
begin(run_t *run)
{
    workflow_act_t *self = run->act;
    const workflow_adapter_t *adapter = workflow_adapter_of(run->action);
    workflow_fault_t fault;
    run->state = RUN_ACTING;
    forget_call(run); // the fact itself came before its ack
    if (!read_run(run, self->query->txn)) {
        fail(run, "internal_execution_error", "its record is damaged", false);
    } else if (!adapter->is_configured(&self->servers)) {
        fail(run, "adapter_not_configured", "no server is configured for it", false);
    } else if (!workflow_adapter_check(
                   adapter, pack_view(run->payload), &run->job.values, &fault)) {
        fail(run, fault.error_code, fault.text, false);
    } else {
        start_transfer(run, adapter);
    }
}

// --- Looking -------------------------------------------------------------------------------------

static bool
look_at_started(void *arg, workflow_action_t action, uint64_t seq, bus_view_t boot)
{
    workflow_act_t *self = arg;
    run_t *run = run_find(self, seq);
    if (run == NULL && self->count >= RUNS_MAX) {
        return false; // later: each that ends brings us here again
    }
    bool is_asked = run != NULL && run->state == RUN_ASKED;
    bool is_ours = is_asked && view_is(boot, service_boot(self->service));
    if (run == NULL) {
        run = run_add(self, action, seq);
    }
    run->is_seen = true;
    if (is_ours) {
        begin(run);
    } else if (run->state == RUN_ASKED) {
        (void) read_run(run, self->query->txn); // for its trace
        fail(run,
             "execution_interrupted",
             "the process that acted ended before it knew what came of it",
             true);
    }
    return true;
}

// Asks for those that wait for their turn, as many as may act.
static bool
look_at_queued(void *arg, workflow_action_t action, uint64_t seq, bus_view_t boot BUS_UNUSED)
{
    workflow_act_t *self = arg;
    if (self->counts[action] >= WORKFLOW_ACT_EACH_MAX || self->count >= RUNS_MAX) {
        return false;
    }
    self->from[action] = seq + 1;
    if (run_find(self, seq) == NULL) {
        run_t *run = run_add(self, action, seq);
        (void) read_run(run, self->query->txn); // damaged: it will end so
        say_started(run);
    }
    return true;
}

// Lets go of what the store says has gone on, and says again what was refused.
static void
sweep(workflow_act_t *self)
{
    run_t *next = NULL;
    for (run_t *run = self->runs; run != NULL; run = next) {
        next = run->next;
        bool is_open =
            run->is_seen || (run->state == RUN_ASKED &&
                             workflow_execution_is_open(
                                 self->query->txn, WORKFLOW_IS_QUEUED, run->action, run->seq));
        run->is_seen = false;
        if (!is_open) {
            run_remove(run);
        } else if (!run->is_said && run->state == RUN_ASKED) {
            say_started(run);
        } else if (!run->is_said && run->state == RUN_DONE) {
            say(run, "workflow.finished", pack_view(run->finished));
        }
    }
}

static bus_err_t
walk(workflow_act_t *self, workflow_open_t where, workflow_execution_open_fn *fn)
{
    bus_err_t err = BUS_OK;
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT && err == BUS_OK; i++) {
        const workflow_execution_range_t range = {
            .where = where,
            .action = (workflow_action_t) i,
            .from = where == WORKFLOW_IS_QUEUED ? self->from[i] : 0,
        };
        err = workflow_execution_walk_open(self->query->txn, &range, fn, self);
    }
    return err;
}

void
workflow_act_look(workflow_act_t *self, service_query_t *query)
{
    client_t *client = service_client(self->service);
    self->query = query;
    client_hold(client);
    bus_err_t err = walk(self, WORKFLOW_IS_STARTED, look_at_started);
    if (err == BUS_OK) {
        sweep(self);
    }
    if (err == BUS_OK && !self->is_draining) {
        err = walk(self, WORKFLOW_IS_QUEUED, look_at_queued);
    }
    client_release(client);
    self->query = NULL;
    if (err != BUS_OK) {
        log_error("open_unreadable", "error=%s hint=tried_again_each_second", error_text(err));
    }
}

bool
workflow_act_drain(workflow_act_t *self)
{
    self->is_draining = true;
    return self->count > 0;
}

// --- Life ----------------------------------------------------------------------------------------

workflow_act_t *
workflow_act_new(service_t *service, const workflow_servers_t *servers)
{
    workflow_act_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->servers = *servers;
    self->transfers = transfer_pool_new(service_loop(service));
    self->record = pack_new();
    self->body = pack_new();
    return self;
}

void
workflow_act_destroy(workflow_act_t **self_p)
{
    assert(self_p);
    workflow_act_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    run_t *next = NULL;
    for (run_t *run = self->runs; run != NULL; run = next) {
        next = run->next;
        run_free(run);
    }
    transfer_pool_destroy(&self->transfers);
    pack_destroy(&self->record);
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}
