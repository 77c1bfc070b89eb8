// heal_run.h - a task in the hands of the self_healing kernel: what it asks, finds and does.
//
// A playbook is a chain of functions. Each calls one of ask, say, drill, wait or act_once at its
// end, which name the function that goes on; or one of end and fail, after which the run is gone.
// Each is given up when the kernel stops: nothing is called then.
#pragma once
#include "heal.h"
#include "proto/walk.h"

enum {
    KERNEL_HEAL_NOTES_MAX = 100, // findings, and actions: there are fewer parts
    KERNEL_HEAL_NOTE_SIZE = 300, // bytes of one, with its NUL
    KERNEL_HEAL_PEERS_MAX = 64   // services whose health is asked for
};

typedef void(kernel_heal_answer_fn)(kernel_heal_run_t *run, bus_err_t err, bus_view_t body);
// `summary`: of the drill, one whole map; absent where it gave none.
typedef void(kernel_heal_drill_fn)(kernel_heal_run_t *run, int status, bus_view_t summary);

struct kernel_heal_run {
    kernel_heal_run_t *next;
    kernel_heal_t *heal;
    kernel_worker_job_t *job;
    const char *playbook; // its name
    uint64_t started_ms;  // boot clock
    pack_t *findings;     // texts, one behind the other
    uint32_t finding_count;
    pack_t *actions;
    uint32_t action_count;
    pack_t *extra; // pairs of the result
    uint32_t extra_count;
    pack_t *body;  // scratch for what is said next
    uint64_t call; // 0: none
    kernel_heal_answer_fn *on_answer;
    kernel_heal_drill_fn *on_drill;
    kernel_heal_step_fn *on_wait;
    int timer;                     // 0: none
    kernel_heal_step_fn *on_mine;  // of act_once: it is ours to do
    kernel_heal_step_fn *on_other; // an earlier process began it
    void *own;                     // the playbook's, NULL at first; freed with free
    void (*clear_own)(void *own);  // before that; NULL: nothing
};

// Begins the playbook for a job. It may be over when this returns.
void kernel_heal_run_begin(kernel_heal_t *heal,
                           kernel_worker_job_t *job,
                           const char *playbook,
                           kernel_heal_step_fn *first);
// Gives it up: the job stays the worker's.
void kernel_heal_run_destroy(kernel_heal_run_t **self_p);

// A text of the task's context, absent where there is none.
bus_view_t kernel_heal_run_text(const kernel_heal_run_t *run, const char *key);
// Notes for a person, in the task's result.
void kernel_heal_run_finding(kernel_heal_run_t *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kernel_heal_run_action(kernel_heal_run_t *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kernel_heal_run_real(kernel_heal_run_t *run, const char *key, double value);

// A question, or with a journaled topic a fact that is durable when `fn` is called. `body` absent:
// {}. Both carry the task's trace.
void kernel_heal_run_ask(kernel_heal_run_t *run,
                         const char *topic,
                         bus_view_t body,
                         unsigned timeout_ms,
                         kernel_heal_answer_fn *fn);
void kernel_heal_run_say(kernel_heal_run_t *run,
                         const char *topic,
                         bus_view_t body,
                         kernel_heal_answer_fn *fn);
// Runs `bhiv stress SUITE SIZE_FLAG SIZE` about this system, its result published in the task's
// trace.
typedef struct {
    const char *suite;
    const char *size_flag; // "--cycles"
    const char *size;
    const char *flag; // one more; NULL: none
} kernel_heal_order_t;
void kernel_heal_run_drill(kernel_heal_run_t *run,
                           const kernel_heal_order_t *order,
                           kernel_heal_drill_fn *fn);
void kernel_heal_run_wait(kernel_heal_run_t *run, unsigned delay_ms, kernel_heal_step_fn *fn);

// Before what must not be done twice for one task: journals healing.started, and when it has read
// that back calls `mine`; or `other`, where another process said it for this task before. `part`:
// what it is about.
void kernel_heal_run_act_once(kernel_heal_run_t *run,
                              bus_view_t part,
                              kernel_heal_step_fn *mine,
                              kernel_heal_step_fn *other);
// Looks whether what act_once waits for was read back.
void kernel_heal_run_look(kernel_heal_run_t *run, store_txn_t *txn);

typedef enum {
    KERNEL_HEAL_UNRESOLVED,
    KERNEL_HEAL_RESOLVED,
    KERNEL_HEAL_UNKNOWN
} kernel_heal_resolved_t;
// Completes the task. UNKNOWN: the result says nothing of issue_resolved.
void kernel_heal_run_end(kernel_heal_run_t *run, kernel_heal_resolved_t resolved);
void kernel_heal_run_fail(kernel_heal_run_t *run, const char *error, bool retry);
