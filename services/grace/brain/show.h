// show.h - what the brain knows, packed for those who ask. All BUS_IO, and BUS_OK where a record is
// damaged: that one is left out.
#pragma once
#include "tables.h"

// Arrays, as they stand; at most `limit` items.
BUS_CHECK bus_err_t brain_show_drifts(store_txn_t *txn,
                                      uint32_t limit,
                                      pack_t *out,
                                      uint32_t *ret_count);
BUS_CHECK bus_err_t brain_show_scores(store_txn_t *txn, uint32_t limit, pack_t *out);
BUS_CHECK bus_err_t brain_show_outcomes(store_txn_t *txn, uint32_t limit, pack_t *out);
BUS_CHECK bus_err_t brain_show_recommendations(store_txn_t *txn, uint32_t limit, pack_t *out);

// Pairs of the status: `config`; `baselines`; `learned`; `open` and `issues`; `drills`, `queue` and
// `sla`; `intents`.
BUS_CHECK bus_err_t brain_show_config(store_txn_t *txn, pack_t *out);
void brain_show_baselines(pack_t *out);
BUS_CHECK bus_err_t brain_show_learned(store_txn_t *txn, pack_t *out);
BUS_CHECK bus_err_t brain_show_issues(store_txn_t *txn, pack_t *out);
BUS_CHECK bus_err_t brain_show_queue(store_txn_t *txn, const brain_live_t *live, pack_t *out);
void brain_show_intents(pack_t *out);
