// karma.c - what Karma takes and is asked: its tables of operations.
//
// Read next: rules.def (every number), ledger.c (the rules), life_event.c (one event from end to
// end).
#include "karma.h"
#include "operations.h"
#include "rules_check.h"
#include "runtime/log.h"
#include "runtime/option.h"
#include "runtime/setting.h"
#include "trace.h"
#include <stdlib.h>

// Raised whenever the same journal gives another state, or is kept otherwise: then a start says
// `rules_changed`, and a state made anew is due (docs/services.md).
enum { KARMA_RULES_VERSION = 3 };

static const service_apply_row_t applies[] = {
    {
        .prefix = "karma.life_event",
        .schema = &SCHEMA_life_event,
        .replies = true,
        .apply = karma_life_event,
        .meaning = "somebody acted",
    },
    {
        .prefix = "karma.appeal",
        .schema = &SCHEMA_karma_appeal,
        .replies = true,
        .apply = karma_atonement_appeal,
        .meaning = "a wrong is owned up to",
    },
    {
        .prefix = "karma.atonement",
        .schema = &SCHEMA_karma_atonement,
        .replies = true,
        .apply = karma_atonement_submit,
        .meaning = "a part of a plan was done",
    },
    {
        .prefix = "karma.death_event",
        .schema = &SCHEMA_karma_death_event,
        .replies = true,
        .apply = karma_death,
        .meaning = "a life ends",
    },
    {
        .prefix = "karma.redeem",
        .schema = &SCHEMA_karma_redeem,
        .replies = true,
        .apply = karma_redeem,
        .meaning = "tokens are spent",
    },
    {
        .prefix = "karma.config",
        .schema = &SCHEMA_karma_config,
        .apply = karma_test_helpers_config,
        .meaning = "what Karma was started with",
    },
    {
        .prefix = "karma.test.create_user",
        .schema = &SCHEMA_test_create_user,
        .replies = true,
        .apply = karma_test_helpers_create,
        .meaning = "makes a test user",
    },
    {
        .prefix = "karma.test.delete_user",
        .schema = &SCHEMA_test_delete_user,
        .replies = true,
        .apply = karma_test_helpers_delete,
        .meaning = "removes a user and what is kept of them",
    },
    {
        .prefix = "karma.test.fix_timestamps",
        .schema = &SCHEMA_test_fix_timestamps,
        .replies = true,
        .apply = karma_test_helpers_fix,
        .meaning = "repairs times without a zone; there are none",
    },
};

static const service_query_row_t queries[] = {
    {"profile", &SCHEMA_karma_user, karma_profile, "a user's balances, scores and role"},
    {"balance", &SCHEMA_karma_user, karma_profile_balance, "a user's balances"},
    {"stats_user",
     &SCHEMA_karma_user,
     karma_profile_stats,
     "a user's scores and the tokens' rules"},
    {"replay", &SCHEMA_karma_replay_query, karma_replay, "a user's state, made once more"},
    {"appeal_status",
     &SCHEMA_karma_plans_query,
     karma_atonement_status,
     "a user's plans of atonement, pending and completed"},
    {"atonement_plans",
     &SCHEMA_karma_plans_query,
     karma_atonement_plans,
     "a user's plans of atonement"},
    {"policy", NULL, karma_statistics_policy, "what was learned: the Q-table"},
    {"stats_system", NULL, karma_statistics_system, "counts over all users"},
    {"trends", &SCHEMA_karma_trends_query, karma_statistics_trends, "sums by week"},
    {"metrics_live",
     &SCHEMA_karma_metrics_query,
     karma_statistics_live,
     "sums of the last 24 hours"},
    {"agent", &SCHEMA_karma_agent_query, karma_agent, "how an agent did"},
    {"applied", &SCHEMA_karma_applied_query, karma_trace_applied, "what became of records"},
    {"top", &SCHEMA_karma_top_query, karma_rank_top, "the users with the most of something"},
};

static bus_err_t
open_state(BUS_UNUSED const service_options_t *options,
           BUS_UNUSED store_txn_t *txn,
           void **ret_state)
{
    karma_rules_fault_t fault;
    if (karma_rules_check(&karma_rules, &fault) != BUS_OK) {
        log_error(
            "rules_bad", "table=%s row=%s problem=\"%s\"", fault.table, fault.row, fault.problem);
        return BUS_INTERNAL;
    }
    karma_state_t *state = malloc(sizeof *state);
    if (state == NULL) {
        return BUS_FULL;
    }
    *state = (karma_state_t){.record = pack_new(), .told = pack_new(), .parsed = pack_new()};
    *ret_state = state;
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    karma_state_t *state = *state_p;
    if (state != NULL) {
        pack_destroy(&state->record);
        pack_destroy(&state->told);
        pack_destroy(&state->parsed);
        karma_replay_clear(&state->replays);
        free(state);
        *state_p = NULL;
    }
}

static void
pack_config(BUS_UNUSED const service_options_t *options, pack_t *out)
{
    const char *text = setting_text("BHIV_KARMA_TEST_HELPERS");
    uint64_t enabled = 0;
    if (text != NULL && option_value(OPTION_FLAG, text, &enabled) != BUS_OK) {
        log_warning("test_helpers_unreadable", "value=%.16s taken=off", text);
        enabled = 0;
    }
    pack_map(out, 1);
    pack_pair_bool(out, "test_helpers", enabled != 0);
}

static unsigned
pack_health(BUS_UNUSED void *state, store_txn_t *txn, pack_t *out)
{
    uint64_t users = 0;
    uint64_t events = 0;
    if (store_count(txn, KARMA_USERS, &users) != BUS_OK ||
        store_count(txn, KARMA_EVENTS, &events) != BUS_OK) {
        return 0;
    }
    pack_pair_uint(out, "users", users);
    pack_pair_uint(out, "events", events);
    return 2;
}

const service_definition_t karma_definition = {
    .name = "karma",
    .source = "bhiv_karma",
    .rules_version = KARMA_RULES_VERSION,
    .tables = karma_tables,
    .table_count = KARMA_TABLE_COUNT,
    .applies = applies,
    .apply_count = sizeof applies / sizeof applies[0],
    .queries = queries,
    .query_count = sizeof queries / sizeof queries[0],
    .open = open_state,
    .close = close_state,
    .config = pack_config,
    .health = pack_health,
};
