// governance_violation.c - violations: kept, counted by requester, escalated where it is one too
// many.
//
// Of each requester the times of the last three violations are kept: the fourth within an hour is
// the one that escalates, and then each one after it; but what is told to others (an event, a mail)
// is told once an hour. All of it is in the store, so a restart begins no new window.
#include "governance_violation.h"

#include "proto/rfc3339.h"
#include "runtime/log.h"
#include "threats.h"

#include <assert.h>
#include <stdio.h>

enum { MAIL_SIZE = 1024 };

// The times of the last ones, the oldest first; 0: there were not so many.
typedef struct {
    uint64_t at[BUCKET_GOVERNANCE_VIOLATIONS_MAX];
} recent_t;

// A record of BUCKET_WINDOWS.
typedef struct {
    uint64_t said_at; // of the last escalation; 0: none
    recent_t all;
    recent_t open; // without the hidden ones
} window_t;

static bool
is_within(uint64_t earlier, uint64_t now)
{
    return earlier != 0 && now - earlier < BUCKET_GOVERNANCE_WINDOW_US;
}

// Takes one more. Whether it is one too many.
static bool
note(recent_t *self, uint64_t now)
{
    bool is_over = is_within(self->at[0], now);
    memmove(&self->at[0], &self->at[1], sizeof self->at - sizeof self->at[0]);
    self->at[BUCKET_GOVERNANCE_VIOLATIONS_MAX - 1] = now;
    return is_over;
}

static bus_err_t
window_get(store_txn_t *txn, bus_view_t requester, window_t *ret_window)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_WINDOWS, requester, &value);
    *ret_window = (window_t){0};
    if (err == BUS_OK && value.size == sizeof *ret_window) {
        memcpy(ret_window, value.data, sizeof *ret_window);
    }
    // A damaged one begins anew: refusing goes on.
    return store_forgive(err);
}

// --- Kept ----------------------------------------------------------------------------------------

static void
pack_optional(pack_t *out, const char *key, bus_view_t text, uint32_t *count)
{
    if (text.size > 0) {
        pack_pair_str(out, key, text);
        (*count)++;
    }
}

static bus_err_t
keep(service_apply_t *apply,
     const bucket_refusal_t *refusal,
     const bucket_audit_place_t *place,
     bool escalates)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    size_t map = pack_map_begin(out);
    uint32_t count = 8;
    pack_pair_uint(out, "at", apply->header->at);
    pack_pair_rfc3339(out, "timestamp", apply->header->at);
    pack_pair_text(out, "audit_id", place->audit_id);
    pack_pair_str(out, "requester_id", refusal->requester_id);
    pack_pair_text(out, "violation_type", refusal->violation);
    pack_pair_text(out, "error_code", error_text(refusal->err));
    pack_pair_text(out, "operation", refusal->operation);
    pack_pair_text(out, "action_taken", "REJECTED");
    pack_optional(out, "source", apply->header->source, &count);
    pack_optional(out, "trace_id", apply->header->trace_id, &count);
    pack_optional(out, "product", refusal->product, &count);
    pack_optional(out, "subject", refusal->subject, &count);
    if (refusal->threat != 0) {
        pack_pair_text(out, "threat", bucket_threats_row(refusal->threat)->id);
        count++;
    }
    if (escalates) {
        pack_pair_text(out, "escalation", "ADVISOR_NOTIFIED");
        count++;
    }
    pack_count(out, map, count);
    return store_append(
        apply->txn, BUCKET_VIOLATIONS, STORE_U64(apply->header->seq), pack_view(out));
}

// --- Escalated -----------------------------------------------------------------------------------

static void
pack_escalation(const service_apply_t *apply,
                const bucket_refusal_t *refusal,
                const bucket_audit_place_t *place,
                pack_t *out)
{
    pack_map(out, 8);
    pack_pair_str(out, "requester_id", refusal->requester_id);
    pack_pair_text(out, "escalation", "ADVISOR_NOTIFIED");
    pack_pair_uint(out, "more_than", BUCKET_GOVERNANCE_VIOLATIONS_MAX);
    pack_pair_uint(out, "window_seconds", BUCKET_GOVERNANCE_WINDOW_US / 1000000);
    pack_pair_text(out, "violation_type", refusal->violation);
    pack_pair_text(out, "error_code", error_text(refusal->err));
    pack_pair_text(out, "audit_id", place->audit_id);
    pack_pair_rfc3339(out, "timestamp", apply->header->at);
}

static bus_err_t
mail(service_apply_t *apply, const bucket_refusal_t *refusal, const bucket_audit_place_t *place)
{
    char at[RFC3339_SIZE];
    char who[4 * BUCKET_GOVERNANCE_REQUESTER_SIZE + 8];
    char body[MAIL_SIZE + sizeof who];
    rfc3339_format(apply->header->at, at);
    (void) snprintf(body,
                    sizeof body,
                    "%s was refused more than %d times within an hour.\n\nThe last time: %s, %s, "
                    "at %s.\nThe entry in the audit log: %s.\n",
                    log_escape(refusal->requester_id, who, sizeof who),
                    BUCKET_GOVERNANCE_VIOLATIONS_MAX,
                    refusal->violation,
                    error_text(refusal->err),
                    at,
                    place->audit_id);
    return bucket_governance_mail(apply, "advisor_email", "Bucket: repeated violations", body);
}

static bus_err_t
escalate(service_apply_t *apply, const bucket_refusal_t *refusal, const bucket_audit_place_t *place)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_escalation(apply, refusal, place, body);
    const bucket_audit_t entry = {.event_type = "escalation",
                                  .operation = "governance.escalation",
                                  .requester_id = refusal->requester_id,
                                  .rule = "repeated_violations",
                                  .severity = "CRITICAL",
                                  .details = pack_view(body)};
    bucket_audit_place_t own;
    bus_err_t err = bucket_audit_add(apply, &entry, &own);
    if (err == BUS_OK) {
        err = service_say(apply, "governance.escalation", pack_view(body));
    }
    assert(err != BUS_PAYLOAD_TOO_LARGE); // every part of it is bounded
    return err == BUS_OK ? mail(apply, refusal, place) : err;
}

bus_err_t
bucket_governance_violation_add(service_apply_t *apply,
                                const bucket_refusal_t *refusal,
                                const bucket_audit_place_t *place,
                                bool *ret_tells)
{
    uint64_t now = apply->header->at;
    window_t window;
    bus_err_t err = window_get(apply->txn, refusal->requester_id, &window);
    if (err != BUS_OK) {
        return err;
    }
    bool is_over = note(&window.all, now);
    bool tells = !refusal->is_hidden && note(&window.open, now);
    bool is_due = is_over && !is_within(window.said_at, now);
    window.said_at = is_due ? now : window.said_at;
    err = store_put(
        apply->txn, BUCKET_WINDOWS, refusal->requester_id, view_from(&window, sizeof window));
    if (err == BUS_OK) {
        err = keep(apply, refusal, place, is_over);
    }
    if (err == BUS_OK && is_due) {
        err = escalate(apply, refusal, place);
    }
    *ret_tells = tells;
    return err;
}
