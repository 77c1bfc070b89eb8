// learn.h - a task is over: what it taught, and what else it calls for.
#pragma once
#include "intent.h"
#include "score.h"

enum { BRAIN_LEARN_KEYS_MAX = 10000 }; // handler and task_type: their names come from peers

// Documents since the last intent about them.
typedef struct {
    uint64_t ingested;
    uint64_t distrusted;
} brain_documents_t;

// Applies task.done: learns of it and says brain.learned, ends the issue that it was to mend, and
// looks at the queue's SLA and at documents that came in. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_learn_apply(service_apply_t *apply, const void *message);
// What a task taught. False: nothing (it was cancelled). Pure.
bool brain_learn_sample(const schema_task_done_t *done, brain_sample_t *ret_sample);
