// tables.c - Bucket's tables on disk.
#include "tables.h"

const store_table_t bucket_tables[BUCKET_TABLE_COUNT] = {
    [BUCKET_EVENTS] = {"events", STORE_KEYS_UINT64, true, "seq -> stored event"},
    [BUCKET_INDEX] = {"index", STORE_KEYS_BYTES, true, "kind, value, number -> nothing"},
    [BUCKET_COUNTS] = {"counts", STORE_KEYS_BYTES, true, "kind, value -> rows"},
    [BUCKET_AGENTS] = {"agents", STORE_KEYS_BYTES, true, "agent_id -> context"},
    [BUCKET_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "single records: counters, configuration"},
    [BUCKET_ARTIFACTS] = {"artifacts", STORE_KEYS_UINT64, true, "seq -> artifact and metadata"},
    [BUCKET_CONTENTS] = {"contents", STORE_KEYS_UINT64, true, "seq -> content"},
    [BUCKET_IDS] = {"ids", STORE_KEYS_BYTES, true, "product, hash of artifact_id -> seq"},
    [BUCKET_EXPIRIES] = {"expiries", STORE_KEYS_BYTES, true, "retention_until, seq -> nothing"},
    [BUCKET_QUOTAS] = {"quotas", STORE_KEYS_BYTES, true, "product -> bytes, artifacts"},
    [BUCKET_AUDIT] = {"audit", STORE_KEYS_UINT64, true, "leaf index -> entry"},
    [BUCKET_NODES] = {"nodes", STORE_KEYS_UINT64, true, "level, index -> hash"},
    [BUCKET_AUDIT_SEQS] = {"audit_seqs", STORE_KEYS_UINT64, true, "seq -> first leaf index"},
    [BUCKET_VIOLATIONS] = {"violations", STORE_KEYS_UINT64, true, "seq -> violation"},
    [BUCKET_THREATS] = {"threats", STORE_KEYS_BYTES, true, "threat -> blocked"},
    [BUCKET_WINDOWS] = {"windows", STORE_KEYS_BYTES, true, "requester_id -> last escalation"},
    [BUCKET_PACKETS] = {"packets", STORE_KEYS_UINT64, true, "seq -> PRANA packet"},
    [BUCKET_PEOPLE] = {"people", STORE_KEYS_BYTES, true, "user_id -> sums"},
    [BUCKET_PUBLIC_KEYS] = {"public_keys", STORE_KEYS_BYTES, true, "key_id -> public key"},
    [BUCKET_SIGNATURES] = {"signatures", STORE_KEYS_BYTES, true, "signature_id -> signature"},
    [BUCKET_SECRETS] = {"secrets", STORE_KEYS_BYTES, false, "key_id -> encrypted secret key"},
    [BUCKET_USES] = {"uses", STORE_KEYS_BYTES, false, "key_id -> use count"},
};

#define TOTALS_KEY VIEW_LITERAL("totals")

bus_err_t
bucket_tables_load(store_txn_t *txn, bucket_totals_t *ret_totals)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_totals = (bucket_totals_t){.forwarding = 1};
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    if (value.size != sizeof *ret_totals) {
        return BUS_CORRUPT;
    }
    memcpy(ret_totals, value.data, sizeof *ret_totals);
    return BUS_OK;
}

bus_err_t
bucket_tables_save(store_txn_t *txn, const bucket_totals_t *totals)
{
    return store_put(txn, BUCKET_TOTALS, TOTALS_KEY, view_from(totals, sizeof *totals));
}
