// storage.h - whether the store has room for artifacts.
//
// A full store takes nothing any more, not even what would make room. So Bucket stops taking
// artifacts and callers' own audit entries before that (STORE_FULL), while deletions, holds and
// reads go on. How full a store is
// depends on the machine, and what is applied may not: the tick looks, says bucket.storage, and
// from that place in the journal on every replica does the same.
#pragma once
#include "governance.h"
#include "runtime/service.h"
#include "tables.h"

// Applies bucket.storage, Bucket's own word alone.
BUS_CHECK bus_err_t bucket_storage_apply(service_apply_t *apply, const void *message);
// Whether there is room for what a caller wants to be kept. Otherwise refuses it (`asked`: its
// operation, product, requester_id and subject) and returns what it was refused with.
BUS_CHECK bus_err_t bucket_storage_require(service_apply_t *apply, const bucket_refusal_t *asked);
// Once a second: says bucket.storage where that has changed.
void bucket_storage_tick(service_query_t *query);
