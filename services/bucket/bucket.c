// bucket.c - Bucket as two tables: what it applies, and what it answers.
#include "bucket.h"

#include "access.h"
#include "artifact.h"
#include "audit.h"
#include "audit_places.h"
#include "audit_query.h"
#include "config.h"
#include "context.h"
#include "event.h"
#include "forward.h"
#include "governance.h"
#include "keys.h"
#include "prana.h"
#include "query.h"
#include "quota.h"
#include "retention.h"
#include "runtime/log.h"
#include "service_failure.h"
#include "storage.h"
#include "tables.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    {"core.event.", &SCHEMA_core_event, true, bucket_event_apply, "stores an event", true, false},
    {"bucket.context.read",
     &SCHEMA_context_read,
     true,
     bucket_context_read,
     "reads a context",
     false,
     true},
    {"bucket.forwarding.set",
     &SCHEMA_forwarding_set,
     true,
     bucket_forward_set,
     "the toggle",
     false,
     false},
    // The channels check their bodies themselves: refusals are looked for before the shape.
    {"bucket.artifact_write", NULL, true, bucket_artifact_write, "keeps an artifact", false, false},
    {"bucket.artifact_read", NULL, true, bucket_artifact_read, "reads an artifact", false, true},
    {"bucket.metadata_query", NULL, true, bucket_artifact_query, "searches artifacts", false, true},
    {"bucket.audit_append", NULL, true, bucket_audit_append, "adds an audit entry", false, false},
    {"bucket.request", NULL, true, bucket_governance_request, "one door to them", false, false},
    {"bucket.refused",
     &SCHEMA_refused,
     true,
     bucket_governance_refused,
     "records a refusal",
     false,
     false},
    {"bucket.legal_hold", NULL, true, bucket_retention_hold, "holds, lets go", false, false},
    {"bucket.deletion.approve", NULL, true, bucket_retention_delete, "deletes", false, false},
    {"bucket.retention.resume", NULL, true, bucket_retention_resume, "sweeps go on", false, false},
    {"bucket.sweep", NULL, false, bucket_retention_sweep, "removes what expired", false, false},
    {"bucket.storage",
     &SCHEMA_bucket_storage,
     false,
     bucket_storage_apply,
     "room, or none",
     false,
     false},
    {"governance.service_failure",
     &SCHEMA_service_failure,
     false,
     bucket_service_failure_apply,
     "a promise that was not kept",
     false,
     false},
    {"governance.access",
     &SCHEMA_access,
     false,
     bucket_access_apply,
     "refusals, and changes of who may what",
     false,
     false},
    {"governance.clock.ahead", NULL, false, bucket_retention_clock, "sweeps wait", false, false},
    {"prana.packet",
     &SCHEMA_prana_packet,
     true,
     bucket_prana_packet,
     "keeps a packet",
     true,
     false},
    {"prana.packets",
     &SCHEMA_prana_packets,
     true,
     bucket_prana_several,
     "keeps several",
     true,
     false},
    {"crypto.key.created", &SCHEMA_key_created, false, bucket_keys_created, "a key", false, false},
    {"crypto.key.retired",
     &SCHEMA_key_retired,
     false,
     bucket_keys_retired,
     "a key that ends",
     false,
     false},
    {"crypto.signature",
     &SCHEMA_crypto_signature,
     false,
     bucket_keys_signature,
     "a signature",
     false,
     false},
    {"bucket.config",
     &SCHEMA_bucket_config,
     false,
     bucket_config_apply,
     "what it was started with",
     false,
     false},
};

static const service_query_row_t queries[] = {
    {"events", &SCHEMA_events_query, bucket_query_events, "lists stored events"},
    {"stats", NULL, bucket_query_stats, "counts"},
    {"quota", &SCHEMA_quota_query, bucket_quota_query, "storage by product"},
    {"audit_log", &SCHEMA_audit_log_query, bucket_audit_query_log, "lists audit entries"},
    {"audit_entry", &SCHEMA_audit_id_query, bucket_audit_query_entry, "one entry and its leaf"},
    {"audit_checkpoint", NULL, bucket_audit_query_checkpoint, "a signed tree head"},
    {"audit_inclusion", &SCHEMA_inclusion_query, bucket_audit_query_inclusion, "proves an entry"},
    {"audit_consistency",
     &SCHEMA_consistency_query,
     bucket_audit_query_consistency,
     "proves that nothing was taken away"},
    {"audit_receipt", &SCHEMA_audit_id_query, bucket_audit_query_receipt, "an offline proof"},
    {"audit_leaves", &SCHEMA_audit_pages_query, bucket_audit_query_leaves, "the log itself"},
    {"audit_places", &SCHEMA_audit_places_query, bucket_audit_places_query, "a trace's entries"},
    {"audit_verify", &SCHEMA_audit_pages_query, bucket_audit_query_verify, "checks a part of it"},
    {"violations", &SCHEMA_hours_query, bucket_governance_query_violations, "who was refused"},
    {"threats", NULL, bucket_governance_query_threats, "what was blocked"},
    {"prana_packets", &SCHEMA_prana_packets_query, bucket_prana_query_packets, "lists packets"},
    {"prana_stats", NULL, bucket_prana_query_stats, "counts packets"},
    {"prana_user", &SCHEMA_prana_user_query, bucket_prana_query_user, "one person's attention"},
};

