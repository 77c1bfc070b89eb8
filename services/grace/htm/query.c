// query.c - what the queue is asked.
#include "query.h"

#include "list.h"
#include "measure.h"
#include "proto/schema.h"
#include "show.h"

enum {
    RUNNING_SHOWN = 100,
    COMPLETED_SHOWN = 10, // the originals' own
    LIST_DEFAULT = 100,
};

// --- Lists ---------------------------------------------------------------------------------------

typedef struct {
    service_query_t *query;
    uint32_t left;
    uint32_t count;
    bus_err_t err;
} listing_t;

static bool
add(void *arg, const htm_task_t *task)
{
    listing_t *self = arg;
    if (self->left == 0) {
        return false;
    }
    self->err = htm_show_task(self->query->txn, task, false, self->query->answer);
    self->left--;
    self->count++;
    return self->err == BUS_OK && self->left > 0;
}

// Goes on in an open array with tasks of one status.
static bus_err_t
add_status(listing_t *self, bus_view_t handler, htm_status_t status)
{
    const htm_list_t list = {
        .txn = self->query->txn,
        .state = self->query->state,
        .handler = handler,
        .fn = add,
        .arg = self,
    };
    bus_err_t err = self->left > 0 ? htm_list_walk(&list, status) : BUS_OK;
    return err == BUS_OK ? self->err : err;
}

// A pair: a name, and up to `limit` tasks of one status.
static bus_err_t
pack_status(service_query_t *query, const char *name, htm_status_t status, uint32_t limit)
{
    listing_t listing = {.query = query, .left = limit};
    pack_text(query->answer, name);
    size_t place = pack_array_begin(query->answer);
    bus_err_t err = add_status(&listing, VIEW_NONE, status);
    pack_count(query->answer, place, listing.count);
    return err;
}

bus_err_t
htm_query_tasks(service_query_t *query, const void *message)
{
    static const htm_status_t open[] = {HTM_IS_RUNNING, HTM_IS_WAITING, HTM_IS_HELD};
    const schema_htm_tasks_query_t *asked = message;
    listing_t listing = {
        .query = query,
        .left = asked->limit.has ? (uint32_t) asked->limit.value : LIST_DEFAULT,
    };
    htm_status_t status = htm_tables_find_status(asked->status);
    if (asked->status.data != NULL && status == HTM_STATUS_COUNT) {
        schema_problems_t problems = {
            .count = 1,
            .at = {{.field = "status",
                    .problem = "must be held, waiting, running, completed, dead or cancelled"}}};
        BUS_AUTO(pack_destroy) pack_t *details = pack_new();
        schema_pack_problems(&problems, details);
        return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
    }
    pack_map(query->answer, 2);
    pack_text(query->answer, "tasks");
    size_t place = pack_array_begin(query->answer);
    bus_err_t err = BUS_OK;
    if (asked->status.data != NULL) {
        err = add_status(&listing, asked->handler, status);
    }
    for (size_t i = 0; asked->status.data == NULL && i < 3 && err == BUS_OK; i++) {
        err = add_status(&listing, asked->handler, open[i]);
    }
    pack_count(query->answer, place, listing.count);
    pack_pair_uint(query->answer, "count", listing.count);
    return err;
}

bus_err_t
htm_query_task(service_query_t *query, const void *message)
{
    const schema_htm_task_query_t *asked = message;
    htm_task_t task;
    bus_err_t err = htm_task_find(query->txn, asked->task_id, &task);
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(query, err, "no task has this task_id", VIEW_NONE);
    }
    return err == BUS_OK ? htm_show_task(query->txn, &task, true, query->answer) : err;
}

// --- Workers -------------------------------------------------------------------------------------

static void
pack_worker(const htm_worker_t *worker, pack_t *out)
{
    pack_map(out, 8);
    pack_pair_str(out, "worker", worker->name);
    pack_text(out, "instance");
    if (worker->instance.size > 0) {
        pack_str(out, worker->instance);
    } else {
        pack_nil(out);
    }
    pack_text(out, "handlers");
    pack_array(out, worker->handler_count);
    for (uint32_t i = 0; i < worker->handler_count; i++) {
        pack_str(out, worker->handlers[i]->name);
    }
    pack_pair_uint(out, "slots", worker->slots);
    pack_pair_uint(out, "busy", worker->busy);
    pack_pair_uint(out, "free", htm_worker_free(worker));
    pack_pair_bool(out, "silent", worker->is_silent);
    pack_pair_rfc3339(out, "heard_at", worker->heard_us);
}

