// stress_history.h - the recorded history of a queue, checked against a model of its own.
//
// The model knows nothing of HTM's code: it replays what was said to the queue (tasks, workers,
// completions) and holds each decision of the queue's against it, at the place in the journal
// where the queue made it (the record that the decision names as its cause). It checks that
//   - a task starts only while it waits, with a worker that is ready, serves it and has a free
//   slot;
//   - of a handler's waiting tasks the one with the highest priority starts, then the one with the
//     earliest deadline, then the one that came first; what waits out a retry's delay stands aside;
//   - each task is over once: completed by a worker's word, or a dead letter or cancelled with a
//     reason; and none is left.
// Owner: the main thread.
#pragma once
#include "connect.h"
#include "runtime/client.h"

typedef struct {
    uint64_t tasks; // that were put in
    uint64_t completed, dead, cancelled;
    uint64_t left;      // that are not over
    uint64_t starts;    // attempts that were begun
    uint64_t overtakes; // starts that overtook an earlier task of a lower priority
    uint64_t retries;   // attempts that came to nothing
    uint64_t gone;      // of those: their worker went away
    uint64_t lapsed;    // of those: their lease ended
    uint64_t escalations;
    uint64_t sla_warnings, sla_breaches;
    uint64_t sla_met;        // tasks that were completed in time
    uint64_t workers;        // names that were ready at some time
    uint64_t used;           // of those: names that were given a task
    uint64_t duplicates;     // completions of a task that was over
    uint64_t repeats;        // tasks that were put in again
    uint64_t first_us;       // journal time of the first task's record
    uint64_t first_start_us; // of the first decision
    uint64_t last_us;        // of the last task's end
    double mean_dispatch_ms; // from the record that made a start possible to the worker's hand,
    double p50_dispatch_ms;  // by results with received_us
    double p99_dispatch_ms;
    double mean_queue_depth;   // waiting and running, over time
    uint64_t violations;       // of the order, and of the rest
    char first_violation[256]; // in words; "": none
} cli_stress_findings_t;

// Reads the whole journal of the bus at `place`, and checks it. Returns 0 (look at violations), or
// CLI_NO_ANSWER, CLI_INTERRUPTED and so on, having said why.
BUS_CHECK int cli_stress_history_read(const cli_place_t *place,
                                      cli_stress_findings_t *ret_findings);

// --- One record at a time ----------------------------------------------------------------------

typedef struct cli_stress_history cli_stress_history_t;
cli_stress_history_t *cli_stress_history_new(void);
void cli_stress_history_destroy(cli_stress_history_t **self_p);
// The next record of the journal: task.… and nothing else, in order.
void cli_stress_history_take(cli_stress_history_t *self, const client_heard_t *record);
// After the last.
void cli_stress_history_end(cli_stress_history_t *self, cli_stress_findings_t *ret_findings);
