// operations.h - the functions behind the rows of karma.c's tables.
//
// Each is called by the harness with its message decoded (service.h says when, and what it may do)
// and packs its answer. Refusals are returned with the error that is named here.
//
// Every command takes `effective_at` (BUS_FORBIDDEN without test helpers) and most a `timestamp`,
// which is the caller's own and only recorded: out of order, in the future, without an offset (it
// means UTC) or on a leap day, it moves nothing. One that cannot be read is BUS_VALIDATION_FAILED.
// Each command first brings the user's ledger to its time (decay, expiry), then does its own.
#pragma once
#include "runtime/service.h"
#include "tables.h"

// --- life_event.c -------------------------------------------------------------------------------

// karma.life_event: applies one action; answers the `data` of docs/originals.md 1.5, and for a
// cheat that harmed somebody else `rnanubandhan_relationship {debtor_id, receiver_id, action_type,
// severity, amount, description, status, created_at}`. BUS_INVALID_REQUEST "Invalid action.".
bus_err_t karma_life_event(service_apply_t *self, const void *message);

// --- atonement.c --------------------------------------------------------------------------------

// karma.appeal: {status, message, plan}; a plan is {plan_id, user_id, paap_action, severity_class,
// created_at, status: pending|completed, requirements {Jap, Tap, Bhakti, Daan}, progress {the
// same}, proofs [{type, amount, submitted_at, status, text?, tx_hash?}…], proof_count,
// completed_at?}; of its proofs the first KARMA_PROOFS_MAX. BUS_USER_NOT_FOUND,
// BUS_INVALID_REQUEST for an action that is no Paap, BUS_CONFLICT where KARMA_PLANS_PENDING_MAX are
// pending.
bus_err_t karma_atonement_appeal(service_apply_t *self, const void *message);
// karma.atonement: {status, message, plan}. BUS_INVALID_REQUEST "Atonement plan not found",
// "Invalid atonement type", "Transaction hash required for Daan"; BUS_CONFLICT where the plan was
// completed before; BUS_VALIDATION_FAILED for an amount that is not above 0 and up to
// KARMA_AMOUNT_MAX.
bus_err_t karma_atonement_submit(service_apply_t *self, const void *message);
// req.karma.appeal_status: {status, user_id, pending_plans […], completed_plans […], next: a number
// or nil}. req.karma.atonement_plans: {status, user_id, plans […], count: of all, next}. A user
// without plans has none; BUS_USER_NOT_FOUND.
bus_err_t karma_atonement_status(service_query_t *self, const void *message);
bus_err_t karma_atonement_plans(service_query_t *self, const void *message);

// --- death.c ------------------------------------------------------------------------------------

// karma.death_event: {status, user_id, loka, description, carryover {carryover_paap,
// carryover_punya, starting_level}, paap_tokens_status {minor, medium, maha, total, status:
// completed|pursuing}, final_balances, merit_score, net_karma, role, lives, threshold_reached}: the
// life that ended; the next one begins with what was carried over. BUS_USER_NOT_FOUND.
bus_err_t karma_death(service_apply_t *self, const void *message);

// --- redeem.c -----------------------------------------------------------------------------------

// karma.redeem: {message, remaining, user_id, token_type, merit_score, role}. BUS_USER_NOT_FOUND,
// BUS_INVALID_REQUEST "Invalid token type" or "Insufficient balance", BUS_VALIDATION_FAILED for an
// amount that is not above 0 and up to KARMA_AMOUNT_MAX.
bus_err_t karma_redeem(service_apply_t *self, const void *message);

// --- test_helpers.c -----------------------------------------------------------------------------

// karma.config: keeps what this Karma was started with.
bus_err_t karma_test_helpers_config(service_apply_t *self, const void *message);
// karma.test.create_user, karma.test.delete_user, karma.test.fix_timestamps. All BUS_FORBIDDEN
// unless the configuration enables them.
bus_err_t karma_test_helpers_create(service_apply_t *self, const void *message);
bus_err_t karma_test_helpers_delete(service_apply_t *self, const void *message);
bus_err_t karma_test_helpers_fix(service_apply_t *self, const void *message);

// --- profile.c ----------------------------------------------------------------------------------

// req.karma.profile, req.karma.balance {user_id, role, merit_score, balances, last_updated} and
// req.karma.stats_user (docs/originals.md 1.6), as of the user's last command: a question has no
// journal clock, and must not decay with the wall's; the same journal gives the same answer.
// BUS_USER_NOT_FOUND.
bus_err_t karma_profile(service_query_t *self, const void *message);
bus_err_t karma_profile_balance(service_query_t *self, const void *message);
bus_err_t karma_profile_stats(service_query_t *self, const void *message);

// --- statistics.c -------------------------------------------------------------------------------

// req.karma.policy: {best_policy {role: action}, Q_shape [4, 5], q [[…]…]}.
bus_err_t karma_statistics_policy(service_query_t *self, const void *message);
// req.karma.stats_system: {status, system_stats {total_users, total_actions, total_events,
// total_appeals, pending_atonements, completed_atonements, total_atonements, total_redemptions,
// total_deaths, last_event_at}}.
bus_err_t karma_statistics_system(service_query_t *self, const void *message);
// req.karma.trends: {status, data: {dharma_seva_trends: {period, start_date, end_date, trends},
// paap_punya_trends: {…}}} of docs/originals.md 1.5. Weeks begin on Monday, 00:00 UTC; the last
// `weeks` of them, that of `now` included, those in which something happened.
bus_err_t karma_statistics_trends(service_query_t *self, const void *message);
// req.karma.metrics_live: {status, timestamp, total_users, events_last_24h, …} and the same again
// as `data`, as the original's code had it. Hours are whole: that of `now` and the 24 before it.
bus_err_t karma_statistics_live(service_query_t *self, const void *message);

// --- agent.c ------------------------------------------------------------------------------------

// req.karma.agent: {agent_id, successes, failures, others, total, rate: of successes among
// successes and failures, nil without any, last {action, at, user_id}}. BUS_NOT_FOUND.
bus_err_t karma_agent(service_query_t *self, const void *message);

// --- rank.c -------------------------------------------------------------------------------------

// req.karma.top: {by, users [{rank, user_id, role, value, merit_score, net_karma}…]}, the highest
// first, of equals the later user_id. By a token: those who have any (of one with classes: their
// sum). BUS_VALIDATION_FAILED for another `by`.
bus_err_t karma_rank_top(service_query_t *self, const void *message);

// --- replay.c -----------------------------------------------------------------------------------

// req.karma.replay: applies what is kept of the user to a new ledger: {matches, state_hash, events,
// role, merit_score, paap_score, net_karma, weighted_karma_score, balances, action_stats,
// last_updated}. `until`: only up to there by the user's clock, and no `matches`: the state as a
// profile would have shown it then. BUS_USER_NOT_FOUND, also where there was no user yet;
// BUS_PAYLOAD_TOO_LARGE above KARMA_REPLAY_MAX events; BUS_BUSY where KARMA_REPLAYS_MAX long ones
// are under way; BUS_ABORTED where the user was removed meanwhile.
bus_err_t karma_replay(service_query_t *self, const void *message);