static void
pack_workers(const htm_state_t *state, pack_t *out)
{
    uint32_t count = 0;
    pack_text(out, "workers");
    size_t place = pack_array_begin(out);
    for (const htm_worker_t *worker = htm_worker_next(state->workers, NULL); worker != NULL;
         worker = htm_worker_next(state->workers, worker)) {
        pack_worker(worker, out);
        count++;
    }
    pack_count(out, place, count);
}

bus_err_t
htm_query_workers(service_query_t *query, const void *message BUS_UNUSED)
{
    const htm_state_t *state = query->state;
    pack_map(query->answer, 3);
    pack_workers(state, query->answer);
    pack_pair_uint(query->answer, "count", htm_worker_count(state->workers));
    pack_pair_uint(query->answer, "slots", htm_worker_slots(state->workers));
    return BUS_OK;
}

// --- Status --------------------------------------------------------------------------------------

static void
pack_sizes(const htm_totals_t *totals, pack_t *out)
{
    pack_text(out, "queue_sizes");
    pack_map(out, HTM_RANK_COUNT + 2);
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        pack_pair_uint(out, htm_tables_priority((htm_rank_t) i), totals->waiting[i]);
    }
    pack_pair_uint(out, "running", totals->running);
    pack_pair_uint(out, "held", totals->held);
}

static void
pack_statistics(const htm_statistics_t *statistics, pack_t *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"tasks_queued", statistics->queued},
        {"tasks_completed", statistics->completed},
        {"tasks_failed", statistics->failed},
        {"tasks_cancelled", statistics->cancelled},
        {"retries", statistics->retries},
        {"lapsed", statistics->lapsed},
        {"gone", statistics->gone},
        {"escalations", statistics->escalations},
        {"sla_warnings", statistics->warnings},
        {"sla_breaches", statistics->breaches},
        {"duplicates", statistics->duplicates},
        {"overtakes", statistics->overtakes},
        {"preemptions", statistics->overtakes}, // the originals' name for it
        {"strays", statistics->strays},
        {"damaged", statistics->damaged},
    };
    pack_text(out, "statistics");
    pack_map(out, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pack_pair_uint(out, rows[i].name, rows[i].value);
    }
}

static void
pack_settings(const htm_settings_t *settings, pack_t *out)
{
    pack_pair_bool(out, "pressure", settings->is_strained);
    pack_pair_bool(out, "gate", settings->is_gated);
    pack_text(out, "order");
    pack_map(out, 2);
    pack_pair_uint(out, "reserve", settings->reserve);
    pack_pair_uint(out, "escalate_percent", settings->escalate);
    pack_text(out, "config");
    pack_map(out, 3);
    pack_pair_real(out, "lease_seconds", (double) settings->lease_us / 1e6);
    pack_pair_real(out, "backoff_seconds", (double) settings->backoff_us / 1e6);
    pack_pair_uint(out, "losses_max", settings->losses_max);
}

static const char *
judge(const htm_state_t *state)
{
    const htm_totals_t *totals = &state->totals;
    uint64_t waiting = 0;
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        waiting += totals->waiting[i];
    }
    if (totals->settings.is_strained) {
        return "strained";
    }
    return waiting > 0 && htm_worker_count(state->workers) == 0 ? "no_workers" : "healthy";
}

bus_err_t
htm_query_status(service_query_t *query, const void *message BUS_UNUSED)
{
    const htm_state_t *state = query->state;
    pack_t *out = query->answer;
    pack_map(out, 11);
    pack_sizes(&state->totals, out);
    pack_statistics(&state->totals.statistics, out);
    pack_pair_text(out, "system_health", judge(state));
    pack_settings(&state->totals.settings, out);
    pack_text(out, "dispatch");
    htm_measure_pack(state->measure, out);
    pack_workers(state, out);
    bus_err_t err = pack_status(query, "running_tasks", HTM_IS_RUNNING, RUNNING_SHOWN);
    if (err == BUS_OK) {
        err = pack_status(query, "recent_completed", HTM_IS_COMPLETED, COMPLETED_SHOWN);
    }
    return err;
}

unsigned
htm_query_health(void *arg, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const htm_state_t *state = arg;
    pack_sizes(&state->totals, out);
    pack_pair_uint(out, "workers", htm_worker_count(state->workers));
    return 2;
}
