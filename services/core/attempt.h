// attempt.h - asking one agent for one task.
#pragma once
#include "core_self.h"

typedef struct {
    bool is_under_way; // core_task_answered is called later; else it is here already
    bus_err_t err;
    const char *why; // of an error
    pack_t *answer;  // the caller's; NULL: none
} core_attempt_t;

// Asks. `txn` may be NULL for an agent that is asked over the bus or HTTP.
core_attempt_t core_attempt_ask(core_task_t *task, const core_agent_t *agent, store_txn_t *txn);
// Gives up what is under way.
void core_attempt_cancel(core_task_t *task);

// agent_text.c, agent_knowledge.c: these answer at once, into `out`. *reterr_why (a literal) says
// what is wrong with a question of BUS_VALIDATION_FAILED.
void core_agent_text_answer(bus_view_t input, pack_t *out);
BUS_CHECK bus_err_t core_agent_knowledge_answer(const core_task_t *task,
                                                store_txn_t *txn,
                                                pack_t *out,
                                                const char **reterr_why);

// agent_http.c: starts the call. BUS_BUSY, BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t core_agent_http_ask(core_task_t *task,
                                        const core_agent_t *agent,
                                        unsigned timeout_ms);
