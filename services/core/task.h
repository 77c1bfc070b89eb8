// task.h - tasks that are being worked on: an agent is chosen, asked, perhaps another one after it,
// and whoever waits is answered.
//
// Owner: the loop's thread. A task lives in memory until its outcome, which was published before it
// was answered, comes back as a record and is applied; from then on it is in the store. What a task
// does is asynchronous: it never blocks, and what goes wrong with its agent stays with it.
#pragma once
#include "answer.h"
#include "context.h"
#include "proto/limits.h"
#include "registry.h"
#include "runtime/service.h"

typedef struct core_state core_state_t;
typedef struct core_task core_task_t;

enum {
    CORE_TASKS_MAX = 2048,       // being worked on: each may ask three questions of the bus
    CORE_TASK_RETRIES_MAX = 10,  // as schema handle_task has it
    CORE_TASK_QUESTIONS_MAX = 8, // that wait for one task: a caller and its repeats
    CORE_TASK_ID_MAX = 64,
    CORE_TASK_USER_MAX = 255,
    CORE_TASK_HASH_SIZE = 17, // 16 hex digits and the NUL
    // Finished ones that wait to be applied; beyond it they are forgotten, and for some
    // milliseconds nobody can read them: a Core that is that far behind has other worries.
    CORE_TASKS_DONE_MAX = 4096,
    CORE_TASK_DONE_BYTES_MAX = 64 << 20, // of their answers
    CORE_TASK_BUCKETS = 4096,            // of the table by id
};

// Called once, when the task is finished; it may be gone after it.
typedef void(core_task_done_fn)(void *arg, const core_task_t *task);

struct core_task {
    core_task_t *prev;
    core_task_t *next;
    core_task_t *chain; // in its bucket
    core_state_t *core;
    // What is asked.
    char task_id[CORE_TASK_ID_MAX + 1];
    char trace_id[NAME_SIZE_MAX + 1];
    char agent[CORE_AGENT_ID_MAX + 1];    // as asked for
    char fallback[CORE_AGENT_ID_MAX + 1]; // "": none
    char user_id[CORE_TASK_USER_MAX + 1]; // "": nobody
    char hash[CORE_TASK_HASH_SIZE];       // of the request
    core_input_t input_type;
    double complexity;
    pack_t *input;    // one text
    pack_t *tags;     // one array
    pack_t *pdf_path; // one text
    pack_t *filters;  // of a question to the knowledge base: one map; NULL: none
    int64_t limit;    // likewise: most passages; 0: as usual
    // Where it is.
    uint64_t started_us;  // boot clock
    uint64_t deadline_us; // of all attempts together
    unsigned tries_left;  // after the one under way
    unsigned tried_count;
    char tried[CORE_TASK_RETRIES_MAX + 1][CORE_AGENT_ID_MAX + 1]; // the last one is the one in hand
    pack_t *attempts; // the items of an array: core_attempt of each that failed
    unsigned attempt_count;
    char why[CORE_ANSWER_WHY_SIZE]; // the last of them failed
    uint64_t call;                  // to an agent on the bus; 0: none
    uint64_t called_us;             // when, boot clock
    uint64_t transfer;              // to one over HTTP; 0: none
    core_context_t context;
    // What came of it.
    bool is_done;
    bool succeeded;
    bool asks_workflow; // one was asked for
    double processing_s;
    double reward;
    pack_t *output; // agent_output
    // Who waits.
    service_question_t *questions[CORE_TASK_QUESTIONS_MAX];
    unsigned question_count;
    core_task_done_fn *done; // NULL: nobody but the questions
    void *arg;
};

typedef struct {
    bus_view_t task_id;  // absent: made
    bus_view_t trace_id; // absent: the task's id
    bus_view_t agent;    // absent: auto
    bus_view_t fallback;
    bus_view_t user_id;
    bus_view_t input;
    bus_view_t pdf_path;
    bus_view_t tags;    // one array, or absent
    bus_view_t filters; // of a question to the knowledge base, or absent
    int64_t limit;      // likewise, or 0
    bus_view_t hashed;  // what makes a repeat the same: hashed into `hash`
    core_input_t input_type;
    double complexity;
    unsigned retries;
    core_task_done_fn *done; // may be NULL
    void *arg;
} core_task_ask_t;

// Seconds for all attempts of a task.
unsigned core_task_timeout_s(core_input_t input_type);

// Makes the task; it does nothing yet. NULL where CORE_TASKS_MAX are worked on, or too much of what
// was published waits for the broker.
core_task_t *core_task_new(core_state_t *core, const core_task_ask_t *ask);
// Works on it: may finish, and call `done`, before it returns.
void core_task_start(core_task_t *self);
// Forgets one that was not started.
void core_task_abandon(core_task_t *self);
// The running or just finished task of this id, or NULL.
core_task_t *core_task_find(core_state_t *core, bus_view_t task_id);

// Packs what handle_task answers of a finished one.
void core_task_pack_answer(const core_task_t *self, pack_t *out);
// Packs agent_output of a task that failed.
void core_task_pack_error(bus_view_t why, pack_t *out);
// The id of the agent that answered, or failed last; what was asked for where none was tried.
const char *core_task_agent(const core_task_t *self);

// --- What came of what it asked ------------------------------------------------------------------

// The agent answered, or did not: `why` says so where `err` is not BUS_OK.
void core_task_answered(core_task_t *self, bus_err_t err, const char *why, bus_view_t body);
// Context is there, or will not be.
void core_task_context_ready(core_task_t *self);
// The outcome of the task was applied: it is in the store. Nothing where it is not known.
void core_task_applied(core_state_t *core, bus_view_t task_id);
// The registry knows who was there at `asked_us` (boot clock): what an agent was asked before,
// whose last peer has gone, will not be answered.
void core_task_look(core_state_t *core, uint64_t asked_us);
// Forgets all of them; nobody is answered.
void core_task_clear(core_state_t *core);
