// intake.c - what every command does before it does anything.
#include "intake.h"
#include "plan.h"
#include "proto/rfc3339.h"
#include "tables.h"
#include "user.h"

// One field's problem, as an answer's details.
static pack_t *
problem_of(const char *field, const char *problem)
{
    pack_t *details = pack_new();
    schema_problems_t problems = {.count = 1, .at = {{.field = field, .problem = problem}}};
    schema_pack_problems(&problems, details);
    return details;
}

bus_err_t
karma_intake_refuse(service_apply_t *self, const char *field, const char *problem)
{
    BUS_AUTO(pack_destroy) pack_t *details = problem_of(field, problem);
    return service_refuse(self, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

bus_err_t
karma_intake_time(service_apply_t *self,
                  bus_view_t effective_at,
                  bus_view_t timestamp,
                  uint64_t *ret_at)
{
    uint64_t unused;
    if (timestamp.data != NULL && rfc3339_parse(timestamp, &unused) != BUS_OK) {
        return karma_intake_refuse(self, "timestamp", "is no RFC 3339 time");
    }
    if (effective_at.data == NULL) {
        *ret_at = self->header->at;
        return BUS_OK;
    }
    bool enabled = false;
    bus_err_t err = karma_tables_test_helpers(self->txn, &enabled);
    if (err != BUS_OK) {
        return err;
    }
    if (!enabled) {
        return service_refuse(
            self, BUS_FORBIDDEN, "effective_at needs the test helpers", VIEW_NONE);
    }
    if (rfc3339_parse(effective_at, ret_at) != BUS_OK) {
        return karma_intake_refuse(self, "effective_at", "is no RFC 3339 time");
    }
    return BUS_OK;
}

bus_err_t
karma_intake_user(service_apply_t *self, bus_view_t user_id, karma_ledger_t *ret_ledger)
{
    bus_err_t err = karma_user_load(self->txn, user_id, ret_ledger);
    if (err == BUS_CORRUPT) {
        return service_refuse(
            self, BUS_INTERNAL, "what is kept of this user is damaged: rebuild Karma", VIEW_NONE);
    }
    return err;
}

bus_err_t
karma_intake_require(service_apply_t *self, bus_view_t user_id, karma_ledger_t *ret_ledger)
{
    bus_err_t err = karma_intake_user(self, user_id, ret_ledger);
    return err == BUS_NOT_FOUND
               ? service_refuse(self, BUS_USER_NOT_FOUND, "User not found", VIEW_NONE)
               : err;
}

bus_err_t
karma_intake_begin(service_apply_t *self,
                   bus_view_t user_id,
                   bus_view_t effective_at,
                   bus_view_t timestamp,
                   uint64_t *ret_at,
                   karma_ledger_t *ret_ledger)
{
    bus_err_t err = karma_intake_time(self, effective_at, timestamp, ret_at);
    return err == BUS_OK ? karma_intake_require(self, user_id, ret_ledger) : err;
}

bus_err_t
karma_intake_qtable(service_apply_t *self, karma_qtable_t *ret_qtable, bool *ret_learns)
{
    *ret_qtable = (karma_qtable_t){.steps = 0};
    bus_err_t err = karma_qtable_load(self->txn, ret_qtable);
    *ret_learns = err == BUS_OK;
    return err == BUS_CORRUPT ? BUS_OK : err;
}

bus_err_t
karma_intake_amount(service_apply_t *self, double amount)
{
    if (amount > 0.0 && amount <= (double) KARMA_AMOUNT_MAX) {
        return BUS_OK;
    }
    return karma_intake_refuse(self, "amount", "is not above 0 and up to 1000000000");
}

karma_event_t
karma_intake_event(const service_apply_t *self, uint64_t at, bus_view_t source)
{
    return (karma_event_t){
        .seq = self->header->seq,
        .at = at,
        .source = source.data != NULL ? source : self->header->source,
        .trace_id = self->header->trace_id,
    };
}

bus_err_t
karma_intake_refuse_asked(service_query_t *self, const char *field, const char *problem)
{
    BUS_AUTO(pack_destroy) pack_t *details = problem_of(field, problem);
    return service_query_refuse(self, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

bus_err_t
karma_intake_asked(service_query_t *self, bus_view_t user_id, karma_ledger_t *ret_ledger)
{
    bus_err_t err = karma_user_load(self->txn, user_id, ret_ledger);
    return err == BUS_NOT_FOUND
               ? service_query_refuse(self, BUS_USER_NOT_FOUND, "User not found", VIEW_NONE)
               : err;
}
