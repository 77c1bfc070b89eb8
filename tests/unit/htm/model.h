// model.h - what the queue should do, as simply as it can be said: one array of tasks, looked
// through from end to end. Written from docs/grace.md, not from the queue.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { MODEL_TASKS_MAX = 4000, MODEL_WORKERS = 5, MODEL_HANDLERS = 4 };

typedef enum { HELD, WAITING, RUNNING, COMPLETED, DEAD, CANCELLED } model_status_t;

typedef struct {
    uint64_t seq;
    uint64_t queued, sla; // us
    uint64_t ready;       // may start from then
    uint64_t leased, lease;
    model_status_t status;
    unsigned rank, asked_rank; // 0 critical to 3 low
    unsigned handler;
    unsigned worker;
    unsigned attempts, failures, losses, max_retries;
    bool delayed, warned, breached;
} model_task_t;

typedef struct {
    bool is_there, is_silent;
    bool serves[MODEL_HANDLERS];
    unsigned slots;
    uint64_t heard;
} model_worker_t;

typedef struct {
    model_task_t tasks[MODEL_TASKS_MAX]; // task t<i> is tasks[i]
    unsigned count;
    model_worker_t workers[MODEL_WORKERS];
    uint64_t lease, backoff; // as configured
    unsigned losses_max, reserve;
    bool is_strained;
    char lines[400000]; // what is said because of the record in hand
    unsigned size;
} model_t;

// Each is one record at `at`, and begins with empty lines.
void model_enqueue(model_t *self, uint64_t at, const model_task_t *task, uint64_t delay);
void model_ready(
    model_t *self, uint64_t at, unsigned worker, const bool *serves, unsigned slots, bool is_new);
void model_gone(model_t *self, uint64_t at, unsigned worker);
void model_completed(model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker);
void model_failed(
    model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker, bool retry);
void model_renew(model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker);
void model_cancel(model_t *self, uint64_t at, unsigned task);
void model_requeue(model_t *self, uint64_t at, unsigned task);
void model_clock(model_t *self, uint64_t at);
void model_rules(model_t *self, uint64_t at, bool is_strained, unsigned reserve);
