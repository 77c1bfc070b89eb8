// retention_decision.h - what was decided about an artifact: the audit entry, which is a tombstone
// where it went. Inner to retention*.c.
#pragma once
#include "artifact.h"
#include "audit.h"

// What was decided about an artifact.
typedef struct {
    const char *event_type; // "retention" or "owner"
    const char *operation;
    const char *rule;
    bus_view_t requester_id; // absent: the header's source
    bus_view_t reason;       // the owner's; absent: none
    bool is_refused;         // it stays, because it is held
    bool is_removed;
} bucket_retention_decision_t;

// Audits it, with what proves that it was neither early nor late. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_retention_decision_audit(service_apply_t *apply,
                                                    const bucket_retention_decision_t *decision,
                                                    const bucket_artifact_t *artifact,
                                                    bucket_audit_t *ret_entry,
                                                    bucket_audit_place_t *ret_place);
