// service_failure.c - a service says that it was kept waiting too long.
//
// Core says so when Bucket was too slow for it, so Bucket reads it when it has caught up: the
// executor learns then what was promised and not kept. A Bucket that is down for long fails many
// tasks, and one mail says it all.
#include "service_failure.h"

#include "audit.h"
#include "governance.h"
#include "tables.h"

#include <stdio.h>

#define TOLD_KEY VIEW_LITERAL("service_failure_told") // of a record: when the last mail was said
#define QUIET_US UINT64_C(3600000000)                 // an hour

enum { MAIL_SIZE = 512 };

static bus_err_t
audit(service_apply_t *apply, const schema_service_failure_t *failure)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_encode(&SCHEMA_service_failure, failure, details);
    const bucket_audit_t entry = {
        .event_type = "escalation",
        .operation = "governance.service_failure",
        .rule = "service_level",
        .severity = "ERROR",
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}

static bus_err_t
mail(service_apply_t *apply, const schema_service_failure_t *failure)
{
    char body[MAIL_SIZE];
    (void) snprintf(body,
                    sizeof body,
                    "%.*s: Core was kept waiting by Bucket (%.*s). Nothing more is written about "
                    "it within the hour; the audit log has every case: bhiv audit log "
                    "--event-type escalation.",
                    (int) failure->service_failure.size,
                    failure->service_failure.data,
                    (int) failure->sla_violated.size,
                    failure->sla_violated.data);
    return bucket_governance_mail(apply, "executor_email", "Bucket: a service failure", body);
}

// Whether a mail of the last hour speaks for this one, too. A damaged record begins a new hour.
static bus_err_t
is_told(store_txn_t *txn, uint64_t now, bool *ret_is_told)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_TOTALS, TOLD_KEY, &value);
    uint64_t told = 0;
    if (err == BUS_OK && value.size == sizeof told) {
        memcpy(&told, value.data, sizeof told);
    }
    *ret_is_told = told != 0 && now - told < QUIET_US;
    return store_forgive(err);
}

bus_err_t
bucket_service_failure_apply(service_apply_t *apply, const void *message)
{
    const schema_service_failure_t *failure = message;
    if (!view_is(apply->header->source, "bhiv_core")) {
        return BUS_OK; // somebody else's word for it
    }
    uint64_t now = apply->header->at;
    bool is_quiet = false;
    bus_err_t err = is_told(apply->txn, now, &is_quiet);
    if (err == BUS_OK) {
        err = audit(apply, failure);
    }
    if (err != BUS_OK || is_quiet) {
        return err;
    }
    err = store_put(apply->txn, BUCKET_TOTALS, TOLD_KEY, view_from(&now, sizeof now));
    return err == BUS_OK ? mail(apply, failure) : err;
}
