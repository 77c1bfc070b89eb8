// heal_run.c - see heal_run.h.
#include "heal_run.h"

#include "proto/schema.h"
#include "proto/transcode.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "watch.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DRILL_MS = 600000, // of a drill: it is over in seconds
    TRACE_SIZE = 129,  // of a trace id, with its NUL
    PATH_ROOM = 512    // a folder and a file in it
};

// --- Life ----------------------------------------------------------------------------------------

void
kernel_heal_run_begin(kernel_heal_t *heal,
                      kernel_worker_job_t *job,
                      const char *playbook,
                      kernel_heal_step_fn *first)
{
    kernel_heal_run_t *run = calloc(1, sizeof *run);
    assert(run);
    run->heal = heal;
    run->job = job;
    run->playbook = playbook;
    run->started_ms = clock_boot_ms();
    run->findings = pack_new();
    run->actions = pack_new();
    run->extra = pack_new();
    run->body = pack_new();
    run->next = heal->runs;
    heal->runs = run;
    log_info("playbook", "name=%s attempt=%llu", playbook, (unsigned long long) job->attempt);
    first(run);
}

// What it waits for does not matter any more.
static void
forget(kernel_heal_run_t *run)
{
    if (run->call != 0) {
        client_cancel(run->heal->client, run->call);
        run->call = 0;
    }
    if (run->timer != 0) {
        loop_cancel_timer(run->heal->loop, run->timer);
        run->timer = 0;
    }
    if (run->on_drill != NULL) {
        kernel_heal_children_forget(run->heal->children, run);
        run->on_drill = NULL;
    }
    run->on_mine = NULL;
}

void
kernel_heal_run_destroy(kernel_heal_run_t **self_p)
{
    kernel_heal_run_t *run = *self_p;
    kernel_heal_run_t **at = &run->heal->runs;
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    forget(run);
    pack_destroy(&run->findings);
    pack_destroy(&run->actions);
    pack_destroy(&run->extra);
    pack_destroy(&run->body);
    if (run->clear_own != NULL) {
        run->clear_own(run->own);
    }
    free(run->own);
    free(run);
    *self_p = NULL;
}

// --- Notes ---------------------------------------------------------------------------------------

bus_view_t
kernel_heal_run_text(const kernel_heal_run_t *run, const char *key)
{
    return walk_text_at(run->job->context, key);
}

