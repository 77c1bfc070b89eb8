// retention.h - what goes, when, and what must stay: sweeps, legal holds, approved deletions.
//
// A sweep is a journaled command, so every replica removes the same at the same place. Whatever is
// removed leaves a tombstone in the audit log: content hash, rule, holds at that time.
#pragma once
#include "runtime/service.h"
#include "tables.h"

enum { BUCKET_SWEEP_MAX = 1000 }; // artifacts of one sweep: what a batch can take; then another

// Applies bucket.sweep: removes what expired before the record's time, and says bucket.sweep again
// where more is left. Nothing while sweeps are held (bucket_totals_t.held_since).
BUS_CHECK bus_err_t bucket_retention_sweep(service_apply_t *apply, const void *message);
// Applies bucket.legal_hold, bucket.deletion.approve, bucket.retention.resume: the owner's.
BUS_CHECK bus_err_t bucket_retention_hold(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_retention_delete(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_retention_resume(service_apply_t *apply, const void *message);
// Applies governance.clock.ahead: sweeps wait for the owner.
BUS_CHECK bus_err_t bucket_retention_clock(service_apply_t *apply, const void *message);
// Once a second: says bucket.sweep where something is due.
void bucket_retention_tick(service_query_t *query);
