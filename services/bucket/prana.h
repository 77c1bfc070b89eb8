// prana.h - attention packets: kept, summed up by person, told to Karma. docs/contract.md
// section 4.
#pragma once
#include "runtime/service.h"
#include "tables.h"

// Applies prana.packet: keeps it and says one karma.life_event.
BUS_CHECK bus_err_t bucket_prana_packet(service_apply_t *apply, const void *message);
// Applies prana.packets: 1 to 100 of them, all or none.
BUS_CHECK bus_err_t bucket_prana_several(service_apply_t *apply, const void *message);
// req.bucket.prana_packets, prana_stats, prana_user.
bus_err_t bucket_prana_query_packets(service_query_t *query, const void *message);
bus_err_t bucket_prana_query_stats(service_query_t *query, const void *message);
bus_err_t bucket_prana_query_user(service_query_t *query, const void *message);
// prana_telemetry of the health: one pair.
unsigned bucket_prana_health(const bucket_state_t *state, store_txn_t *txn, pack_t *out);
