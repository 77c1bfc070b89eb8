// intake.h - what every command does before it does anything: whose it is, and when; and a question
// likewise.
#pragma once
#include "event.h"
#include "ledger.h"
#include "runtime/service.h"

// Refuses one field; returns BUS_VALIDATION_FAILED.
bus_err_t karma_intake_refuse(service_apply_t *self, const char *field, const char *problem);

// The time to apply with: the journal's, or a test's own (`effective_at`) where that is enabled.
// `timestamp` is only looked at: the caller's own, absent or readable. BUS_FORBIDDEN,
// BUS_VALIDATION_FAILED (both refused already), or what the store returned.
BUS_CHECK bus_err_t karma_intake_time(service_apply_t *self,
                                      bus_view_t effective_at,
                                      bus_view_t timestamp,
                                      uint64_t *ret_at);

// The user's ledger. BUS_NOT_FOUND where there is none (not refused). One whose record is damaged
// is refused with BUS_INTERNAL, so that the others' karma goes on: a rebuild repairs it.
BUS_CHECK bus_err_t karma_intake_user(service_apply_t *self,
                                      bus_view_t user_id,
                                      karma_ledger_t *ret_ledger);
// The same; where there is none it refuses with BUS_USER_NOT_FOUND.
BUS_CHECK bus_err_t karma_intake_require(service_apply_t *self,
                                         bus_view_t user_id,
                                         karma_ledger_t *ret_ledger);

// Both, for a command about a user that there is.
BUS_CHECK bus_err_t karma_intake_begin(service_apply_t *self,
                                       bus_view_t user_id,
                                       bus_view_t effective_at,
                                       bus_view_t timestamp,
                                       uint64_t *ret_at,
                                       karma_ledger_t *ret_ledger);

// The Q-table, to learn in. One whose record is damaged stays so, and karma goes on: then
// *ret_learns is false, and this is another, to be thrown away. BUS_IO.
BUS_CHECK bus_err_t karma_intake_qtable(service_apply_t *self,
                                        karma_qtable_t *ret_qtable,
                                        bool *ret_learns);

// Whether an amount is one: above 0 and up to KARMA_AMOUNT_MAX; else refused.
BUS_CHECK bus_err_t karma_intake_amount(service_apply_t *self, double amount);

// What the event of every command has: place, time, who told it and in which trace. `source`: the
// caller's name, where the message has one.
karma_event_t karma_intake_event(const service_apply_t *self, uint64_t at, bus_view_t source);

// --- For a question

// Refuses one field; returns BUS_VALIDATION_FAILED.
bus_err_t karma_intake_refuse_asked(service_query_t *self, const char *field, const char *problem);
// The ledger of the user that is asked about. BUS_USER_NOT_FOUND (refused already), BUS_CORRUPT,
// BUS_IO.
BUS_CHECK bus_err_t karma_intake_asked(service_query_t *self,
                                       bus_view_t user_id,
                                       karma_ledger_t *ret_ledger);
