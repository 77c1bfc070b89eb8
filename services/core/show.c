// show.c - what Core shows of itself. See show.h.
#include "show.h"

#include "choose.h"
#include "proto/rfc3339.h"
#include "runtime/clock.h"

#include <math.h>

static void
pack_inputs(const core_agent_t *agent, pack_t *out)
{
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (unsigned i = 0; i < CORE_INPUT_COUNT; i++) {
        if ((agent->inputs & (1u << i)) != 0) {
            pack_text(out, core_selector_input_text((core_input_t) i));
            count++;
        }
    }
    pack_count(out, place, count);
}

static void
pack_agent(const core_agent_t *agent, store_txn_t *txn, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 8;
    pack_pair_text(out, "agent_id", agent->id);
    pack_pair_text(out, "kind", core_registry_kind_text(agent->kind));
    pack_pair_bool(out, "enabled", agent->enabled);
    pack_pair_bool(out, "available", core_choose_is_available(agent, txn));
    pack_pair_bool(out, "standby", agent->standby);
    pack_pair_bool(out, "discovered", agent->discovered);
    pack_text(out, "input_types");
    pack_inputs(agent, out);
    pack_pair_raw(out, "tags", pack_view(agent->tags));
    if (agent->kind == CORE_AGENT_BUS) {
        pack_pair_uint(out, "instances", agent->instances);
        count++;
    }
    if (agent->kind == CORE_AGENT_HTTP) { // neither its server nor its key is anybody's business
        pack_pair_text(out, "model", agent->model);
        count++;
    }
    if (agent->timeout_ms != 0) {
        pack_pair_uint(out, "timeout_ms", agent->timeout_ms);
        count++;
    }
    pack_count(out, place, count);
}

static void
pack_agents(service_query_t *query)
{
    const core_state_t *core = query->state;
    size_t count = core_registry_count(core->registry);
    pack_text(query->answer, "agents");
    pack_array(query->answer, (uint32_t) count);
    for (size_t i = 0; i < count; i++) {
        pack_agent(core_registry_at(core->registry, i), query->txn, query->answer);
    }
}

bus_err_t
core_show_agents(service_query_t *query, BUS_UNUSED const void *message)
{
    const core_state_t *core = query->state;
    pack_map(query->answer, 2);
    pack_agents(query);
    pack_pair_uint(query->answer, "count", core_registry_count(core->registry));
    return BUS_OK;
}

bus_err_t
core_show_config(service_query_t *query, BUS_UNUSED const void *message)
{
    const core_state_t *core = query->state;
    pack_t *out = query->answer;
    char now[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), now);
    pack_map(out, 5);
    pack_agents(query);
    pack_text(out, "rl");
    pack_map(out, 3);
    pack_pair_bool(out, "use_rl", true);
    pack_pair_text(out, "selection", "epsilon-greedy, then UCB1");
    pack_pair_bool(out, "seeded", core->is_seeded);
    pack_text(out, "timeouts_s");
    pack_map(out, CORE_INPUT_COUNT);
    for (unsigned i = 0; i < CORE_INPUT_COUNT; i++) {
        pack_pair_uint(
            out, core_selector_input_text((core_input_t) i), core_task_timeout_s((core_input_t) i));
    }
    pack_pair_bool(out, "workflow", core->runs_workflows);
    pack_pair_text(out, "timestamp", now);
    return BUS_OK;
}

// --- What was learned ----------------------------------------------------------------------------

// Three digits behind the point are enough for a chance.
static double
rounded(double value)
{
    return round(value * 1e6) / 1e6;
}

static void
pack_score(bus_view_t agent_id, const core_score_t *score, pack_t *out)
{
    const core_score_sum_t *sum = &score->sum;
    char last[RFC3339_SIZE];
    rfc3339_format(score->last_at, last);
    pack_map(out, 7);
    pack_pair_str(out, "agent_id", agent_id);
    pack_pair_uint(out, "count", sum->count);
    pack_pair_real(
        out, "average_reward", sum->count == 0 ? 0 : sum->reward_sum / (double) sum->count);
    pack_pair_real(out, "confidence", rounded(core_selector_confidence(sum)));
    pack_pair_uint(out, "failures", score->failures);
    pack_pair_uint(out, "feedbacks", score->feedbacks);
    if (sum->count == 0) {
        pack_pair_nil(out, "last_used");
    } else {
        pack_pair_text(out, "last_used", last);
    }
}

