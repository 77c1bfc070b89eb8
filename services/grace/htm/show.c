// show.c - a task as it is shown.
#include "show.h"

#include "event.h"
#include "proto/rfc3339.h"
#include "proto/schema.h"
#include "proto/walk.h"

typedef struct {
    char created[RFC3339_SIZE];
    char deadline[RFC3339_SIZE];
    char started[RFC3339_SIZE];
    char finished[RFC3339_SIZE];
} times_t;

static bus_view_t
time_text(uint64_t time_us, char text[RFC3339_SIZE])
{
    if (time_us == 0) {
        return VIEW_NONE;
    }
    rfc3339_format(time_us, text);
    return view_from_text(text);
}

static schema_htm_task_t
describe(const htm_task_t *task, times_t *times)
{
    const htm_task_row_t *row = &task->row;
    return (schema_htm_task_t){
        .task_id = task->texts[HTM_TASK_ID],
        .seq = {.has = true, .value = (int64_t) row->seq},
        .task_type = task->texts[HTM_TASK_TYPE],
        .handler = task->texts[HTM_TASK_HANDLER],
        .priority = view_from_text(htm_tables_priority((htm_rank_t) row->rank)),
        .status = view_from_text(htm_tables_status((htm_status_t) row->status)),
        .reason = htm_task_text(task, HTM_TASK_REASON),
        .attempts = {.has = true, .value = row->attempts},
        .worker = htm_task_text(task, HTM_TASK_WORKER),
        .trace_id = htm_task_text(task, HTM_TASK_TRACE),
        .sla_seconds = {.has = true, .value = (double) row->sla_us / 1e6},
        .created_at = time_text(row->created_us, times->created),
        .deadline = time_text(htm_task_deadline(task), times->deadline),
        .started_at = time_text(row->started_us, times->started),
        .finished_at = time_text(row->finished_us, times->finished),
        .intent = htm_task_text(task, HTM_TASK_INTENT),
        .issue_type = htm_task_text(task, HTM_TASK_ISSUE),
    };
}

// Absent where there is none, or it is damaged.
static bus_view_t
blob(store_txn_t *txn, htm_table_t table, uint64_t seq)
{
    bus_view_t value;
    return store_get(txn, table, STORE_U64(seq), &value) == BUS_OK ? value : VIEW_NONE;
}

// What only one that is asked for by its name shows, behind the fields of the schema.
static bus_err_t
pack_more(store_txn_t *txn, const htm_task_t *task, bus_view_t fields, pack_t *out)
{
    const htm_task_row_t *row = &task->row;
    walk_pairs_t pairs = walk_pairs(fields);
    bus_view_t key, value;
    bool is_leased = row->status == HTM_IS_RUNNING;
    bus_view_t requester = task->texts[HTM_TASK_REQUESTER];
    pack_map(out, pairs.left + 6 + (is_leased ? 1 : 0) + (requester.size > 0 ? 1 : 0));
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(out, key);
        pack_raw(out, value);
    }
    pack_pair_uint(out, "failures", row->failures);
    pack_pair_uint(out, "losses", row->losses);
    pack_pair_uint(out, "requeues", row->lives);
    pack_pair_uint(out, "max_retries", row->max_retries);
    pack_pair_real(out, "lease_seconds", (double) row->lease_us / 1e6);
    if (is_leased) {
        pack_pair_rfc3339(out, "leased_until", row->leased_us);
    }
    if (requester.size > 0) {
        pack_pair_str(out, "requester_id", requester);
    }
    pack_text(out, "events");
    return htm_event_pack(txn, task, out);
}

bus_err_t
htm_show_task(store_txn_t *txn, const htm_task_t *task, bool whole, pack_t *out)
{
    times_t times;
    schema_htm_task_t shown = describe(task, &times);
    if (!whole) {
        schema_encode(&SCHEMA_htm_task, &shown, out);
        return BUS_OK;
    }
    shown.context = blob(txn, HTM_CONTEXTS, task->row.seq);
    shown.result = blob(txn, HTM_RESULTS, task->row.seq);
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    schema_encode(&SCHEMA_htm_task, &shown, fields);
    return pack_more(txn, task, pack_view(fields), out);
}
