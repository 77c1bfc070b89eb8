// governance.h - refusals: audited, counted, escalated. docs/contract.md section 3.
#pragma once
#include "proto/refusal.h"
#include "runtime/service.h"
#include "tables.h"

// A refusal that Bucket's `apply` makes.
typedef struct {
    bus_err_t err;
    const char *message;     // for a person; NULL: the error's meaning
    const char *operation;   // "artifact_write"
    const char *rule;        // NULL: the error's text in lower case
    const char *violation;   // "attempted_mutation": it counts as one; NULL: it does not
    unsigned threat;         // 1 to 10: what was blocked; 0: none
    bus_view_t product;      // absent: none
    bus_view_t requester_id; // absent: the header's source
    bus_view_t subject;      // artifact_id
    bus_view_t details;      // whole msgpack for the answer and the entry, or absent
    bool is_hidden; // counted as a violation, but neither the answer nor the audit entry tells it
                    // from the same refusal without one: existence does not leak
} bucket_refusal_t;

// Audits it, counts it where it is a violation, escalates where it is one too many, and packs the
// whole error answer: {status, error_code, message, details?, decision, rule, audit_id, and of a
// violation: violation_type, timestamp, action_taken, escalation?}. Returns refusal->err, or what
// the store returned; an error that is the store's own word (BUS_CORRUPT, BUS_IO, BUS_FULL) is
// answered and audited as it is, and returned as BUS_INTERNAL, so that it undoes no batch.
BUS_CHECK bus_err_t bucket_governance_refuse(service_apply_t *apply,
                                             const bucket_refusal_t *refusal);
// The same for a row of proto/refusal.def.
BUS_CHECK bus_err_t bucket_governance_refuse_row(service_apply_t *apply,
                                                 const refusal_t *row,
                                                 const char *operation,
                                                 bus_view_t body);
// The same for problems of a body: 422, no violation.
BUS_CHECK bus_err_t bucket_governance_refuse_problems(service_apply_t *apply,
                                                      const schema_problems_t *problems,
                                                      const char *operation,
                                                      bus_view_t body);
// Counts a threat that was met without a violation (a duplicate id, a full quota).
BUS_CHECK bus_err_t bucket_governance_count(service_apply_t *apply, unsigned threat);

// The row that a request to read artifacts trips: one of refusal_find's, or that workflow_executor,
// who may write, reads nothing (docs/contract.md section 2). NULL: none.
const refusal_t *bucket_governance_find_read(const service_apply_t *apply);

// Applies bucket.refused: what the bridge refused at its own door.
BUS_CHECK bus_err_t bucket_governance_refused(service_apply_t *apply, const void *message);
// Applies bucket.request: the one door to the four channels.
BUS_CHECK bus_err_t bucket_governance_request(service_apply_t *apply, const void *message);
// What the harness refused: audits it.
bus_err_t bucket_governance_harness(service_apply_t *apply, bus_err_t err);

// Says workflow.execute with an e-mail to one of the configured addresses ("advisor_email", …);
// nothing where it is not configured. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_governance_mail(service_apply_t *apply,
                                           const char *who,
                                           const char *subject,
                                           const char *body);

// req.bucket.violations {hours} -> {hours, total, by_type, by_requester, violations: […]}
bus_err_t bucket_governance_query_violations(service_query_t *query, const void *message);
// req.bucket.threats -> {threats: [{id, threat, name, severity, blocked, last, also?}…], blocked}
bus_err_t bucket_governance_query_threats(service_query_t *query, const void *message);
