// heal.h - what the self_healing kernel is made of, for its own files (heal_*.c, self_healing.c).
//
// self_healing.c has the tables; heal_run.c a task in hand, step by step; heal_child.c the one
// child process; heal_conf.c drill.conf; the others a playbook each, which is a chain of small
// functions: each asks one thing, and names the function that goes on with the answer.
//
// Owner: the loop's thread. Nothing blocks but reading and writing the small drill.conf.
#pragma once
#include "heal_child.h"
#include "runtime/service.h"
#include "worker.h"

typedef enum {
    KERNEL_HEAL_STARTED, // task_id -> schema healing_started, the first that was said
    KERNEL_HEAL_ORDER,   // seq of it -> task_id, so that the oldest can go
    KERNEL_HEAL_KEPT,    // suite -> healing_drill, its latest
    KERNEL_HEAL_TABLE_COUNT
} kernel_heal_table_t;

enum {
    KERNEL_HEAL_STARTED_MAX = 1000, // a task is handed out again within hours, not after so many
    KERNEL_HEAL_SLOTS = 4,          // playbooks at once; drills among them run one by one
    KERNEL_HEAL_BOOT_MS_MAX = 300,  // the brain's threshold: above it boots are slow
};

typedef struct kernel_heal_run kernel_heal_run_t;

typedef struct {
    service_t *service;      // borrowed
    loop_t *loop;            // borrowed
    client_t *client;        // borrowed
    const char *dir;         // the system's folder; borrowed from the options
    kernel_worker_t *worker; // NULL before it starts
    kernel_heal_children_t *children;
    kernel_heal_run_t *runs; // in hand
    uint64_t done;           // since the start, of any outcome
    uint64_t resolved;       // of them: the issue is gone
    uint64_t looked;         // seq of the boot drill whose settings were looked at last
} kernel_heal_t;

// A playbook begins: it goes on, and ends the run, by itself.
typedef void(kernel_heal_step_fn)(kernel_heal_run_t *run);
void kernel_heal_diagnose(kernel_heal_run_t *run);
void kernel_heal_restart(kernel_heal_run_t *run);
void kernel_heal_reprocess(kernel_heal_run_t *run);
void kernel_heal_schedule(kernel_heal_run_t *run);
void kernel_heal_drill(kernel_heal_run_t *run);
