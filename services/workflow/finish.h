// finish.h - an execution ends: its record, what is said of it, and who is answered.
#pragma once
#include "execution.h"

enum {
    WORKFLOW_REPEATS_MAX = 64, // commands that wait for one execution beside its own
    // Bytes of a result: the rest of an event has room beside it. Ours have 520 KiB at most.
    WORKFLOW_RESULT_SIZE_MAX = 900 * 1024,
};

typedef struct {
    bool success;
    bus_view_t result; // a map of at most WORKFLOW_RESULT_SIZE_MAX, without trace_id and timestamp:
                       // they are added
    uint64_t duration_us;
    workflow_action_t action; // WORKFLOW_ACTION_COUNT: none of ours
    bus_view_t payload;       // absent: it is read
} workflow_outcome_t;

// Ends `execution`, whose views must not be into the store: writes it, counts it, and tells Bucket
// and Karma, once. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_finish(service_apply_t *apply,
                                    workflow_execution_t *execution,
                                    const workflow_outcome_t *outcome);

// Answers its command, and its repeats, with what workflow_finish made of it. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_finish_answer(service_apply_t *apply,
                                           const workflow_execution_t *execution);

// Its record is damaged: nobody acts on it any more, and who waits is answered BUS_CORRUPT.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_finish_damaged(service_apply_t *apply, uint64_t seq);

// Lets the command in hand wait for execution `seq` too. BUS_BUSY where WORKFLOW_REPEATS_MAX do;
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_finish_wait(service_apply_t *apply, uint64_t seq);
