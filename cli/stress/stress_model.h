// stress_model.h - what a model of the task queue knows: tasks, who is next of each handler,
// workers.
//
// For the order checker (stress_history.h). Owner: the main thread. Pointers to tasks and workers
// are good until the next one is added.
#pragma once
#include "cli.h"
#include <stdint.h>

enum {
    CLI_STRESS_MODEL_HANDLERS_MAX = 64, // a bit each; the order of tasks for more is not checked
    CLI_STRESS_MODEL_NAME_SIZE = 65,
    CLI_STRESS_MODEL_TASKS_MAX = 50000000, // in a history: what fits into memory
    CLI_STRESS_MODEL_WORKERS_MAX = 4096    // names
};

typedef enum {
    TASK_AHEAD, // its record has not been reached
    TASK_WAITING,
    TASK_ASIDE, // waits out the delay of a retry
    TASK_RUNNING,
    TASK_WORDED, // a worker said that it is done
    TASK_OVER
} cli_stress_task_state_t;

typedef struct {
    char *id;
    uint64_t seq, at, deadline;
    uint64_t started_at; // journal time of the last decision to start it
    uint64_t due;        // of one aside
    uint32_t worker;     // who has it
    uint32_t attempt;
    uint16_t handler;
    uint8_t rank;
    uint8_t state;
    bool is_requeued; // its place among the others is not known
} cli_stress_model_task_t;

typedef struct {
    uint32_t task;
    uint8_t rank; // when it was put there: another one now stands elsewhere
} cli_stress_place_t;

typedef struct {
    char name[CLI_STRESS_MODEL_NAME_SIZE];
    cli_stress_place_t *heap; // the best first; what does not wait any more is still in it
    size_t count, limit;
} cli_stress_handler_t;

typedef struct {
    char name[CLI_STRESS_MODEL_NAME_SIZE];
    uint64_t instance; // hash; 0: not said
    uint64_t handlers; // a bit each
    unsigned slots, running;
    bool is_ready, was_used;
} cli_stress_model_worker_t;

typedef struct {
    cli_stress_model_task_t *tasks;
    size_t task_count, task_limit;
    uint32_t *places; // of tasks by id, open addressing; 0: free, else index + 1
    size_t place_count;
    cli_stress_handler_t handlers[CLI_STRESS_MODEL_HANDLERS_MAX];
    size_t handler_count;
    cli_stress_model_worker_t *workers; // CLI_STRESS_MODEL_WORKERS_MAX of them
    size_t worker_count;
} cli_stress_model_t;

void cli_stress_model_init(cli_stress_model_t *self);
void cli_stress_model_clear(cli_stress_model_t *self);

// NULL where there is none of this id.
cli_stress_model_task_t *cli_stress_model_find_task(const cli_stress_model_t *self, bus_view_t id);
// NULL where there is one.
cli_stress_model_task_t *cli_stress_model_add_task(cli_stress_model_t *self, bus_view_t id);
// Its index; CLI_STRESS_MODEL_HANDLERS_MAX, CLI_STRESS_MODEL_WORKERS_MAX where there is no room.
uint16_t cli_stress_model_handler(cli_stress_model_t *self, bus_view_t name);
uint32_t cli_stress_model_worker(cli_stress_model_t *self, bus_view_t name);

// Whether `a` starts before `b` where both wait for the same handler.
bool cli_stress_model_is_before(const cli_stress_model_task_t *a, const cli_stress_model_task_t *b);
// Notes that a task waits from now on, with the priority that it has.
void cli_stress_model_push(cli_stress_model_t *self, const cli_stress_model_task_t *task);
// The waiting task of the handler that is to start next, or NULL.
const cli_stress_model_task_t *cli_stress_model_best(cli_stress_model_t *self, size_t handler);

// Room for one more item of `size` bytes: `items`, or where they are now.
void *cli_stress_model_grow(void *items, size_t count, size_t *limit, size_t size);
uint64_t cli_stress_model_hash(bus_view_t text); // FNV-1a