// Whoever earned something, then whoever is there and did not yet.
static bus_err_t
pack_scores(service_query_t *query)
{
    const core_state_t *core = query->state;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key;
    bus_view_t value;
    uint32_t count = 0;
    size_t place = pack_array_begin(query->answer);
    bus_err_t err = store_cursor_open(query->txn, CORE_SCORES, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    for (err = store_first(cursor, &key, &value); err == BUS_OK || err == BUS_CORRUPT;
         err = store_next(cursor, &key, &value)) {
        core_score_t score;
        if (err == BUS_OK && value.size == sizeof score) {
            memcpy(&score, value.data, sizeof score);
            pack_score(key, &score, query->answer);
            count++;
        }
    }
    for (size_t i = 0; err == BUS_NOT_FOUND && i < core_registry_count(core->registry); i++) {
        core_score_t score;
        bus_view_t id = view_from_text(core_registry_at(core->registry, i)->id);
        if (core_score_get(query->txn, id, &score) == BUS_OK && score.sum.count == 0) {
            pack_score(id, &score, query->answer);
            count++;
        }
    }
    pack_count(query->answer, place, count);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
core_show_rl(service_query_t *query, BUS_UNUSED const void *message)
{
    pack_t *out = query->answer;
    core_totals_t totals;
    bus_err_t err = core_tables_load(query->txn, &totals);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(out, 5);
    pack_text(out, "agents");
    err = pack_scores(query);
    pack_pair_uint(out, "total_tasks", totals.tasks);
    pack_pair_uint(out, "feedbacks", totals.feedbacks);
    pack_pair_real(
        out,
        "epsilon",
        rounded(core_selector_epsilon(totals.tasks, core_selector_complexity(CORE_INPUT_TEXT))));
    pack_text(out, "epsilon_by_input");
    pack_map(out, CORE_INPUT_COUNT);
    for (unsigned i = 0; i < CORE_INPUT_COUNT; i++) {
        double complexity = core_selector_complexity((core_input_t) i);
        pack_pair_real(out,
                       core_selector_input_text((core_input_t) i),
                       rounded(core_selector_epsilon(totals.tasks, complexity)));
    }
    return err;
}

// --- Health --------------------------------------------------------------------------------------

unsigned
core_show_health(const core_state_t *core, store_txn_t *txn, pack_t *out)
{
    core_totals_t totals;
    uint64_t kept = 0;
    if (core_tables_load(txn, &totals) != BUS_OK || store_count(txn, CORE_TASKS, &kept) != BUS_OK) {
        return 0;
    }
    uint32_t available = 0;
    size_t agents = core_registry_count(core->registry);
    for (size_t i = 0; i < agents; i++) {
        available += core_choose_is_available(core_registry_at(core->registry, i), txn) ? 1 : 0;
    }
    double rate =
        totals.tasks == 0 ? 100.0 : 100.0 * (double) totals.succeeded / (double) totals.tasks;
    pack_text(out, "metrics");
    pack_map(out, 8);
    pack_pair_uint(out, "total_requests", totals.tasks);
    pack_pair_uint(out, "successful_requests", totals.succeeded);
    pack_pair_uint(out, "failed_requests", totals.failed);
    pack_pair_real(out, "success_rate_percent", round(rate * 100) / 100);
    pack_pair_uint(out, "running", core->running);
    pack_pair_uint(out, "kept", kept);
    pack_pair_uint(out, "workflows", totals.workflows);
    pack_pair_uint(out, "outcomes_lost", core->facts_lost);
    pack_text(out, "services");
    pack_map(out, 2);
    pack_pair_text(out, "agent_registry", "healthy");
    pack_pair_uint(out, "available_agents", available);
    return 2;
}
