// choose.c - which agent a task goes to next. See choose.h.
#include "choose.h"

#include <assert.h>

typedef struct {
    const core_agent_t *agents[CORE_REGISTRY_MAX];
    size_t count;
} candidates_t;

bool
core_choose_is_available(const core_agent_t *agent, store_txn_t *txn)
{
    uint64_t documents = 0;
    if (!agent->enabled) {
        return false;
    }
    switch (agent->kind) {
    case CORE_AGENT_TEXT:
    case CORE_AGENT_HTTP:
        return true;
    case CORE_AGENT_KNOWLEDGE:
        return store_count(txn, CORE_KB_DOCUMENTS, &documents) == BUS_OK && documents > 0;
    case CORE_AGENT_BUS:
        return agent->instances > 0;
    }
    return false;
}

static bool
was_tried(const core_task_t *task, const core_agent_t *agent)
{
    for (unsigned i = 0; i < task->tried_count; i++) {
        if (strcmp(task->tried[i], agent->id) == 0) {
            return true;
        }
    }
    return false;
}

static bool
takes(const core_task_t *task, const core_agent_t *agent)
{
    return agent->enabled && (agent->inputs & (1u << task->input_type)) != 0 &&
           !was_tried(task, agent);
}

// The agent that the task names for this try, where it exists and can.
static const core_agent_t *
named(const core_task_t *task, store_txn_t *txn)
{
    const char *name = task->tried_count == 0 ? task->agent : task->fallback;
    const core_agent_t *agent = core_registry_find(task->core->registry, view_from_text(name));
    if (agent == NULL || !takes(task, agent)) {
        return NULL;
    }
    // Who asks for the knowledge base is to be told that it is empty.
    bool can = agent->kind == CORE_AGENT_KNOWLEDGE || core_choose_is_available(agent, txn);
    return can ? agent : NULL;
}

static void
gather(const core_task_t *task, store_txn_t *txn, candidates_t *all)
{
    const core_registry_t *registry = task->core->registry;
    all->count = 0;
    for (size_t i = 0; i < core_registry_count(registry); i++) {
        const core_agent_t *agent = core_registry_at(registry, i);
        if (takes(task, agent) && core_choose_is_available(agent, txn)) {
            all->agents[all->count++] = agent;
        }
    }
}

typedef bool(wanted_fn)(const core_task_t *task, const core_agent_t *agent);

static bool
shares_tag(const core_task_t *task, const core_agent_t *agent)
{
    return core_registry_shares_tag(agent, pack_view(task->tags));
}

static bool
is_no_standby(BUS_UNUSED const core_task_t *task, const core_agent_t *agent)
{
    return !agent->standby;
}

// Leaves only the wanted ones, where there are any.
static bool
prefer(const core_task_t *task, candidates_t *all, wanted_fn *wanted)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        kept += wanted(task, all->agents[i]) ? 1 : 0;
    }
    if (kept == 0) {
        return false;
    }
    size_t place = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (wanted(task, all->agents[i])) {
            all->agents[place++] = all->agents[i];
        }
    }
    all->count = kept;
    return true;
}

static bus_err_t
select_one(const core_task_t *task,
           store_txn_t *txn,
           const candidates_t *all,
           core_choice_t *ret_choice)
{
    core_score_sum_t sums[CORE_REGISTRY_MAX];
    for (size_t i = 0; i < all->count; i++) {
        core_score_t score;
        bus_err_t err = core_score_get(txn, view_from_text(all->agents[i]->id), &score);
        if (err != BUS_OK && err != BUS_CORRUPT) { // damaged: as if it were new
            return err;
        }
        sums[i] = score.sum;
    }
    core_totals_t totals;
    bus_err_t err = core_tables_load(txn, &totals);
    if (err != BUS_OK) {
        return err;
    }
    core_selector_choice_t choice =
        core_selector_choose(&task->core->random, sums, all->count, totals.tasks, task->complexity);
    *ret_choice = (core_choice_t){.agent = all->agents[choice.index], .explored = choice.explored};
    return BUS_OK;
}

bus_err_t
core_choose_agent(const core_task_t *task, store_txn_t *txn, core_choice_t *ret_choice)
{
    *ret_choice = (core_choice_t){.agent = named(task, txn), .is_named = true};
    if (ret_choice->agent != NULL) {
        return BUS_OK;
    }
    candidates_t all;
    gather(task, txn, &all);
    if (!prefer(task, &all, shares_tag)) { // a shared tag outdoes standby
        (void) prefer(task, &all, is_no_standby);
    }
    if (all.count == 0) {
        *ret_choice = (core_choice_t){.agent = NULL};
        return BUS_OK;
    }
    return select_one(task, txn, &all, ret_choice);
}
