// choose.h - which agent a task goes to next.
#pragma once
#include "core_self.h"

typedef struct {
    const core_agent_t *agent; // NULL: nobody is left who can
    bool is_named;             // because somebody named it
    bool explored;             // by chance
} core_choice_t;

// The named agent where it exists and can take the input; after a failure the fallback; else the
// selector, among those who can and were not tried: who shares a tag with the task before who does
// not, and those on standby only where there is nobody else. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_choose_agent(const core_task_t *task,
                                      store_txn_t *txn,
                                      core_choice_t *ret_choice);

// Whether it could answer now: enabled, somebody is there, it has something to answer from.
bool core_choose_is_available(const core_agent_t *agent, store_txn_t *txn);
