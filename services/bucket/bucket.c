// bucket.c - Bucket as two tables: what it applies, and what it answers.
#include "bucket.h"

#include "context.h"
#include "event.h"
#include "forward.h"
#include "query.h"
#include "refusal.h"
#include "tables.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    {"core.event.", &SCHEMA_core_event, true, bucket_event_apply, "stores an event", true},
    {"bucket.context.read",
     &SCHEMA_context_read,
     true,
     bucket_context_read,
     "reads a context",
     false},
    {"bucket.forwarding.set",
     &SCHEMA_forwarding_set,
     true,
     bucket_forward_set,
     "the toggle",
     false},
    {"bucket.refused", &SCHEMA_refused, false, bucket_refusal_apply, "records a refusal", false},
};

static const service_query_row_t queries[] = {
    {"events", &SCHEMA_events_query, bucket_query_events, "lists stored events"},
    {"stats", NULL, bucket_query_stats, "counts"},
};

static bus_err_t
open_state(store_txn_t *txn, void **ret_state)
{
    bucket_state_t *state = calloc(1, sizeof *state);
    assert(state);
    bus_err_t err = bucket_tables_load(txn, &state->totals);
    if (err != BUS_OK) {
        free(state);
        return err;
    }
    *ret_state = state;
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static void
undone(void *arg, store_txn_t *txn)
{
    bucket_state_t *state = arg;
    bucket_totals_t totals;
    if (bucket_tables_load(txn, &totals) == BUS_OK) {
        state->totals = totals;
    }
}

static unsigned
health(void *arg, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const bucket_state_t *state = arg;
    pack_text(out, "core_integration");
    pack_map(out, 3);
    pack_pair_text(out, "status", "active");
    pack_pair_uint(out, "events_received", state->totals.events);
    pack_pair_uint(out, "agents_tracked", state->totals.agents);
    pack_text(out, "governance");
    pack_map(out, 1);
    pack_pair_uint(out, "refused", state->totals.refused);
    return 2;
}

const service_definition_t bucket_definition = {
    .name = "bucket",
    .source = "bhiv_bucket",
    .rules_version = 1,
    .tables = bucket_tables,
    .table_count = BUCKET_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .health = health,
};
