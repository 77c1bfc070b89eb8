// governance_violation.h - violations: kept, counted by requester, escalated where it is one too
// many. Only governance.c uses it.
#pragma once
#include "audit.h"
#include "governance.h"

enum {
    BUCKET_GOVERNANCE_VIOLATIONS_MAX = 3,   // of one requester within the window; more escalate
    BUCKET_GOVERNANCE_REQUESTER_SIZE = 255, // bytes of who is counted
};
#define BUCKET_GOVERNANCE_WINDOW_US 3600000000ULL // an hour

// Records the violation that `refusal` (with its requester) is, audited at `place`, and says the
// escalation where it is due: an event, an audit entry, a mail. *ret_tells: the answer is to say
// so. What a hidden violation adds to is never told: an answer counts the others alone, or three
// reads of another product's ids would show, in a fourth refusal, which of them exist.
// BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_governance_violation_add(service_apply_t *apply,
                                                    const bucket_refusal_t *refusal,
                                                    const bucket_audit_place_t *place,
                                                    bool *ret_tells);