static void
close_state(void **state_p)
{
    bucket_state_t *state = *state_p;
    if (state != NULL) {
        bucket_keys_close(&state->keys);
        pack_destroy(&state->scratch);
        free(state);
        *state_p = NULL;
    }
}

static bus_err_t
open_state(const service_options_t *options, store_txn_t *txn, void **ret_state)
{
    bucket_state_t *state = calloc(1, sizeof *state);
    assert(state);
    state->scratch = pack_new();
    bus_err_t err = bucket_config_check();
    if (err == BUS_OK) {
        err = bucket_tables_load(txn, &state->totals);
    }
    if (err == BUS_OK) {
        err = bucket_audit_load(txn, &state->tree);
    }
    if (err == BUS_OK) {
        err = bucket_keys_open(options, txn, &state->keys);
    }
    *ret_state = state;
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static void
undone(void *arg, store_txn_t *txn)
{
    bucket_state_t *state = arg;
    bus_err_t err = bucket_tables_load(txn, &state->totals);
    if (err != BUS_OK) {
        log_error("totals_unreadable", "error=%s", error_text(err));
    }
    err = bucket_audit_load(txn, &state->tree);
    if (err != BUS_OK) {
        log_error("audit_unreadable", "error=%s", error_text(err));
        bucket_audit_doubt(&state->tree); // read again before the next entry
    }
    bucket_keys_undone(state->keys);
}

static bus_err_t
save(void *arg, store_txn_t *txn)
{
    bucket_state_t *state = arg;
    return bucket_keys_save(state->keys, txn);
}

// Whether it was audited: the tree knows whose entry was added last.
static void
taken(void *arg, const header_t *header, const service_apply_row_t *row)
{
    bucket_state_t *state = arg;
    if (row->replies) { // what has no reply is Bucket's own, and may have changed nothing
        state->due++;
        state->audited += state->tree.seq == header->seq ? 1 : 0;
    }
}

static void
tick(service_query_t *query)
{
    const bucket_state_t *state = query->state;
    bucket_keys_tick(state->keys, query);
    bucket_retention_tick(query);
    bucket_storage_tick(query);
}

static unsigned
rebuilt(void *arg, store_txn_t *txn, pack_t *out)
{
    const bucket_state_t *state = arg;
    merkle_hash_t root;
    if (merkle_root(bucket_audit_node, txn, state->tree.size, &root) != BUS_OK) {
        return 0;
    }
    char hex[2 * MERKLE_HASH_SIZE + 1];
    for (size_t i = 0; i < MERKLE_HASH_SIZE; i++) {
        (void) snprintf(hex + 2 * i, 3, "%02x", root.bytes[i]);
    }
    pack_pair_uint(out, "tree_size", state->tree.size);
    pack_pair_text(out, "tree_root", hex);
    return 2;
}

static unsigned
health(void *arg, store_txn_t *txn, pack_t *out)
{
    const bucket_state_t *state = arg;
    pack_text(out, "core_integration");
    pack_map(out, 3);
    pack_pair_text(out, "status", "active");
    pack_pair_uint(out, "events_received", state->totals.events);
    pack_pair_uint(out, "agents_tracked", state->totals.agents);
    pack_text(out, "governance");
    pack_map(out, 9);
    pack_pair_uint(out, "refused", state->totals.refused);
    pack_pair_uint(out, "violations", state->totals.violations);
    pack_pair_uint(out, "audit_entries", state->tree.size);
    pack_pair_uint(out, "due", state->due); // since the start: to be audited
    pack_pair_uint(out, "audited", state->audited);
    pack_pair_uint(out, "damaged", state->totals.damaged);
    pack_pair_uint(out, "artifacts", state->totals.artifacts);
    pack_pair_text(out, "sweeps", state->totals.held_since == 0 ? "on" : "held: the clock jumped");
    pack_pair_text(out, "writes", state->totals.full_since == 0 ? "on" : "held: the store is full");
    return 2 + bucket_prana_health(state, txn, out);
}

const service_definition_t bucket_definition = {
    .name = "bucket",
    .source = "bhiv_bucket",
    .rules_version = 2,
    .tables = bucket_tables,
    .table_count = BUCKET_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .alias = {"crypto", bucket_keys_queries, BUCKET_KEYS_QUERIES},
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .refused = bucket_governance_harness,
    .taken = taken,
    .tick = tick,
    .save = save,
    .config = bucket_config_pack,
    .health = health,
    .rebuilt = rebuilt,
};