static void note(pack_t *notes, uint32_t *count, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void
note(pack_t *notes, uint32_t *count, const char *format, va_list arguments)
{
    char text[KERNEL_HEAL_NOTE_SIZE];
    vsnprintf(text, sizeof text, format, arguments);
    text[walk_utf8_size(view_from_text(text))] = '\0';
    if (*count < KERNEL_HEAL_NOTES_MAX) {
        pack_text(notes, text);
        ++*count;
    }
}

void
kernel_heal_run_finding(kernel_heal_run_t *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(run->findings, &run->finding_count, format, arguments);
    va_end(arguments);
}

void
kernel_heal_run_action(kernel_heal_run_t *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(run->actions, &run->action_count, format, arguments);
    va_end(arguments);
}

void
kernel_heal_run_real(kernel_heal_run_t *run, const char *key, double value)
{
    pack_pair_real(run->extra, key, value);
    ++run->extra_count;
}

// --- Asking and saying ---------------------------------------------------------------------------

static void
on_answer(void *arg, const client_answer_t *answer)
{
    kernel_heal_run_t *run = arg;
    run->call = 0;
    if (answer->err != BUS_ABORTED) {
        run->on_answer(run, answer->err, answer->body);
    }
}

static void
send_message(kernel_heal_run_t *run, client_message_t *message, kernel_heal_answer_fn *fn)
{
    if (message->body.data == NULL) {
        message->body = PACK_EMPTY_MAP;
    }
    message->trace_id = run->job->trace_id;
    assert(run->call == 0);
    run->on_answer = fn;
    bus_err_t err = client_send(run->heal->client, message, on_answer, run, &run->call);
    if (err != BUS_OK) {
        run->call = 0;
        kernel_heal_run_fail(run, error_meaning(err), error_retry(err));
    }
}

void
kernel_heal_run_ask(kernel_heal_run_t *run,
                    const char *topic,
                    bus_view_t body,
                    unsigned timeout_ms,
                    kernel_heal_answer_fn *fn)
{
    client_message_t message = {
        .topic = topic, .body = body, .want = CLIENT_WANT_REPLY, .timeout_ms = timeout_ms};
    send_message(run, &message, fn);
}

void
kernel_heal_run_say(kernel_heal_run_t *run,
                    const char *topic,
                    bus_view_t body,
                    kernel_heal_answer_fn *fn)
{
    client_message_t message = {.topic = topic, .body = body, .want = CLIENT_WANT_ACK};
    send_message(run, &message, fn);
}

static void
on_time(void *arg)
{
    kernel_heal_run_t *run = arg;
    run->timer = 0;
    run->on_wait(run);
}

void
kernel_heal_run_wait(kernel_heal_run_t *run, unsigned delay_ms, kernel_heal_step_fn *fn)
{
    assert(run->timer == 0);
    run->on_wait = fn;
    run->timer = loop_add_timer(run->heal->loop, delay_ms, 1, on_time, run);
}

// --- Drills --------------------------------------------------------------------------------------

// A drill prints its summary as one JSON object, the last line.
static bool
read_summary(bus_view_t output, pack_t *out)
{
    const char *why;
    while (output.size > 0 && output.data[output.size - 1] == '\n') {
        --output.size;
    }
    const char *newline = output.size == 0 ? NULL : memrchr(output.data, '\n', output.size);
    if (newline != NULL) {
        size_t skipped = (size_t) (newline + 1 - output.data);
        output = view_from(newline + 1, output.size - skipped);
    }
    return output.size > 0 && transcode_from_json(output, out, NULL, 0) == BUS_OK &&
           walk_check(pack_view(out), WALK_JSON, 16, &why) == BUS_OK;
}

static void
on_child(void *arg, int status, bus_view_t output)
{
    kernel_heal_run_t *run = arg;
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    kernel_heal_drill_fn *fn = run->on_drill;
    bool is_read = read_summary(output, summary);
    run->on_drill = NULL;
    fn(run, status, is_read ? pack_view(summary) : VIEW_NONE);
}

void
kernel_heal_run_drill(kernel_heal_run_t *run,
                      const kernel_heal_order_t *order,
                      kernel_heal_drill_fn *fn)
{
    const char *dir = run->heal->dir;
    char logs[PATH_ROOM];
    char trace[TRACE_SIZE] = "";
    bus_view_t trace_id = run->job->trace_id;
    snprintf(logs, sizeof logs, "%s/logs/stress", dir);
    const char *argv[KERNEL_HEAL_CHILD_ARGS_MAX] = {"bhiv",
                                                    "stress",
                                                    order->suite,
                                                    order->size_flag,
                                                    order->size,
                                                    "--dir",
                                                    dir,
                                                    "--logs",
                                                    logs,
                                                    "--format",
                                                    "json"};
    size_t count = 0;
    while (argv[count] != NULL) {
        ++count;
    }
    if (trace_id.size > 0 && trace_id.size < sizeof trace) {
        memcpy(trace, trace_id.data, trace_id.size);
        argv[count++] = "--trace";
        argv[count++] = trace;
    }
    argv[count] = order->flag;
    run->on_drill = fn;
    bus_err_t err = kernel_heal_children_run(run->heal->children, argv, DRILL_MS, on_child, run);
    if (err != BUS_OK) {
        run->on_drill = NULL;
        kernel_heal_run_fail(run, "too many drills wait already", true);
    }
}

// --- Once ----------------------------------------------------------------------------------------

void
kernel_heal_run_look(kernel_heal_run_t *run, store_txn_t *txn)
{
    bus_view_t kept;
    if (run->on_mine == NULL ||
        store_get(txn, KERNEL_HEAL_STARTED, run->job->task_id, &kept) != BUS_OK) {
        return;
    }
    kernel_heal_step_fn *mine = run->on_mine;
    bool is_ours = view_is(walk_text_at(kept, "boot"), service_boot(run->heal->service));
    run->on_mine = NULL;
    if (is_ours) {
        mine(run);
    } else {
        run->on_other(run);
    }
}

static void
on_started(kernel_heal_run_t *run, bus_err_t err, bus_view_t body BUS_UNUSED)
{
    if (err != BUS_OK) {
        kernel_heal_run_fail(run, error_meaning(err), error_retry(err));
        return;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    if (service_begin_read(run->heal->service, &txn) == BUS_OK) {
        kernel_heal_run_look(run, txn); // it may have been read back before its ack
    }
}

void
kernel_heal_run_act_once(kernel_heal_run_t *run,
                         bus_view_t part,
                         kernel_heal_step_fn *mine,
                         kernel_heal_step_fn *other)
{
    pack_clear(run->body);
    pack_map(run->body, 4);
    pack_pair_str(run->body, "task_id", run->job->task_id);
    pack_pair_text(run->body, "playbook", run->playbook);
    pack_pair_text(run->body, "boot", service_boot(run->heal->service));
    pack_pair_str(run->body, "part", part);
    run->on_mine = mine;
    run->on_other = other;
    kernel_heal_run_say(run, "healing.started", pack_view(run->body), on_started);
}

// --- Endings -------------------------------------------------------------------------------------

void
kernel_heal_run_end(kernel_heal_run_t *run, kernel_heal_resolved_t resolved)
{
    kernel_heal_t *heal = run->heal;
    kernel_worker_job_t *job = run->job;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, run->extra_count + (resolved == KERNEL_HEAL_UNKNOWN ? 5 : 6));
    pack_pair_text(out, "status", resolved == KERNEL_HEAL_UNRESOLVED ? "failed" : "success");
    if (resolved != KERNEL_HEAL_UNKNOWN) {
        pack_pair_bool(out, "issue_resolved", resolved == KERNEL_HEAL_RESOLVED);
    }
    pack_pair_text(out, "playbook", run->playbook);
    pack_pair_real(out, "duration_seconds", (double) (clock_boot_ms() - run->started_ms) / 1000);
    pack_text(out, "findings");
    pack_array(out, run->finding_count);
    pack_raw(out, pack_view(run->findings));
    pack_text(out, "actions");
    pack_array(out, run->action_count);
    pack_raw(out, pack_view(run->actions));
    pack_raw(out, pack_view(run->extra));
    ++heal->done;
    heal->resolved += resolved == KERNEL_HEAL_RESOLVED ? 1 : 0;
    log_info("playbook_over",
             "name=%s resolved=%d",
             run->playbook,
             resolved == KERNEL_HEAL_UNKNOWN ? -1 : (int) resolved);
    kernel_heal_run_destroy(&run);
    kernel_worker_complete(heal->worker, &job, pack_view(out));
}

void
kernel_heal_run_fail(kernel_heal_run_t *run, const char *error, bool retry)
{
    kernel_heal_t *heal = run->heal;
    kernel_worker_job_t *job = run->job;
    log_warning("playbook_failed", "name=%s retry=%d", run->playbook, (int) retry);
    ++heal->done;
    kernel_heal_run_destroy(&run);
    kernel_worker_fail(heal->worker, &job, error, retry);
}
