// artifact_damage.h - a stored record fails its check: the alarm, and what is answered. Inner to
// artifact*.c and retention.c.
//
// The checks are XXH3 on every record that is read (runtime/store.h) and SHA-256 on every content.
// What is damaged is never served, nor does it stop what is behind it in the journal. It is the one
// thing that Bucket audits which the journal does not tell: a store rebuilt from the same journal
// is whole again, and its tree has an entry of the read where this one has the damage.
#pragma once
#include "runtime/service.h"
#include "tables.h"

typedef struct {
    const char *operation;     // that met it
    const char *what;          // "content", "record", "id", "counter", "index", "expiry"
    channel_product_t product; // CHANNEL_PRODUCT_COUNT: not known
    bus_view_t requester_id;   // absent: the header's source
    bus_view_t artifact_id;    // absent: not known
    uint64_t seq;              // the artifact's; 0: not known
} bucket_artifact_damage_t;

// Logs it, counts it (bucket_totals_t.damaged), audits it as CRITICAL and says
// governance.integrity. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_artifact_damage_alarm(service_apply_t *apply,
                                                 const bucket_artifact_damage_t *damage);
// The same, and answers INTEGRITY_ERROR. Returns BUS_INTERNAL: BUS_CORRUPT would tell the harness
// to undo the batch and try again, for ever.
BUS_CHECK bus_err_t bucket_artifact_damage_refuse(service_apply_t *apply,
                                                  const bucket_artifact_damage_t *damage);
